"""The token-mask viewer and the data picker on a bare page in Chromium; what they say is read from the DOM."""

import pytest
from component_page import nodes_in
from looking import CURRENT, current, drawn, tokens_of, top_of
from payloads import COOK, HOSTILE, cook, finding, long_row, packed, row

pytestmark = pytest.mark.browser


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
    assert chips == ["20 f0 9f", "8d", "b3\U0001f373"]


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
            {
                "state": "differs",
                "step": 12,
                "difference": {"key": "labels", "index": [0, 7], "ours": -100, "theirs": 5},
            },
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
