"""A page for each test, and the two components it can show."""

import pytest
from component_page import open_component
from payloads import payload
from picker_payloads import picker_state
from template_payloads import template_payload


@pytest.fixture
def page(browser):
    """A fresh page; an uncaught error or a request that leaves the page fails the test."""
    context = browser.new_context(viewport={"width": 960, "height": 1000}, locale="en-US", reduced_motion="reduce")
    page = context.new_page()
    errors: list[str] = []
    page.on("pageerror", lambda error: errors.append(str(error)))
    page.on("console", lambda message: errors.append(message.text) if message.type == "error" else None)
    yield page
    context.close()
    assert errors == []


@pytest.fixture
def show(page, widgets):
    """Show a tokens payload."""

    def show(*rows, **members):
        open_component(page, widgets, "tokens", {"payload": payload(list(rows), **members)})
        return page

    return show


@pytest.fixture
def pick(page, widgets):
    """Show a picker state."""

    def pick(**members):
        open_component(page, widgets, "picker", {"state": picker_state() | members})
        return page

    return pick


@pytest.fixture
def xray(page, widgets):
    """Show a template payload."""

    def show(payload=None, **how):
        open_component(page, widgets, "template", {"payload": payload or template_payload(handle="widget", **how)})
        return page

    return show
