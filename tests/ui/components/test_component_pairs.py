"""The pair card as a user meets it: what it shows, its keys, its kernel side."""

import pytest
from component_page import nodes_in, open_component
from pair_payloads import CHOSEN, REJECTED, pair, pairs_payload, problem
from payloads import HOSTILE

pytestmark = pytest.mark.browser

FOCUSED = "document.activeElement.closest('.wb-part')?.className ?? ''"


@pytest.fixture
def show_pairs(page, widgets):
    """Show a pairs payload."""

    def show(*pairs, **members):
        open_component(page, widgets, "pairs", {"payload": pairs_payload(list(pairs), **members)})
        return page

    return show


def focus(page, part: str) -> None:
    page.focus(f".wb-part-{part} [tabindex='0'][data-i]")


def test_prompt_is_shown_once_and_the_sides_beside_one_another(show_pairs):
    page = show_pairs(pair())
    assert page.locator("text=patient").count() == 1
    chosen, rejected = (page.locator(f".wb-part-{name}").bounding_box() for name in ("chosen", "rejected"))
    assert chosen["y"] == rejected["y"] and chosen["x"] + chosen["width"] <= rejected["x"] + 1
    assert "recipe" in page.inner_text(".wb-part-chosen") and "oven" in page.inner_text(".wb-part-rejected")
    page.set_viewport_size({"width": 560, "height": 1000})
    chosen, rejected = (page.locator(f".wb-part-{name}").bounding_box() for name in ("chosen", "rejected"))
    assert chosen["y"] + chosen["height"] <= rejected["y"] + 1


def test_every_token_of_the_pair_is_there(show_pairs):
    shown = pair()
    page = show_pairs(shown)
    for name, row in (("prompt", shown["prompt"]), ("chosen", shown["chosen"]["row"])):
        drawn = page.locator(f".wb-part-{name} .wb-tline [data-i]").count()
        assert drawn == len(row["tokens"]["id"])


def test_first_difference_has_a_sign_and_words_on_both_sides(show_pairs):
    shown = pair()
    page = show_pairs(shown)
    for name, word in (("chosen", "recipe"), ("rejected", "oven")):
        marked = page.locator(f".wb-part-{name} .wb-parting")
        assert marked.count() == 1 and word in marked.inner_text() and marked.locator("svg").count() == 1
        words = page.inner_text(f".wb-part-{name} .wb-first")
        assert words == f"first difference at token {shown['first_token']}"
    assert "first difference" in page.get_attribute(".wb-part-chosen .wb-parting", "aria-label")


def test_counts_of_each_side(show_pairs):
    shown = pair()
    page = show_pairs(shown)
    for name in ("chosen", "rejected"):
        side = shown[name]
        words = page.inner_text(f".wb-part-{name} .wb-parthead")
        assert f"{side['tokens']} tokens·{side['trained']} trained·none truncated" in words


def test_side_that_ends_first_says_so(show_pairs):
    shown = pair(chosen="Yes it is so", rejected="Yes")
    del shown["rejected"]["row"]["tokens"]["id"][4:]
    for name in shown["rejected"]["row"]["tokens"]:
        del shown["rejected"]["row"]["tokens"][name][4:]
    shown["rejected"] |= {"first": None, "tokens": shown["first_token"]}
    page = show_pairs(shown)
    assert "ends where the sides part" in page.inner_text(".wb-part-rejected .wb-parthead")


def test_equal_sides_say_so_and_d_tells(show_pairs):
    page = show_pairs(pair(chosen="Same.", rejected="Same."))
    assert page.locator(".wb-pairflow .wb-parting").count() == 0
    assert page.inner_text(".wb-pairflow").count("same tokens as the other side") == 2
    focus(page, "chosen")
    page.keyboard.press("d")
    assert page.is_visible("text=Chosen and rejected do not differ.")


def test_arrows_walk_tokens_and_sides_and_d_finds_the_difference(show_pairs):
    page = show_pairs(pair())
    focus(page, "prompt")
    page.keyboard.press("ArrowRight")
    assert page.evaluate("document.activeElement.dataset.i") == "1"
    page.keyboard.press("ArrowDown")
    assert "wb-part-chosen" in page.evaluate(FOCUSED)
    page.keyboard.press("Home")
    page.keyboard.press("d")
    assert "wb-parting" in page.evaluate("document.activeElement.className")
    page.keyboard.press("ArrowDown")
    assert "wb-part-rejected" in page.evaluate(FOCUSED)
    page.keyboard.press("ArrowUp")
    page.keyboard.press("ArrowUp")
    assert "wb-part-prompt" in page.evaluate(FOCUSED)


def test_tab_goes_from_part_to_part(show_pairs):
    page = show_pairs(pair())
    focus(page, "chosen")
    page.keyboard.press("Tab")
    while "wb-part" in page.evaluate("document.activeElement.className"):
        page.keyboard.press("Tab")
    seen = set()
    focus(page, "prompt")
    for _ in range(6):
        page.keyboard.press("Tab")
        seen.add(page.evaluate(FOCUSED).split("wb-part-")[-1].split(" ")[0])
    assert {"chosen", "rejected"} <= seen


def test_inspector_speaks_of_the_token_with_the_focus(show_pairs):
    page = show_pairs(pair())
    focus(page, "rejected")
    page.keyboard.press("d")
    assert "oven" in page.inner_text(".wb-insp .wb-glyph")
    page.keyboard.press("ArrowUp")
    assert "recipe" in page.inner_text(".wb-insp .wb-glyph")
    page.keyboard.press("i")
    assert not page.is_visible(".wb-insp")


def test_j_asks_the_kernel_for_the_next_pair_and_keeps_the_focus(show_pairs):
    page = show_pairs(pair(), handle="enc-1", pair_count=40)
    focus(page, "chosen")
    page.keyboard.press("j")
    page.wait_for_function("sent.length === 1")
    assert page.evaluate("sent[0]") == {"id": 1, "handle": "enc-1", "op": "pair", "position": 1}
    page.evaluate("pair => model.receive({ id: 1, pair })", pair(1, "No.", "Never."))
    page.wait_for_function("document.querySelector('.wb-title').textContent === 'Row 1'")
    assert "wb-part-chosen" in page.evaluate(FOCUSED)
    assert page.inner_text(".wb-code pre") == "enc[1]"


def test_n_asks_for_the_next_pair_with_a_problem(show_pairs):
    page = show_pairs(pair(), handle="enc-1", pair_count=40)
    focus(page, "chosen")
    page.keyboard.press("n")
    page.wait_for_function("sent.length === 1")
    assert page.evaluate("sent[0]") == {"id": 1, "handle": "enc-1", "op": "pair_problem", "after": 0}
    page.evaluate("model.receive({ id: 1, position: null })")
    page.wait_for_selector("text=No pair has a problem.")


def test_findings_margin_and_help(show_pairs):
    page = show_pairs(pair(findings=(problem(),), margin=0.75))
    assert "WB126" in page.inner_text(".wb-tops") and "1 problem" in page.inner_text(".wb-head")
    assert "margin 0.75" in page.inner_text(".wb-head")
    focus(page, "chosen")
    page.keyboard.press("?")
    assert page.is_visible(".wb-keys")


def test_without_a_kernel_other_pairs_are_not_promised(show_pairs):
    page = show_pairs(pair(), pair_count=7)
    page.click("[aria-label='Next pair (j)']")
    page.wait_for_selector("text=Run the cell again to see others.")


def test_hostile_text_is_text(show_pairs):
    page = show_pairs(pair(chosen=HOSTILE[1][1], rejected=HOSTILE[0][1]))
    assert page.evaluate("window.__pwned") is None
    drawn = page.eval_on_selector_all(".wb-part-rejected [data-i]", "nodes => nodes.map(n => n.textContent).join('')")
    assert drawn.startswith("<script>window.__pwned")
    assert page.locator(".wb-pairs script, .wb-pairs img").count() == 0


def test_long_pair_stays_within_the_node_budget(show_pairs):
    words = " and more notes are added to the book" * 900
    page = show_pairs(pair(chosen=CHOSEN + words, rejected=REJECTED + words))
    assert nodes_in(page, ".wb-pairs") <= 1000


@pytest.mark.parametrize(
    ("change", "words"),
    [
        (lambda p: p["pairs"][0].pop("prompt"), "pairs.pairs[0].prompt: expected an object, got undefined"),
        (lambda p: p["pairs"][0]["chosen"].update(first="x"), "pairs.pairs[0].chosen.first: expected a whole number"),
        (lambda p: p.update(pairs=[]), "the payload has no pair"),
    ],
)
def test_payload_of_another_shape_is_refused(show_pairs, change, words):
    page = show_pairs(pair())
    broken = pairs_payload([pair()])
    change(broken)
    message = page.evaluate(
        "p => { try { model.set('payload', p); return ''; } catch (e) { return e.message; } }", broken
    )
    assert words in message
