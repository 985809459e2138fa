"""The viewer's policy, problems, list, table, copies and finds on a bare page; the test plays the kernel."""

import copy

import pytest
from component_page import nodes_in
from looking import CURRENT, current, questions, reply, tokens_of
from payloads import COOK, cook, finding, long_row, row

pytestmark = pytest.mark.browser

POLICY = {"train_on": "assistant", "train_on_eos": "turn"}


# ---------------------------------------------------------------- policy


def other_row(shown: dict, flip: set[int]) -> dict:
    made = copy.deepcopy(shown)
    for i in flip:
        made["tokens"]["trained"][i] = 1 - made["tokens"]["trained"][i]
    return made


def test_trying_a_policy_changes_those_cells_in_place_and_says_how_many(show):
    shown = row(COOK[:3])
    page = show(shown, handle="enc-1", policy=POLICY, row_count=9)
    page.evaluate("document.querySelectorAll('.wb-tline [data-i]').forEach(n => { n.mark = true; })")
    flip = {3, 4, 5, 20}
    page.select_option("[aria-label=train_on]", "all")
    questions(page, 1)
    assert reply(page, row=other_row(shown, flip), code='enc = data.encode(train_on="all")') == {
        "id": 1, "handle": "enc-1", "op": "row", "position": 0, "policy": {"train_on": "all", "train_on_eos": "turn"},
    }  # fmt: skip
    page.wait_for_selector("text=4 tokens changed")
    cells = page.eval_on_selector_all(
        ".wb-tline [data-i]",
        """nodes => nodes.map(n =>
          [n.mark === true, n.classList.contains('wb-trained'), n.classList.contains('wb-flash')])""",
    )
    assert all(kept for kept, _, _ in cells)
    assert [trained for _, trained, _ in cells] == [bool(flag) for flag in other_row(shown, flip)["tokens"]["trained"]]
    assert {i for i, (_, _, flash) in enumerate(cells) if flash} == flip
    assert page.inner_text(".wb-code pre") == 'enc = data.encode(train_on="all")'
    assert page.get_attribute(".wb-said", "role") == "status"
    page.click("text=Back to what is encoded")
    questions(page, 2)
    assert "policy" not in reply(page, row=shown)
    page.wait_for_function("document.querySelector('.wb-code pre').textContent === 'enc[0]'")
    assert not page.is_visible("text=Back to what is encoded")


def test_only_the_last_of_two_quick_wishes_counts(show):
    shown = row(COOK[:3])
    page = show(shown, handle="enc-1", policy=POLICY)
    page.select_option("[aria-label=train_on]", "all")
    page.select_option("[aria-label=train_on_eos]", "none")
    questions(page, 2)
    assert page.evaluate("sent[1].policy") == {"train_on": "all", "train_on_eos": "none"}
    page.evaluate("a => model.receive(a)", {"id": 2, "row": other_row(shown, {3}), "code": "second"})
    page.evaluate("a => model.receive(a)", {"id": 1, "row": other_row(shown, {4}), "code": "first"})
    page.wait_for_selector(".wb-tokens[aria-busy=false]")
    assert page.inner_text(".wb-code pre") == "second"
    assert page.get_attribute(".wb-tline [data-i='3']", "class").find("wb-trained") >= 0


def test_a_refused_policy_leaves_everything(show):
    shown = row(COOK[:3])
    page = show(shown, handle="enc-1", policy=POLICY)
    page.select_option("[aria-label=train_on]", "completion")
    questions(page, 1)
    reply(page, error="needs a completion")
    page.wait_for_selector("text=needs a completion")
    assert page.input_value("[aria-label=train_on]") == "assistant"
    assert page.inner_text(".wb-code pre") == "enc[0]"


def test_an_output_without_a_kernel_offers_no_policy(show):
    assert not show(row(COOK[:3]), policy=POLICY).is_visible("[aria-label=train_on]")


def test_a_cell_that_changed_is_not_animated_where_motion_is_unwanted(show):
    page = show(row(COOK[:3]))
    page.eval_on_selector(".wb-tline [data-i='3']", "n => n.classList.add('wb-flash')")
    assert page.eval_on_selector(".wb-tline [data-i='3']", "n => getComputedStyle(n).animationName") == "none"


# ---------------------------------------------------------------- problems


def problems() -> list[dict]:
    first = row(
        COOK[:3],
        0,
        [finding("WB126", "warning", "Cut.") | {"token": 40}, finding("WB122", "error", "Typed.") | {"token": 5}],
    )
    return [first, row(COOK[:2], 1, [finding("WB126", "warning", "Cut too.") | {"token": 7}])]


def test_a_finding_stands_at_its_token(show):
    page = show(*problems())
    flagged = page.eval_on_selector_all(".wb-tline .wb-problem", "nodes => nodes.map(n => Number(n.dataset.i))")
    assert flagged == [5, 40]
    assert page.locator(".wb-here").count() == 2


def test_n_keeps_to_the_kind_that_is_chosen(show):
    page = show(*problems())
    kinds = page.eval_on_selector_all(".wb-kinds option", "nodes => nodes.map(n => n.textContent)")
    assert kinds == ["All problems", "Cut inside an answer (2 rows)", "Other (1 row)"]
    page.select_option(".wb-kinds", "cut")
    page.focus(CURRENT)
    page.keyboard.press("n")
    assert current(page) == 40
    page.keyboard.press("n")
    page.wait_for_function("document.querySelector('.wb-title').textContent === 'Row 1'")
    assert current(page) == 7


def test_the_kind_goes_to_the_kernel_too(show):
    page = show(row(COOK[:3]), handle="enc-1", row_count=50, problems={"stop": 3, "cut": 1200})
    assert "Cut inside an answer (1,200 rows)" in page.inner_text(".wb-kinds")
    page.select_option(".wb-kinds", "stop")
    page.click(".wb-nextp")
    questions(page, 1)
    assert page.evaluate("sent[0]") == {"id": 1, "handle": "enc-1", "op": "problem", "after": 0, "kind": "stop"}


# ---------------------------------------------------------------- list of rows


def entries(start: int, count: int) -> list[dict]:
    return [
        {"position": i, "row": i, "title": f"Row {i}", "tokens": 50 + i % 70, "trained": i % 40, "problems": i % 3}
        for i in range(start, start + count)
    ]


def opened(show, **members):
    page = show(row(COOK[:3]), handle="enc-1", row_count=10_000, **members)
    page.focus(CURRENT)
    page.keyboard.press("l")
    questions(page, 1)
    reply(page, rows=entries(0, 100), total=10_000, longest=120)
    page.wait_for_selector(".wb-litem")
    return page


def active(page) -> str:
    return page.evaluate(
        "document.getElementById(document.activeElement.getAttribute('aria-activedescendant')).getAttribute('aria-label')"
    )


def test_the_list_of_10000_rows_has_one_screen_of_them_in_the_page(show):
    page = opened(show)
    assert page.locator(".wb-litem").count() < 20
    assert nodes_in(page, ".wb-card") <= 1000
    assert active(page) == "Row 0: 50 tokens, 0 trained, 0 problems"
    page.keyboard.press("End")
    questions(page, 2)
    asking = page.evaluate("sent[1]")
    assert (asking["op"], asking["start"], asking["count"]) == ("rows", 9900, 100)
    reply(page, rows=entries(9900, 100), total=10_000, longest=120)
    page.wait_for_function("document.querySelector('.wb-lactive').getAttribute('aria-label') !== null")
    assert active(page).startswith("Row 9999: ")
    assert page.get_attribute(".wb-lactive", "aria-posinset") == "10000"


def test_enter_opens_the_row_and_l_closes_the_list(show):
    page = opened(show)
    page.keyboard.press("ArrowDown")
    page.keyboard.press("ArrowDown")
    page.keyboard.press("Enter")
    questions(page, 2)
    assert reply(page, row=row(COOK[:2], 2))["position"] == 2
    page.wait_for_function("document.querySelector('.wb-title').textContent === 'Row 2'")
    assert page.evaluate("document.activeElement.dataset.i") == "0"
    page.keyboard.press("l")
    assert not page.is_visible(".wb-list") and page.locator(".wb-litem").count() == 0


def test_the_list_is_sorted_and_filtered_by_the_kernel(show):
    page = opened(show, problems={"cut": 4})
    page.select_option("[aria-label='Sort by']", "trained")
    questions(page, 2)
    assert reply(page, rows=entries(0, 3), total=3, longest=60)["sort"] == "trained"
    page.fill(".wb-lfilter", "Kipwick")
    questions(page, 3)
    assert reply(page, rows=entries(5, 1), total=1, longest=60)["text"] == "Kipwick"
    page.wait_for_selector("text=1 row")
    page.select_option(".wb-kinds", "cut")
    questions(page, 4)
    assert page.evaluate("sent[3].kind") == "cut" and page.evaluate("sent[3].text") == "Kipwick"


def test_without_a_kernel_the_rows_of_the_output_are_listed(show):
    page = show(row(COOK[:3], 0), row(COOK[:2], 1))
    page.focus(CURRENT)
    page.keyboard.press("l")
    page.wait_for_selector(".wb-litem")
    labels = page.eval_on_selector_all(".wb-litem", "nodes => nodes.map(n => n.getAttribute('aria-label'))")
    assert labels == ["Row 0: 108 tokens, 74 trained, 0 problems", "Row 1: 30 tokens, 0 trained, 0 problems"]


# ---------------------------------------------------------------- table


def test_the_table_has_the_tokens_of_a_page_and_the_same_current_one(show):
    shown = cook()
    page = show(shown)
    page.click(".wb-tline [data-i='33']")
    page.keyboard.press("t")
    assert page.evaluate("document.activeElement.dataset.i") == "33"
    heads = page.eval_on_selector_all(".wb-ttable thead th", "nodes => nodes.map(n => n.textContent)")
    assert heads == ["Index", "Text", "Id", "Label", "Trained", "Role", "Rule", "Field"]
    cells = page.evaluate("[...document.activeElement.children].map(n => n.textContent)")
    identity = str(shown["tokens"]["id"][33])
    assert cells == ["33", "Think", identity, identity, "trained", "assistant", "assistant", "messages[2].content"]
    assert page.get_attribute(".wb-ttable", "aria-rowcount") == str(len(tokens_of(shown)) + 1)
    for _ in range(30):
        page.keyboard.press("ArrowDown")
    assert page.evaluate("document.activeElement.dataset.i") == "63"
    page.click("text=Next tokens")
    page.keyboard.press("t")
    assert current(page) == 90


def test_the_table_of_a_long_row_keeps_under_a_thousand_nodes(show):
    page = show(long_row(100_000))
    page.focus(CURRENT)
    page.keyboard.press("t")
    page.keyboard.press("End")
    assert nodes_in(page, ".wb-card") <= 1000
    assert page.locator(".wb-ttable tbody tr").count() > 0


def test_one_thing_of_the_row_has_tabindex_0_in_either_view(show):
    page = show(row(COOK[:3]))
    page.focus(CURRENT)
    page.keyboard.press("t")
    assert page.locator(".wb-main [tabindex='0']").count() == 1
    page.keyboard.press("t")
    assert page.locator(".wb-main [tabindex='0']").count() == 1


# ---------------------------------------------------------------- finds and copies


def test_enter_and_shift_enter_go_from_place_to_place_and_count_them(show):
    shown = row([("user", "one two one"), ("assistant", "two one two")])
    places = [i for i, text in enumerate(tokens_of(shown)) if text.strip() == "one"]
    page = show(shown)
    page.focus(CURRENT)
    page.keyboard.press("/")
    page.keyboard.type("ONE")
    for turn, count in ((places[0], "1 of 3"), (places[1], "2 of 3"), (places[2], "3 of 3"), (places[0], "1 of 3")):
        page.keyboard.press("Enter")
        page.wait_for_function("words => document.querySelector('.wb-found').textContent === words", arg=count)
        assert current(page) == turn
    page.keyboard.press("Shift+Enter")
    page.wait_for_function("document.querySelector('.wb-found').textContent === '3 of 3'")
    assert page.evaluate("document.activeElement.className").find("wb-find") >= 0


def test_finds_go_on_in_other_rows(show):
    page = show(row([("user", "alpha")], 0), handle="enc-1", row_count=20)
    page.focus(CURRENT)
    page.keyboard.press("/")
    page.keyboard.type("beta")
    page.keyboard.press("Enter")
    questions(page, 1)
    assert reply(page, position=4, rows=2)["op"] == "find"
    questions(page, 2)
    reply(page, position=4, rows=2)
    questions(page, 3)
    reply(page, row=row([("user", "so beta and beta")], 4))
    page.wait_for_function("document.querySelector('.wb-found').textContent === '1 of 2, in 2 rows'")


def test_a_copy_is_asked_of_the_kernel_and_put_on_the_clipboard(show):
    page = show(row(COOK[:3]), handle="enc-1")
    page.evaluate(
        """Object.defineProperty(navigator, 'clipboard', {
          value: { writeText: text => { window.copied = text; return Promise.resolve(); } }
        })"""
    )
    page.click(".wb-menubtn")
    page.click("text=axolotl's debug format")
    questions(page, 1)
    assert reply(page, text="red green")["format"] == "axolotl"
    page.wait_for_function("window.copied === 'red green'")
    page.wait_for_selector("text=Row 0 is on the clipboard, 9 characters")
