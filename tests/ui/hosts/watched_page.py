"""A page on which nothing may run but our own scripts, and nothing may be asked of any network."""

import contextlib
from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import Any

from playwright.sync_api import Browser, Page


@dataclass
class Watched:
    """A page and what happened on it that should not have."""

    page: Page
    dialogs: list[str] = field(default_factory=list)
    requests: list[str] = field(default_factory=list)
    errors: list[str] = field(default_factory=list)

    def assert_nothing_ran(self, where: str = "") -> None:
        """No dialog, no request beyond files, no flag, no error, in this frame or any other."""
        assert (self.dialogs, self.requests, self.errors) == ([], [], []), where
        for frame in self.page.frames:
            assert frame.evaluate("window.__pwned") is None, where
        assert len(self.page.frames) == 1, where


@contextlib.contextmanager
def watched(
    browser: Browser, *, own: tuple[str, ...] = ("file:", "data:image/svg+xml"), **options: Any
) -> Iterator[Watched]:
    """A fresh page; requests whose address does not begin with one of `own` are kept and refused."""
    context = browser.new_context(locale="en-US", **options)
    page = context.new_page()
    seen = Watched(page)

    def refuse(route: Any) -> None:
        seen.requests.append(route.request.url)
        route.abort()

    context.route(lambda url: not url.startswith(own), refuse)
    page.on("dialog", lambda dialog: (seen.dialogs.append(dialog.message), dialog.dismiss()))
    page.on("pageerror", lambda error: seen.errors.append(str(error)))
    page.on("console", lambda message: seen.errors.append(message.text) if message.type == "error" else None)
    yield seen
    context.close()
