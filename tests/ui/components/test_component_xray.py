"""The template card as a user meets it: linked panes, keys, editing, errors at their line, narrow, long, hostile."""

import pytest
from looking import drawn
from template_payloads import THINKING, template_answer, template_payload
from xray_page import LIT, answer, lit, said

import workbench as wb

pytestmark = pytest.mark.browser

# ---------------------------------------------------------------- linking


def test_pointing_at_a_line_lights_its_text_and_tokens_and_says_it(xray):
    page = xray()
    page.hover(".wb-l[data-l='8']")
    assert lit(page, ".wb-text .wb-r") == ["<|im_end|>↵\n", "<|im_end|>↵\n"]
    assert lit(page, ".wb-tok") == ["<|im_end|>", "↵", "<|im_end|>", "↵"]
    assert said(page) == "Line 8 made 22 characters in 2 places, 4 tokens"


def test_pointing_at_text_lights_its_line_and_tokens_and_names_the_field(xray):
    page = xray()
    page.hover(".wb-r.wb-field >> text=You are a helpful cook.")
    assert page.eval_on_selector_all(".wb-l.wb-on", "nodes => nodes.map(node => node.dataset.l)") == ["11"]
    assert "".join(lit(page, ".wb-tok")).startswith("You")
    assert said(page).startswith("messages[0].content, characters 0 to 23; written by line 11, 23 characters, ")


def test_pointing_at_a_token_lights_exactly_its_characters_and_line(xray):
    payload = template_payload()
    made = payload["view"]["rendering"]
    page = xray(payload)
    page.hover(f".wb-tok[data-i='{made['tokens']['start'].index(made['text'].index('Yes, if'))}']")
    assert page.eval_on_selector_all(".wb-exact", LIT) == [page.inner_text(".wb-tok.wb-on")]
    assert page.eval_on_selector_all(".wb-l.wb-on", "nodes => nodes.map(node => node.dataset.l)") == ["7"]
    assert "messages[2].content, characters 55 to " in said(page)
    assert "written by line 7, trained" in said(page)
    page.hover(".wb-l[data-l='8']")
    assert page.locator(".wb-exact").count() == 0


def test_what_was_removed_stands_in_its_place_and_names_its_line(xray):
    page = xray()
    cut = page.locator(".wb-cut")
    assert cut.inner_text() == "55 characters removed"
    following = cut.evaluate("node => node.nextElementSibling.textContent")
    assert following.startswith("Yes, if you")
    assert page.get_attribute(".wb-l[data-l='5']", "data-made") == "−55"
    cut.hover()
    assert said(page) == ("messages[2].content, characters 0 to 55 are not in the text: line 5 left them out last")
    page.hover(".wb-l[data-l='5']")
    assert lit(page, ".wb-cut") == ["55 characters removed"]
    assert said(page) == "Line 5 left out 55 characters of messages[2].content"


def test_a_click_keeps_and_a_second_click_lets_go(xray):
    page = xray()
    page.click(".wb-l[data-l='8']")
    page.hover(".wb-title")
    assert len(lit(page, ".wb-tok")) == 4
    assert page.get_attribute(".wb-l[data-l='8']", "aria-selected") == "true"
    page.hover(".wb-l[data-l='11']")
    assert len(lit(page, ".wb-tok")) > 4
    page.click(".wb-l[data-l='8']")
    page.evaluate("document.activeElement.blur()")
    page.hover(".wb-title")
    assert lit(page, ".wb-tok") == []


def test_every_token_and_run_agrees_with_the_payload_in_both_directions(xray):
    """For each line: what lights up is exactly what the payload's arrays say."""
    payload = template_payload()
    page = xray(payload)
    made, rendering = payload["view"]["made"], payload["view"]["rendering"]
    for line, count in enumerate(made["characters"], 1):
        if count:
            page.hover(f".wb-l[data-l='{line}']")
            text = "".join(lit(page, ".wb-text .wb-r")).replace("↵", "")
            assert len(text) == count
            assert len(lit(page, ".wb-tok")) == made["tokens"][line - 1]
    assert page.locator(".wb-tok").count() == len(rendering["tokens"]["id"])


# ---------------------------------------------------------------- keys


def test_arrows_go_through_the_lines_that_make_something_and_one_is_in_the_tab_order(xray):
    page = xray()
    page.focus(".wb-jinja [tabindex='0']")
    seen = []
    for _ in range(4):
        page.keyboard.press("ArrowDown")
        seen.append(page.evaluate("document.activeElement.dataset.l"))
    assert seen == ["5", "7", "8", "10"]
    assert page.locator(".wb-jinja [tabindex='0']").count() == 1
    page.keyboard.press("Home")
    assert page.evaluate("document.activeElement.dataset.l") == "1"
    page.keyboard.press("End")
    assert page.evaluate("document.activeElement.dataset.l") == "16"


def test_tab_goes_from_pane_to_pane_and_focus_lights_up(xray):
    page = xray()
    page.focus(".wb-jinja [tabindex='0']")
    page.keyboard.press("Tab")
    assert page.evaluate("document.activeElement.matches('.wb-text .wb-r')")
    assert said(page).startswith("template text; written by line 10")
    page.keyboard.press("ArrowRight")
    page.keyboard.press("Tab")
    assert page.evaluate("document.activeElement.matches('.wb-tks .wb-tok')")
    page.keyboard.press("ArrowRight")
    assert said(page).startswith("Token 1 ")
    page.keyboard.press("Shift+Tab")
    page.keyboard.press("Shift+Tab")
    assert page.evaluate("document.activeElement.matches('.wb-jinja .wb-l')")


def test_enter_keeps_and_escape_lets_go_and_then_leaves(xray):
    page = xray()
    page.focus(".wb-jinja [tabindex='0']")
    page.keyboard.press("ArrowDown")
    page.keyboard.press("ArrowDown")
    page.keyboard.press("Enter")
    assert page.get_attribute(".wb-l[data-l='7']", "aria-selected") == "true"
    page.keyboard.press("Escape")
    assert page.get_attribute(".wb-l[data-l='7']", "aria-selected") == "false"
    assert page.evaluate("document.activeElement.matches('.wb-l')")
    page.keyboard.press("Escape")
    assert not page.evaluate("document.activeElement.matches('.wb-l')")


def test_question_mark_shows_the_keys(xray):
    page = xray()
    page.focus(".wb-tks [tabindex='0']")
    page.keyboard.press("?")
    assert page.is_visible(".wb-help")
    page.keyboard.press("?")
    assert not page.is_visible(".wb-help")


def test_g_asks_for_the_generation_prompt_which_is_dashed_and_counted(xray):
    page = xray()
    before = page.inner_text(".wb-pane:nth-child(2) .wb-ph")
    page.focus(".wb-jinja [tabindex='0']")
    page.keyboard.press("g")
    assert page.evaluate("sent.at(-1).generation_prompt") is True
    answer(page)
    assert page.get_attribute(".wb-switch >> nth=0", "aria-checked") == "true"
    assert page.eval_on_selector_all(".wb-text .wb-gen", LIT) == ["<|im_start|>assistant↵\n"]
    assert page.eval_on_selector_all(".wb-tks .wb-gen", LIT) == ["<|im_start|>", "assistant", "↵"]
    assert page.inner_text(".wb-pane:nth-child(2) .wb-ph") != before
    assert "338 characters" in page.inner_text(".wb-pane:nth-child(2) .wb-ph")
    assert "add_generation_prompt=True" in page.inner_text(".wb-code pre")
    assert page.evaluate("document.activeElement.matches('.wb-jinja .wb-l')")


# ---------------------------------------------------------------- editing


def edit(page, source: str) -> None:
    if page.locator("textarea").is_hidden():
        page.click(".wb-switch >> text=Edit")
    page.fill("textarea", source)
    page.wait_for_function("source => sent.at(-1)?.source === source || sent.at(-1)?.source === null", arg=source)


def test_an_edit_changes_exactly_its_text_and_tokens(xray):
    page = xray()
    texts = page.eval_on_selector_all(".wb-text .wb-r", LIT)
    edit(page, THINKING.replace("{{- '<|im_end|>\\n' }}", "{{- '<|im_end|>' }}"))
    answer(page)
    changed = page.eval_on_selector_all(".wb-text .wb-r", LIT)
    assert len(texts) == len(changed)
    different = [(a, b) for a, b in zip(texts, changed, strict=True) if a != b]
    assert different == [("<|im_end|>↵\n", "<|im_end|>")] * 2
    assert "{{- '<|im_end|>' }}" in page.inner_text(".wb-code pre")
    assert "edited" in page.inner_text(".wb-head")


def test_a_syntax_error_is_told_at_its_line_and_the_text_stays(xray):
    page = xray()
    before = page.inner_text(".wb-text")
    lines = THINKING.split("\n")
    lines[3] = "    {%- if '</think>' in %}"
    edit(page, "\n".join(lines))
    answer(page)
    assert page.inner_text(".wb-edit-e").startswith("Line 4.")
    top = page.locator(".wb-edit-bad").bounding_box()["y"] - page.locator("textarea").bounding_box()["y"]
    assert abs(top - (6 + 3 * 19)) < 2
    assert page.inner_text(".wb-text") == before
    assert page.input_value("textarea") == "\n".join(lines)
    assert page.get_attribute("textarea", "aria-invalid") == "true"
    assert page.is_visible(".wb-lost")
    edit(page, THINKING)
    answer(page)
    assert page.is_hidden(".wb-edit-e")
    assert page.is_hidden(".wb-lost")


def test_raise_exception_is_told_at_its_line(xray):
    page = xray()
    edit(page, THINKING.replace("{{- '<|im_end|>\\n' }}", "{{- raise_exception('no thanks') }}"))
    answer(page)
    assert page.inner_text(".wb-edit-e").startswith("Line 8. ")
    assert "no thanks" in page.inner_text(".wb-edit-e")


def test_typing_letters_in_the_editor_is_typing(xray):
    page = xray()
    page.click(".wb-switch >> text=Edit")
    page.focus("textarea")
    page.keyboard.press("Control+End")
    page.keyboard.type("ge?n")
    assert page.input_value("textarea").endswith("ge?n")
    assert page.get_attribute("textarea", "data-lm-suppress-shortcuts") is not None
    page.keyboard.press("Escape")
    assert page.is_hidden("textarea")


def test_late_answers_do_not_overwrite_newer_ones(xray):
    page = xray()
    edit(page, "{{ messages[0].content }}")
    first = page.evaluate("sent.at(-1)")
    edit(page, "{{ messages[1].content }}")
    answer(page)
    page.evaluate("answer => model.receive(answer)", template_answer(first))
    drawn(page)
    assert page.inner_text(".wb-text .wb-field") == wb.samples.thinking[1]["content"]


def test_undo_edits_brings_the_template_back(xray):
    page = xray()
    edit(page, "{{ messages[0].content }}")
    answer(page)
    page.click("text=Undo edits")
    assert page.evaluate("sent.at(-1).source") is None
    answer(page)
    assert page.input_value("textarea") == THINKING
    assert page.locator(".wb-cut").count() == 1


def test_properties_follow_the_edit(xray):
    page = xray()
    edit(page, THINKING.replace("and not loop.last", ""))
    answer(page)
    page.wait_for_function("sent.at(-1).op === 'properties'")
    answer(page)
    assert page.locator(".wb-badge >> text=Not prefix-preserving").count() == 0
    assert page.locator(".wb-badge >> text=Prefix-preserving").count() == 1


# ---------------------------------------------------------------- controls


def test_conversation_is_asked_for_and_the_code_follows(xray):
    page = xray()
    page.get_by_label("Conversation").select_option("tool_call")
    assert page.evaluate("sent.at(-1).conversation") == "tool_call"
    answer(page)
    assert "wb.samples.tool_call" in page.inner_text(".wb-code pre")


def test_without_a_kernel_a_change_says_so_and_is_taken_back(xray):
    page = xray(template_payload(handle=None))
    page.click("text=Generation prompt")
    page.wait_for_selector(".wb-fail >> text=run the cell again")
    assert page.get_attribute(".wb-switch >> nth=0", "aria-checked") == "false"


def test_comparison_shows_both_sides_the_first_difference_and_the_lines(xray):
    page = xray()
    page.get_by_label("Compare with").focus()
    page.get_by_label("Compare with").select_option("chatml")
    answer(page)
    panel = page.locator(".wb-diff")
    assert panel.inner_text().startswith("Different: the first 126 characters are the same")
    assert panel.locator("mark").nth(0).inner_text().startswith("Yes, if you")
    assert panel.locator("mark").nth(1).inner_text().startswith("<think>")
    assert "line " in panel.locator(".wb-side").nth(1).inner_text()


def test_failing_property_is_open_and_its_line_can_be_reached(xray):
    page = xray()
    first = page.locator(".wb-props button").first
    assert first.inner_text() == "Not prefix-preserving"
    assert first.get_attribute("aria-expanded") == "true"
    page.click(".wb-ce .wb-link")
    assert page.evaluate("document.activeElement.dataset.l") == "5"
    assert page.get_attribute(".wb-l[data-l='5']", "aria-selected") == "true"
    first.click()
    assert page.locator(".wb-ce").count() == 0
    assert page.evaluate("document.activeElement.dataset.property") == "prefix_preserving"


def test_tokenizer_can_be_named_where_none_is_known(xray):
    page = xray(tokens=False)
    assert page.locator(".wb-tok").count() == 0
    assert "characters made" in page.inner_text(".wb-pane:nth-child(1) .wb-ph")
    page.get_by_label("Tokenizer").fill("tiny-llama")
    page.keyboard.press("Enter")
    answer(page, tokens=False)
    assert page.locator(".wb-tok").count() > 50
    assert "tokenizer='tiny-llama'" in page.inner_text(".wb-code pre")


def test_a_refused_conversation_is_told_in_the_text_pane(xray):
    source = "{{ messages[0].content }}\n{{ raise_exception('roles must alternate') }}"
    page = xray(source=source)
    assert "Line 2: " in page.inner_text(".wb-refusal")
    assert "roles must alternate" in page.inner_text(".wb-refusal")
    assert page.locator(".wb-l").count() == 2
