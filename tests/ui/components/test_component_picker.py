"""The data picker on a bare page in Chromium: what it says, and what it asks the kernel for."""

import pytest
from component_page import open_component
from looking import answer, drawn, focused, sent
from payloads import finding
from picker_payloads import chat_state, pair_state, picker_state

pytestmark = pytest.mark.browser

# ---------------------------------------------------------------- header and evidence


def test_header_says_rows_columns_size_and_that_all_is_read(pick):
    page = pick()
    assert page.inner_text(".wb-head .wb-sub >> nth=0") == "2,000 rows, 5 columns, 1.1 MB, all read"
    assert page.inner_text(".wb-badgebox") == "Detected, 1,999 of 2,000 rows"


def test_while_the_file_is_read_the_header_counts_and_then_says_all_read(pick):
    page = pick()
    page.evaluate("model.set('scan', { done: 40000, running: true })")
    assert "first 40,000 read, the rest is being read" in page.inner_text(".wb-head")
    page.evaluate("model.set('scan', { done: 2000, running: false })")
    assert "all read" in page.inner_text(".wb-head")


def test_evidence_points_from_column_to_role_and_names_the_neighbour(pick):
    page = pick()
    why = page.inner_text(".wb-because")
    assert "Why alpaca" in why
    assert "answer is text in 1,999 of 2,000 rows → output" in why
    assert "Next nearest: prompt_completion, 1,999 of 2,000 rows, which would lose context" in why
    assert "it lacks completion as text" in why
    page.click(".wb-because .wb-link")
    assert sent(page) == [{"kind": "type", "value": "prompt_completion"}]


def test_nothing_detected_names_the_nearest_types_and_what_is_missing(pick):
    state = picker_state()
    page = pick(type=None, rendered=None, lengths=None, types=state["types"], roles=[], absent=[])
    assert page.inner_text(".wb-badgebox") == "Not detected"
    assert page.locator(".wb-because .wb-link").all_inner_texts() == ["alpaca", "prompt_completion"]
    assert "it lacks completion as text" in page.inner_text(".wb-because")
    assert not page.is_visible(".wb-len")


def test_two_types_that_fit_alike_are_asked_about(pick):
    asked = finding("WB513", "warning", "The rows can be read as `alpaca` or as `text`.")
    page = pick(question={"finding": asked, "choices": ["alpaca", "text"]})
    assert page.locator(".wb-which button").all_inner_texts() == ["alpaca", "text"]
    assert "WB513" in page.inner_text(".wb-which")
    assert page.locator(".wb-badge.wb-warn").count() == 1
    page.click(".wb-which button >> nth=1")
    assert sent(page) == [{"kind": "type", "value": "text"}]


def test_chosen_by_hand_is_said(pick):
    assert pick(chosen_by="you").inner_text(".wb-badgebox") == "You chose, 1,999 of 2,000 rows"


def test_a_notice_about_the_file_is_shown_with_its_code(pick):
    page = pick(notices=[finding("WB510", "warning", "The rows are of several types.") | {"row": None}])
    assert "WB510" in page.inner_text(".wb-because")


# ---------------------------------------------------------------- rows that do not fit


def test_a_row_that_does_not_fit_shows_its_values_the_one_at_fault_marked(pick):
    page = pick()
    card = page.inner_text(".wb-misfit")
    assert "WB521" in card and "Row 1,204 does not fit." in card and "answer is null." in card
    assert page.inner_text(".wb-misfit mark") == "null"


def test_counter_examples_are_walked_by_keys_and_the_focus_stays(pick):
    page = pick()
    page.focus("[data-do=next]")
    page.keyboard.press("Enter")
    assert "Row 1,310 does not fit." in page.inner_text(".wb-misfit") and "2 of 3" in page.inner_text(".wb-misfit")
    assert focused(page) == "next"
    page.keyboard.press("Enter")
    page.keyboard.press("Enter")
    assert "Row 1,204" in page.inner_text(".wb-misfit")
    page.click("[data-do=previous]")
    assert "Row 1,999" in page.inner_text(".wb-misfit")
    assert sent(page) == []


def test_leaving_a_row_out_and_taking_it_back(pick):
    page = pick()
    page.focus("[data-do=leave-out]")
    page.keyboard.press("Enter")
    assert sent(page) == [{"kind": "leave_out", "value": 1204}]
    state = picker_state()
    rest = {**state["misfits"], "rows": [], "total": 0}
    answer(page, state | {"misfits": rest, "left_out": [1204]})
    assert "Left out: Row 1,204" in page.inner_text(".wb-left").replace("\n", " ")
    assert focused(page) == "take-back-1204"
    page.keyboard.press("Enter")
    assert sent(page)[1] == {"kind": "take_back", "value": 1204}


def test_a_row_is_shown_whole_and_hidden_again(pick):
    page = pick()
    page.click("[data-do=row]")
    assert sent(page) == [{"kind": "row", "value": 1204}]
    whole = [{"name": "id", "cell": "q-1204", "bad": False}, {"name": "answer", "cell": None, "bad": True}]
    answer(page, picker_state() | {"shown_row": {"row": 1204, "values": whole}})
    assert "q-1204" in page.inner_text(".wb-whole")
    assert page.get_attribute("[data-do=row]", "aria-expanded") == "true"
    page.click("[data-do=row]")
    assert sent(page)[1] == {"kind": "row", "value": None}


# ---------------------------------------------------------------- roles


def test_cells_are_text(pick):
    page = pick()
    assert page.evaluate("window.__pwned") is None
    assert page.locator(".wb-tab img, .wb-tab script").count() == 0
    assert "<script>window.__pwned=5</script>" in page.inner_text(".wb-tab")


def test_role_goes_out_as_a_change_and_the_focus_stays_when_the_state_comes_back(pick):
    page = pick()
    page.focus("[aria-label='Role of column topic']")
    page.select_option("[aria-label='Role of column topic']", "system")
    assert sent(page) == [{"kind": "role", "value": {"column": "topic", "role": "system"}}]
    assert page.get_attribute(".wb-pick", "aria-busy") == "true"
    state = picker_state()
    state["columns"][3]["role"] = "system"
    answer(page, state)
    assert page.evaluate("document.activeElement.getAttribute('aria-label')") == "Role of column topic"
    assert page.locator("thead .wb-used").count() == 4
    assert page.get_attribute(".wb-pick", "aria-busy") is None


def test_role_is_chosen_with_keys_and_applied_with_enter(pick):
    page = pick()
    page.focus("[aria-label='Role of column context']")
    page.keyboard.press("ArrowUp")  # output: nothing is taken from `answer` on the way
    page.keyboard.press("n")
    assert sent(page) == []
    assert "Enter applies it" in page.inner_text("[aria-live=polite]")
    page.keyboard.press("Enter")
    assert sent(page) == [{"kind": "role", "value": {"column": "context", "role": None}}]


def test_escape_takes_a_choice_by_keys_back_and_leaving_applies_it(pick):
    page = pick()
    page.focus("[aria-label='Role of column context']")
    page.keyboard.press("n")
    page.keyboard.press("Escape")
    assert page.input_value("[aria-label='Role of column context']") == "input"
    page.keyboard.press("n")
    page.keyboard.press("Tab")
    assert sent(page) == [{"kind": "role", "value": {"column": "context", "role": None}}]


def test_required_role_without_a_column_is_said_in_words(pick):
    page = pick(absent=["output"])
    assert "No column is output, which this type needs." in page.inner_text(".wb-absent")


def test_messages_in_a_cell_are_read_as_role_and_text(pick):
    page = pick(**chat_state())
    lines = page.locator(".wb-said p").all_inner_texts()
    assert lines == ["customer: It broke.", "gpt: <b>Sorry</b> to hear that.", "4 more messages"]


def test_unknown_speaker_comes_first_marked_and_gets_a_role(pick):
    page = pick(**chat_state())
    first = page.locator(".wb-speaker").first
    assert "customer" in first.inner_text() and "1,204 messages" in first.inner_text()
    assert "unknown" in first.inner_text() and "wb-unknown" in first.get_attribute("class")
    page.select_option("[aria-label='Role of speaker customer']", "user")
    assert sent(page) == [{"kind": "speaker", "value": {"spelling": "customer", "role": "user"}}]


def test_options_wait_behind_one_word(pick):
    page = pick(**chat_state())
    assert not page.is_visible("[data-option=train_on]")
    page.focus(".wb-further summary")
    page.keyboard.press("Enter")
    page.select_option("[data-option=train_on]", "all")
    page.check("[data-option=split_thinking]")
    page.fill("[data-option=default_system_message]", "Be brief.")
    page.keyboard.press("Tab")
    assert [change["value"] for change in sent(page)] == [
        {"name": "train_on", "value": "all"},
        {"name": "split_thinking", "value": True},
        {"name": "default_system_message", "value": "Be brief."},
    ]


def test_no_option_no_disclosure(pick):
    assert not pick().is_visible(".wb-further")


# ---------------------------------------------------------------- template


def test_templates_are_grouped_and_the_tokenizers_own_comes_first(pick):
    page = pick()
    labels = page.eval_on_selector_all(".wb-tp optgroup", "nodes => nodes.map(n => n.label)")
    assert labels == ["From the tokenizer", "Wording of this type", "Shipped"]
    page.select_option(".wb-tp select", "chatml")
    assert sent(page) == [{"kind": "template", "value": "chatml"}]


def test_rendered_row_marks_what_is_trained(pick):
    page = pick()
    assert page.inner_text(".wb-prev mark") == "Keep it below 65 °C and add the bu…<|im_end|>"


def test_a_template_that_refuses_the_row_says_so_with_its_code(pick):
    refusal = finding("WB104", "error", "Roles must alternate.", remedy="Join the messages.")
    state = picker_state()
    page = pick(rendered=None, template=state["template"] | {"refusal": refusal})
    assert "WB104" in page.inner_text(".wb-rend") and "Join the messages." in page.inner_text(".wb-rend")


def test_a_pair_shows_prompt_chosen_and_rejected_with_the_first_difference(pick):
    page = pick(**pair_state())
    assert [text.lower() for text in page.locator(".wb-part .wb-label").all_inner_texts()] == [
        "shared prompt",
        "chosen",
        "rejected",
    ]
    assert page.locator(".wb-differs").all_inner_texts() == ["4", "5"]


def test_an_unwanted_answer_is_called_one(pick):
    rendered = picker_state()["rendered"] | {"desirable": False}
    assert "Unwanted answer" in pick(rendered=rendered).inner_text(".wb-rend")


# ---------------------------------------------------------------- every state


def test_refused_change_is_told_and_the_state_shown_as_it_was(pick):
    page = pick()
    page.select_option(".wb-head select", "prompt_completion")
    page.select_option("[aria-label='Role of column topic']", "system")
    page.evaluate("model.receive({ error: \"Column 'answer' is used twice. [WB505]\" })")
    assert "used twice" in page.inner_text(".wb-pick > .wb-error")
    assert page.input_value(".wb-head select") == "alpaca"
    assert page.input_value("[aria-label='Role of column topic']") == ""
    assert page.get_attribute(".wb-pick", "aria-busy") is None


def test_what_a_change_led_to_is_said_to_a_screen_reader(pick):
    page = pick()
    page.select_option("[aria-label='Role of column answer']", "")
    answer(page, picker_state() | {"absent": ["output"], "fit": {"rows": 0, "total": 2000}})
    said = page.inner_text("[aria-live=polite]")
    assert "Detected, 0 of 2,000 rows" in said and "No column is output" in said


def test_every_control_has_a_name(pick):
    page = pick(**chat_state())
    page.click(".wb-further summary")
    nameless = page.evaluate(
        """() => [...document.querySelectorAll('.wb-pick :is(select, input, button, [role=slider], [role=region])')]
          .filter(node => !(node.getAttribute('aria-label') || node.labels?.[0]?.textContent.trim() ||
                            node.textContent.trim()))
          .map(node => node.outerHTML)"""
    )
    assert nameless == []


@pytest.mark.parametrize("make", [picker_state, chat_state, pair_state])
def test_narrow_card_stays_in_its_width(page, widgets, make):
    page.set_viewport_size({"width": 560, "height": 900})
    open_component(page, widgets, "picker", {"state": make()})
    drawn(page)
    wide = page.evaluate(
        """() => {
          const card = document.querySelector('.wb-pick').getBoundingClientRect();
          return [...document.querySelectorAll('.wb-pick *')]
            .filter(node => !node.closest('.wb-tscroll, svg, .wb-vh, pre') &&
                            node.getBoundingClientRect().right > card.right + 1)
            .map(node => node.className);
        }"""
    )
    assert wide == []


def test_forced_colors_keep_line_and_marks(browser, widgets):
    context = browser.new_context(forced_colors="active")
    page = context.new_page()
    open_component(page, widgets, "picker", {"state": picker_state()})
    drawn(page)
    line, back = page.evaluate(
        """() => [getComputedStyle(document.querySelector('.wb-ml')).stroke,
                  getComputedStyle(document.querySelector('.wb-card')).backgroundColor]"""
    )
    assert line != back
    border = page.eval_on_selector(".wb-prev mark", "node => getComputedStyle(node).borderBottomStyle")
    assert border == "solid"
    context.close()


def test_reduced_motion_stops_the_fading_in(pick):
    page = pick()
    page.select_option("[aria-label='Role of column topic']", "system")
    assert page.eval_on_selector(".wb-busy", "node => getComputedStyle(node).animationName") == "none"
