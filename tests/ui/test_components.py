"""The token-mask viewer and the data picker on a bare page in Chromium; what they say is read from the DOM."""

import copy

import pytest
from component_page import nodes_in, open_component
from payloads import COOK, HOSTILE, cook, finding, long_row, packed, payload, picker_state, row

pytestmark = pytest.mark.browser

CURRENT = ".wb-tline [tabindex='0']"


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


def current(page) -> int:
    """Index of the token that has tabindex 0; there is exactly one."""
    found = page.eval_on_selector_all(CURRENT, "nodes => nodes.map(node => Number(node.dataset.i))")
    assert len(found) == 1
    return found[0]


def top_of(page, token: int) -> float:
    """Where a token stands, in pixels from the top of the page."""
    return page.locator(f".wb-tline [data-i='{token}']").first.bounding_box()["y"]


def drawn(page) -> None:
    """Let the page draw what a scroll or a new width asks for."""
    page.evaluate("() => new Promise(done => requestAnimationFrame(() => requestAnimationFrame(() => setTimeout(done))))")


def tokens_of(shown_row) -> list[str]:
    return shown_row["tokens"]["text"]


# ---------------------------------------------------------------- what is shown


def test_header_counts_tokens_trained_tokens_and_characters(show):
    shown = cook()
    page = show(shown)
    trained = sum(shown["tokens"]["trained"])
    counts = page.inner_text(".wb-counts")
    assert f"{len(tokens_of(shown))} tokens" in counts
    assert f"{trained} trained ({trained / len(tokens_of(shown)):.0%})" in counts
    assert f"{shown['characters']} characters" in counts
    assert "none truncated" in counts
    assert page.inner_text(".wb-head .wb-badge") == "2 problems"


def test_truncation_is_said_with_its_number(show):
    page = show(cook() | {"truncated": 1234})
    assert "1,234 truncated" in page.inner_text(".wb-counts")


def test_trained_tokens_are_exactly_those_with_a_label(show):
    shown = row(COOK[:3])
    page = show(shown)
    trained = page.eval_on_selector_all(
        ".wb-tline .wb-trained", "nodes => [...new Set(nodes.map(n => Number(n.dataset.i)))]"
    )
    assert trained == [i for i, label in enumerate(shown["tokens"]["trained"]) if label]


def test_each_message_is_a_row_with_its_role_and_counts(show):
    page = show(row(COOK[:3]))
    labels = page.eval_on_selector_all(".wb-turn", "nodes => nodes.map(n => n.getAttribute('aria-label'))")
    assert labels == [
        "message 0, system, 19 masked",
        "message 1, user, 11 masked",
        "message 2, assistant, 74 of 78 trained",
    ]


def test_hostile_text_stays_text(show):
    page = show(row(HOSTILE) | {"title": HOSTILE[0][1]}, title=HOSTILE[0][1], code=HOSTILE[0][1])
    page.hover(".wb-tline [data-i='3']")
    assert page.evaluate("window.__pwned") is None
    assert page.locator("#host script, #host img, #host b[onmouseover]").count() == 0
    assert "<script>window.__pwned" in page.inner_text(".wb-toks").replace("\n", "")
    assert page.inner_text(".wb-title") == HOSTILE[0][1]


def test_marks_that_turn_or_hide_text_are_named_chips(show):
    page = show(row(HOSTILE))
    chips = page.eval_on_selector_all(".wb-tline .wb-hid", "nodes => nodes.map(n => n.textContent)")
    assert {"RLO", "PDF", "ZWSP", "NUL", "ESC", "BOM"} <= set(chips)
    shown = page.inner_text(".wb-toks")
    assert not any(hidden in shown for hidden in "\u202e\u202c\u200b\ufeff\x00\x1b")


def test_newline_of_the_data_breaks_the_line_and_one_of_the_template_does_not(show):
    shown = row([("user", "first\nsecond")])
    page = show(shown)
    texts = tokens_of(shown)
    template_newline, first, second = texts.index("\n"), texts.index("first"), texts.index("second")
    assert top_of(page, template_newline) == top_of(page, first)
    assert top_of(page, second) > top_of(page, first)


def test_part_of_a_character_is_a_chip_with_its_bytes(show):
    page = show(cook())
    chips = page.eval_on_selector_all(".wb-tline .wb-bytes", "nodes => nodes.map(n => n.textContent)")
    assert chips == ["20 f0 9f", "8d", "b3"]


def test_right_to_left_text_is_isolated(show):
    page = show(row(COOK[5:]))
    isolates = page.eval_on_selector_all(
        ".wb-tline bdi", "nodes => nodes.map(n => [n.dir, getComputedStyle(n).unicodeBidi])"
    )
    assert isolates and all(isolate == ["rtl", "isolate"] for isolate in isolates)


def test_finding_stands_under_its_message_and_one_without_a_place_on_top(show):
    page = show(cook())
    assert "WB501" in page.inner_text(".wb-tops")
    assert "WB305" in page.inner_text(".wb-here")
    assistant = page.locator(".wb-turn", has_text="74 of 78 trained").bounding_box()
    here = page.locator(".wb-here").bounding_box()
    assert here["y"] >= assistant["y"] + assistant["height"] - 1


def test_inspector_tells_id_bytes_characters_label_field_template_line_and_rule(show):
    shown = row(COOK[:3])
    token = tokens_of(shown).index("Think")
    page = show(shown)
    page.click(f".wb-tline [data-i='{token}']")
    facts = page.inner_text(".wb-insp").replace("\n", " ")
    start = shown["tokens"]["start"][token]
    assert f"Characters {start} to {start + 5}" in facts
    assert "Bytes 54 68 69 6e 6b" in facts
    assert f"Label {shown['tokens']['id'][token]:,}" in facts
    assert "Role assistant, message 2" in facts
    assert "Field messages[2].content" in facts
    assert "Template chatml, line 3" in facts and "message.content + '<|im_end|>'" in facts
    assert "Trained These characters come from an assistant message" in facts


def test_masked_token_shows_the_ignored_label(show):
    page = show(row(COOK[:3]))
    assert "Label\n−100 (ignored)" in page.inner_text(".wb-insp")


def test_packed_row_shows_documents_restarts_and_one_chip_for_padding(show):
    shown = packed()
    page = show(shown, kind="batch")
    page.focus(CURRENT)
    assert "Data row 14" in page.inner_text(".wb-doc >> nth=0")
    second = shown["documents"][1]["start"]
    page.keyboard.press("Shift+ArrowRight")
    page.keyboard.press("Shift+ArrowRight")
    assert current(page) == second
    assert "0, restarts here" in page.inner_text(".wb-insp") and "Data row\n3" in page.inner_text(".wb-insp")
    page.keyboard.press("End")
    assert page.inner_text(CURRENT) == "41 padding"


def test_document_border_tells_the_position_the_model_really_gets(show):
    shown = packed()
    second = shown["documents"][1]["start"]
    shown["tokens"]["position"] = list(range(len(shown["tokens"]["id"])))
    page = show(shown, kind="batch")
    assert f"positions go on at {second}" in page.inner_text(".wb-doc >> nth=1")


@pytest.mark.parametrize(
    ("badge", "words"),
    [
        ({"state": "agrees", "step": 12, "difference": None}, "Agrees with step 12"),
        ({"state": "unchecked", "step": None, "difference": None}, "Not checked"),
        (
            {"state": "differs", "step": 12, "difference": {"key": "labels", "index": [0, 7], "ours": -100, "theirs": 5}},
            "Differs from step 12",
        ),
    ],
)
def test_agreement_is_a_sign_and_words(show, badge, words):
    page = show(packed(), badge=badge)
    shown = page.locator(".wb-head .wb-badge").first
    assert shown.inner_text() == words
    assert shown.locator("svg").count() == 1
    if badge["difference"]:
        assert "labels[0, 7], ours -100, received 5" in page.inner_text(".wb-tops")


def test_row_without_tokens_says_so_and_shows_its_finding(show):
    page = show(row([], findings=[finding("WB504", "error", "Row 0 is empty.")]))
    assert "This row has no tokens." in page.inner_text(".wb-tops")
    assert "WB504" in page.inner_text(".wb-tops")


# ---------------------------------------------------------------- size


def test_row_of_100000_tokens_keeps_under_a_thousand_nodes_wherever_one_looks(show):
    shown = long_row(100_000)
    assert len(tokens_of(shown)) >= 100_000
    page = show(shown)
    seen = [nodes_in(page, ".wb-card")]
    for share in (0.1, 0.5, 0.9, 1):
        page.eval_on_selector(".wb-toks", "(node, share) => { node.scrollTop = share * node.scrollHeight; }", share)
        drawn(page)
        seen.append(nodes_in(page, ".wb-card"))
        assert page.locator(".wb-tline").count() > 5
    assert max(seen) <= 1000


def test_row_of_short_tokens_keeps_under_a_thousand_nodes(show):
    page = show(row([("assistant", "a-" * 20_000)]))
    assert nodes_in(page, ".wb-card") <= 1000
    page.focus(CURRENT)
    page.keyboard.press("End")
    assert nodes_in(page, ".wb-card") <= 1000


def test_lines_follow_each_other_without_a_gap_when_scrolled(show):
    page = show(long_row(20_000))
    for top in (1000, 1010, 5000, 4000):
        page.eval_on_selector(".wb-toks", "(node, top) => { node.scrollTop = top; }", top)
        drawn(page)
        first, last, count = page.evaluate(
            """() => {
              const tokens = [...document.querySelectorAll('.wb-tline [data-i]')].map(n => Number(n.dataset.i));
              return [tokens[0], tokens.at(-1), new Set(tokens).size];
            }"""
        )
        assert count == last - first + 1


# ---------------------------------------------------------------- keys


def test_one_token_is_in_the_tab_order_and_arrows_move_it(show):
    page = show(row(COOK[:3]))
    page.focus(CURRENT)
    page.keyboard.press("ArrowRight")
    page.keyboard.press("ArrowRight")
    assert current(page) == 2
    page.keyboard.press("ArrowLeft")
    assert current(page) == 1
    assert page.evaluate("document.activeElement.dataset.i") == "1"
    page.keyboard.press("Shift+ArrowRight")
    assert current(page) == 19
    page.keyboard.press("Home")
    assert current(page) == 0


def test_focused_token_is_named_for_readers(show):
    page = show(row(COOK[:3]))
    page.focus(CURRENT)
    assert page.get_attribute(CURRENT, "aria-label") == "special token <|im_start|>, masked"


def test_end_of_a_long_row_is_reached_and_focused(show):
    shown = long_row(20_000)
    page = show(shown)
    page.focus(CURRENT)
    page.keyboard.press("End")
    assert current(page) == len(tokens_of(shown)) - 1
    assert page.evaluate("document.activeElement.dataset.i") == str(len(tokens_of(shown)) - 1)


def test_keys_do_nothing_until_the_tokens_have_the_focus(show):
    page = show(row(COOK[:3], 0), row(COOK[:2], 1))
    page.focus("#before")
    for key in ("j", "w", "c", "n", "ArrowRight", "?"):
        page.keyboard.press(key)
    assert page.inner_text(".wb-title") == "Row 0"
    assert page.get_attribute(".wb-tokens", "data-ws") == "on"
    assert page.get_attribute(".wb-tokens", "data-colour") == "trained"
    assert current(page) == 0


def test_plain_keys_are_kept_from_lab_and_keys_with_ctrl_are_not(show):
    page = show(row(COOK[:3]))
    page.focus(CURRENT)
    page.keyboard.press("ArrowRight")
    assert page.get_attribute(".wb-toks", "data-lm-suppress-shortcuts") is not None
    page.keyboard.press("Control+b")
    assert page.get_attribute(".wb-toks", "data-lm-suppress-shortcuts") is None


def test_j_and_k_change_the_row_and_keep_the_focus(show):
    page = show(row(COOK[:3], 0), row(COOK[:2], 1))
    page.focus(CURRENT)
    page.keyboard.press("j")
    page.wait_for_function("document.querySelector('.wb-title').textContent === 'Row 1'")
    assert page.evaluate("document.activeElement.dataset.i") == "0"
    assert page.inner_text("[aria-live=polite]").startswith("Row 1: 30 tokens, 0 trained")
    assert page.inner_text(".wb-code pre") == "enc[1]"
    page.keyboard.press("k")
    page.wait_for_function("document.querySelector('.wb-title').textContent === 'Row 0'")


def test_n_goes_to_the_token_of_the_next_problem(show):
    shown = cook()
    page = show(shown)
    page.focus(CURRENT)
    page.keyboard.press("n")
    assert current(page) == tokens_of(shown).index("Think")


def test_w_c_i_and_question_mark_switch(show):
    page = show(row(COOK[:3]))
    page.focus(CURRENT)
    page.keyboard.press("w")
    assert page.get_attribute(".wb-tokens", "data-ws") == "off"
    page.keyboard.press("c")
    assert page.get_attribute(".wb-tokens", "data-colour") == "role"
    page.keyboard.press("c")
    assert page.get_attribute(".wb-tokens", "data-colour") == "source"
    page.keyboard.press("i")
    assert not page.is_visible(".wb-insp")
    page.keyboard.press("?")
    assert page.is_visible(".wb-keys")


def test_slash_finds_text_across_tokens_and_ids(show):
    shown = cook()
    page = show(shown)
    page.focus(CURRENT)
    page.keyboard.press("/")
    page.keyboard.type("explain lora")
    page.keyboard.press("Enter")
    assert current(page) == tokens_of(shown).index("Explain")
    page.keyboard.press("/")
    page.keyboard.type(str(shown["tokens"]["id"][tokens_of(shown).index("Think")]))
    page.keyboard.press("Enter")
    assert current(page) == tokens_of(shown).index("Think")


def test_escape_gives_the_focus_back(show):
    page = show(row(COOK[:3]))
    page.evaluate("document.getElementById('host').tabIndex = -1")
    page.focus(CURRENT)
    page.keyboard.press("Escape")
    assert page.evaluate("document.activeElement.id") == "host"


def test_click_on_the_map_jumps(show):
    shown = long_row(20_000)
    page = show(shown)
    box = page.locator(".wb-map").bounding_box()
    page.mouse.click(box["x"] + box["width"] / 2, box["y"] + 20)
    assert abs(current(page) - len(tokens_of(shown)) / 2) < len(tokens_of(shown)) / 100


def test_copy_takes_the_characters_of_the_data(show):
    page = show(row([("assistant", "two  spaces\nnew line")]))
    copied = page.evaluate(
        """() => {
          const tokens = document.querySelectorAll('.wb-tline [data-i]');
          getSelection().setBaseAndExtent(tokens[3], 0, [...tokens].find(n => n.textContent === 'line'), 1);
          const data = new DataTransfer();
          const event = new ClipboardEvent('copy', { clipboardData: data, bubbles: true, cancelable: true });
          document.querySelector('.wb-toks').dispatchEvent(event);
          return data.getData('text/plain');
        }"""
    )
    assert copied == "two  spaces\nnew line"


# ---------------------------------------------------------------- the kernel's side


def test_row_that_is_not_in_the_output_is_asked_of_the_kernel(show):
    page = show(row(COOK[:3], 0), handle="enc-1", row_count=2000)
    page.fill(".wb-rowno", "17")
    page.keyboard.press("Enter")
    page.wait_for_function("sent.length === 1")
    asked = page.evaluate("sent[0]")
    assert asked == {"id": 1, "handle": "enc-1", "op": "row", "position": 17}
    page.evaluate("row => model.receive({ id: 1, row })", row(COOK[:2], 17))
    page.wait_for_function("document.querySelector('.wb-title').textContent === 'Row 17'")
    assert page.input_value(".wb-rowno") == "17"
    assert page.inner_text(".wb-code pre") == "enc[17]"


def test_refusal_of_the_kernel_is_shown_and_the_row_stays(show):
    page = show(row(COOK[:3], 0), handle="enc-1", row_count=2000)
    page.click("[aria-label='Next row (j)']")
    page.wait_for_function("sent.length === 1")
    page.evaluate("model.receive({ id: 1, error: 'This output is from an earlier kernel.' })")
    page.wait_for_selector("text=This output is from an earlier kernel.")
    assert page.inner_text(".wb-title") == "Row 0"


def test_without_a_kernel_object_other_rows_are_not_promised(show):
    page = show(row(COOK[:3], 0), row_count=2000)
    page.click("[aria-label='Next row (j)']")
    page.wait_for_selector("text=Run the cell again to see others.")


def test_next_problem_looks_in_rows_that_are_not_here(show):
    page = show(row(COOK[:3], 0), handle="enc-1", row_count=2000)
    page.click(".wb-nextp")
    page.wait_for_function("sent.length === 1")
    assert page.evaluate("sent[0]") == {"id": 1, "handle": "enc-1", "op": "problem", "after": 0}
    page.evaluate("model.receive({ id: 1, position: 40 })")
    page.wait_for_function("sent.length === 2")
    page.evaluate("row => model.receive({ id: 2, row })", cook(40))
    page.wait_for_function("document.querySelector('.wb-title').textContent === 'Row 40'")
    assert current(page) == tokens_of(cook(40)).index("Think")


def test_insert_hands_the_code_to_the_notebook(show):
    page = show(row(COOK[:3]))
    page.evaluate("document.addEventListener('wb-insert-code', e => { window.inserted = e.detail.code; e.preventDefault(); })")
    page.click("text=Insert as cell")
    assert page.evaluate("inserted") == "enc[0]"
    page.wait_for_selector("text=Inserted below")


@pytest.mark.parametrize(
    ("change", "words"),
    [
        (lambda p: p["rows"][0]["tokens"]["trained"].pop(), "tokens.rows[0].tokens.trained: expected 108 items"),
        (lambda p: p["rows"][0]["tokens"]["id"].__setitem__(3, "x"), 'tokens.rows[0].tokens.id[3]: expected a number, got "x"'),
        (lambda p: p.update(version=2), "tokens.version: expected one of 1, got 2"),
        (lambda p: p.pop("reasons"), "tokens.reasons: expected an object, got undefined"),
    ],
)
def test_payload_of_another_shape_is_refused_by_the_name_of_the_field(show, change, words):
    page = show(row(COOK[:3]))
    broken = copy.deepcopy(payload([row(COOK[:3])]))
    change(broken)
    message = page.evaluate("p => { try { model.set('payload', p); return ''; } catch (e) { return e.message; } }", broken)
    assert words in message


def test_update_of_the_payload_shows_the_new_row(show):
    page = show(row(COOK[:3]))
    page.evaluate("p => model.set('payload', p)", payload([row(COOK[:2])]))
    assert "30 tokens" in page.inner_text(".wb-counts")


def test_closing_removes_every_listener_of_the_widget(show):
    page = show(row(COOK[:3]))
    page.evaluate("closeWidget()")
    page.evaluate("p => model.set('payload', p)", payload([row(COOK[:2])]))
    assert "108 tokens" in page.inner_text(".wb-counts")


# ---------------------------------------------------------------- look


def test_narrow_card_puts_the_inspector_below(show):
    page = show(row(COOK[:3]))
    assert page.locator(".wb-insp").bounding_box()["x"] > page.locator(".wb-toks").bounding_box()["x"]
    page.set_viewport_size({"width": 560, "height": 1000})
    tokens = page.locator(".wb-toks").bounding_box()
    inspector = page.locator(".wb-insp").bounding_box()
    assert inspector["x"] == tokens["x"]
    assert inspector["y"] >= tokens["y"] + tokens["height"] - 1
    overflow = page.evaluate("document.documentElement.scrollWidth - document.documentElement.clientWidth")
    assert overflow == 0


def test_lines_stay_inside_the_card_at_any_width(show):
    page = show(cook())
    for width in (1400, 960, 700, 480):
        page.set_viewport_size({"width": width, "height": 1000})
        drawn(page)
        over = page.evaluate(
            """() => Math.max(...[...document.querySelectorAll('.wb-tline')].map(line => {
              const right = line.parentElement.getBoundingClientRect().right;
              return Math.max(...[...line.querySelectorAll('[data-i]')].map(n => n.getBoundingClientRect().right - right));
            }))"""
        )
        assert over <= 2


def test_trained_is_told_without_colours(browser, widgets):
    context = browser.new_context(forced_colors="active")
    page = context.new_page()
    open_component(page, widgets, "tokens", {"payload": payload([row(COOK[:3])])})
    border = page.eval_on_selector(".wb-tline .wb-trained", "n => getComputedStyle(n).borderBottom")
    assert border.startswith("2px solid")
    context.close()


# ---------------------------------------------------------------- picker


def test_picker_shows_why_it_chose_the_type_and_what_is_next(pick):
    page = pick()
    assert page.inner_text(".wb-badgebox") == "Detected, 1,999 of 2,000 rows"
    why = page.inner_text(".wb-why")
    assert "answer is text in 1,999 of 2,000 rows → output" in why
    assert "Next nearest: prompt-completion" in why and "would lose context" in why
    assert "WB503" in why


def test_picker_cells_are_text(pick):
    page = pick()
    assert page.evaluate("window.__pwned") is None
    assert page.locator(".wb-tab img, .wb-tab script").count() == 0
    assert "<script>window.__pwned=5</script>" in page.inner_text(".wb-tab")


def test_role_goes_out_as_a_change_and_the_focus_stays_when_the_state_comes_back(pick):
    page = pick()
    page.focus("[aria-label='Role of column topic']")
    page.select_option("[aria-label='Role of column topic']", "system")
    assert page.evaluate("sent") == [{"kind": "role", "value": {"column": "topic", "role": "system"}}]
    state = picker_state()
    state["columns"][3]["role"] = "system"
    page.evaluate("s => model.set('state', s)", state)
    assert page.evaluate("document.activeElement.getAttribute('aria-label')") == "Role of column topic"
    assert page.locator("thead .wb-used").count() == 4


def test_type_can_be_chosen_by_its_link(pick):
    page = pick()
    page.click(".wb-why .wb-link")
    assert page.evaluate("sent") == [{"kind": "type", "value": "prompt-completion"}]


def test_arrow_moves_max_length_by_one_bar_and_the_code_underlines_it(pick):
    page = pick()
    page.focus(".wb-range")
    page.keyboard.press("ArrowLeft")
    assert page.evaluate("sent") == [{"kind": "max_length", "value": 960}]
    page.keyboard.press("Shift+ArrowRight")
    assert page.evaluate("sent[1].value") == 961
    state = picker_state()
    page.evaluate("s => model.set('state', s)", state | {"max_length": 961, "code": state["code"].replace("1024", "961")})
    assert page.eval_on_selector_all(".wb-changed", "nodes => nodes.map(n => n.textContent)") == ["961"]
    assert page.evaluate("document.activeElement.className") == "wb-range"


def test_bars_at_and_above_max_length_are_hatched(pick):
    page = pick()
    assert page.locator(".wb-hist .wb-over").count() == 16
    page.focus(".wb-range")
    page.keyboard.press("ArrowLeft")
    assert page.locator(".wb-hist .wb-over").count() == 17


def test_refused_change_is_told_and_the_state_shown_as_it_was(pick):
    page = pick()
    page.select_option(".wb-head select", "prompt-completion")
    page.evaluate("model.receive({ error: \"Column 'answer' is used twice. [WB505]\" })")
    assert "used twice" in page.inner_text(".wb-pick > .wb-error")
    assert page.input_value(".wb-head select") == "alpaca"


def test_nothing_detected_names_the_nearest_types(pick):
    page = pick(type=None, rendered=None, lengths=None)
    assert page.inner_text(".wb-badgebox") == "Not detected"
    assert page.locator(".wb-why .wb-link").all_inner_texts() == ["alpaca", "prompt-completion"]
    assert not page.is_visible(".wb-len")


def test_rendered_row_marks_what_is_trained(pick):
    page = pick()
    assert page.inner_text(".wb-prev mark") == "Keep it below 65 °C and add the bu…<|im_end|>"
