"""The template card with long, wide, narrow, dark and hostile things in it."""

import pytest
from component_page import nodes_in
from looking import drawn
from template_payloads import THINKING
from xray_page import LIT, said

import workbench as wb
from workbench.api.comm import answered
from workbench.api.render import look

pytestmark = pytest.mark.browser


def test_narrow_card_stacks_its_panes(xray):
    page = xray()
    tops = page.eval_on_selector_all(".wb-pane", "panes => panes.map(pane => pane.getBoundingClientRect().top)")
    assert len(set(tops)) == 1
    page.set_viewport_size({"width": 560, "height": 900})
    drawn(page)
    tops = page.eval_on_selector_all(".wb-pane", "panes => panes.map(pane => pane.getBoundingClientRect().top)")
    assert tops == sorted(set(tops))
    assert page.evaluate("document.documentElement.scrollWidth <= innerWidth")


@pytest.mark.parametrize("dark", [False, True])
def test_lit_text_is_readable_in_both_themes(xray, dark):
    page = xray()
    if dark:
        page.evaluate("document.documentElement.classList.add('wb-dark')")
    page.hover(".wb-l[data-l='11']")
    colours = page.eval_on_selector(
        ".wb-r.wb-on", "node => [getComputedStyle(node).color, getComputedStyle(node).backgroundColor]"
    )
    assert colours[0] != colours[1]
    assert page.eval_on_selector(".wb-r.wb-on", "node => getComputedStyle(node).borderBottomStyle") == "solid"


def long_chat(turns: int) -> list[dict]:
    ask, say = "Where does Kipwick live? " * 10, "In house seven, by the river 😀. " * 20
    return [{"role": role, "content": text} for _ in range(turns) for role, text in (("user", ask), ("assistant", say))]


def test_a_long_conversation_costs_few_nodes_and_says_what_is_shown(xray):
    shown = look(wb.template("qwen3", tokenizer="tiny-llama"), long_chat(300), False, {})
    assert len(shown.tokens.input_ids) > 100_000
    payload = shown.payload()
    payload["view"] = shown.view(100_000)
    page = xray({**payload, "handle": "widget"})
    assert nodes_in(page, ".wb-xray") <= 1_000
    whole = shown.view()["rendering"]["characters"]
    assert f"{whole:,} characters" in page.inner_text(".wb-pane:nth-child(2) .wb-ph")
    assert page.inner_text(".wb-pages").strip().startswith("0 to ")
    page.get_by_label("Later text").click()
    assert not page.inner_text(".wb-pages").strip().startswith("0 to ")
    assert nodes_in(page, ".wb-xray") <= 1_000
    page.get_by_label("Earlier text").click()
    assert page.inner_text(".wb-pages").strip().startswith("0 to ")


def test_a_kept_line_leads_from_place_to_place(xray):
    shown = look(wb.template("qwen3", tokenizer="tiny-llama"), long_chat(30), False, {})
    page = xray({**shown.payload(), "handle": "widget"})
    page.focus(".wb-jinja [tabindex='0']")
    page.keyboard.press("ArrowDown")
    page.keyboard.press("Enter")
    line = page.evaluate("document.activeElement.dataset.l")
    seen = set()
    for _ in range(3):
        page.keyboard.press("n")
        drawn(page)
        seen.add(page.inner_text(".wb-pages"))
        assert page.locator(f".wb-text .wb-r.wb-on[data-l='{line}']").count() > 0
    assert len(seen) == 3


def test_a_place_beyond_what_the_output_holds_is_asked_of_the_kernel(xray):
    shown = look(wb.template("qwen3", tokenizer="tiny-llama"), long_chat(30), False, {})
    payload = shown.payload()
    held, whole = len(payload["view"]["rendering"]["text"]), payload["view"]["rendering"]["characters"]
    assert held < whole
    page = xray({**payload, "handle": "widget"})
    page.focus(".wb-jinja [tabindex='0']")
    page.keyboard.press("ArrowDown")
    page.keyboard.press("ArrowDown")
    line = page.evaluate("document.activeElement.dataset.l")
    page.keyboard.press("Enter")
    page.keyboard.press("n")
    page.wait_for_function("sent.length > 0")
    page.evaluate("answer => model.receive(answer)", answered(shown, page.evaluate("sent.at(-1)")))
    page.wait_for_selector(f".wb-text .wb-r.wb-on[data-l='{line}']")
    assert not page.inner_text(".wb-pages").strip().startswith("0 to ")


def test_a_template_of_hundreds_of_lines_draws_what_is_seen(xray):
    source = "\n".join(f"{{{{ messages[0].content }}}} line {i} {{% if true %}}x{{% endif %}}" for i in range(1, 401))
    page = xray(source=source)
    assert page.locator(".wb-l").count() < 40
    page.focus(".wb-jinja [tabindex='0']")
    page.keyboard.press("End")
    drawn(page)
    assert page.evaluate("document.activeElement.dataset.l") == "400"
    assert page.locator(".wb-l").count() < 45
    assert nodes_in(page, ".wb-xray") <= 1_000


def test_hidden_and_turning_characters_are_shown_by_name(xray):
    said_text = "a\u202eb\u200bc \u0627\u0644 <img src=x onerror=alert(1)>"
    shown = look(wb.template(THINKING), [{"role": "user", "content": said_text}], False, {})
    page = xray({**shown.payload(), "handle": None})
    assert page.eval_on_selector_all(".wb-text .wb-hid", LIT) == ["RLO", "ZWSP"]
    assert page.locator("img").count() == 0
    page.hover(".wb-r.wb-field")
    assert "U+202E RLO" in said(page)
