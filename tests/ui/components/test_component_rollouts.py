"""The rollouts card as a user meets it: what it shows, its keys, its kernel side."""

import pytest
from component_page import nodes_in, open_component
from payloads import HOSTILE, finding, row
from rollout_payloads import completion, group, rollouts_payload

pytestmark = pytest.mark.browser


@pytest.fixture
def show_rollouts(page, widgets):
    """Show a rollouts payload."""

    def show(*groups, **members):
        open_component(page, widgets, "rollouts", {"payload": rollouts_payload(list(groups), **members)})
        return page

    return show


def numbers(page) -> list[str]:
    """Numbers of the completions from top to bottom."""
    return page.locator(".wb-rolltable tbody th").all_inner_texts()


def opened(page) -> str:
    return page.inner_text(".wb-opened .wb-parthead h4")


def focus_list(page) -> None:
    page.focus(".wb-rolltable tr[tabindex='0']")


def test_completions_are_sorted_by_advantage_and_as_generated(show_rollouts):
    page = show_rollouts(group())
    assert numbers(page) == ["1", "0", "3", "2"] and opened(page) == "Completion 1"
    page.click("text=As generated")
    assert numbers(page) == ["0", "1", "2", "3"] and opened(page) == "Completion 1"
    assert page.get_attribute("text=As generated", "aria-pressed") == "true"
    focus_list(page)
    page.keyboard.press("s")
    assert numbers(page)[0] == "1"


def test_every_number_is_there_with_its_sign(show_rollouts):
    page = show_rollouts(group())
    first = page.inner_text(".wb-rolltable tbody tr >> nth=0")
    for text in ("+0.90", "1.9", "–", "stop token", "It lives in house 7"):
        assert text in first
    assert "−1.10" in page.inner_text(".wb-rolltable tbody tr >> nth=3")
    head = page.inner_text(".wb-rolltable thead")
    assert "length" in head and "vowels × 0.5" in head
    assert "4 completions, reward 1 ± 0.8" in page.inner_text(".wb-part-prompt .wb-parthead")


def test_sign_is_told_without_colour(show_rollouts):
    page = show_rollouts(group())
    assert "made likelier" in page.inner_text(".wb-opened .wb-parthead")
    style = "n => getComputedStyle(n).borderBottomStyle"
    assert page.eval_on_selector(".wb-opened .wb-tline .wb-trained", style) == "solid"
    page.click(".wb-rolltable tbody tr >> nth=3")
    assert "made less likely" in page.inner_text(".wb-opened .wb-parthead")
    assert page.eval_on_selector(".wb-opened .wb-tline .wb-trained", style) == "dashed"


def test_tokens_of_the_open_completion_are_all_there(show_rollouts):
    shown = group()
    page = show_rollouts(shown)
    assert page.locator(".wb-opened .wb-tline [data-i]").count() == shown["completions"][1]["tokens"]


def test_arrows_walk_completions_and_tokens(show_rollouts):
    page = show_rollouts(group())
    focus_list(page)
    page.keyboard.press("ArrowDown")
    assert opened(page) == "Completion 0"
    assert page.evaluate("document.activeElement.tagName") == "TR"
    page.keyboard.press("Enter")
    page.keyboard.press("ArrowRight")
    assert page.evaluate("document.activeElement.dataset.i") == "1"
    page.keyboard.press("ArrowDown")
    assert opened(page) == "Completion 3"
    assert page.evaluate("document.activeElement.closest('.wb-opened') !== null")
    page.keyboard.press("Escape")
    assert page.evaluate("document.activeElement.tagName") == "TR"
    page.keyboard.press("End")
    assert opened(page) == "Completion 2"
    page.keyboard.press("?")
    assert page.is_visible(".wb-keys")


def test_one_row_is_in_the_tab_order(show_rollouts):
    page = show_rollouts(group())
    assert page.locator(".wb-rolltable tr[tabindex='0']").count() == 1
    assert page.locator(".wb-rolltable tr[aria-selected='true']").count() == 1


def test_j_asks_the_kernel_for_the_next_prompt(show_rollouts):
    page = show_rollouts(group(), handle="enc-1", group_count=9)
    focus_list(page)
    page.keyboard.press("j")
    page.wait_for_function("sent.length === 1")
    assert page.evaluate("sent[0]") == {"id": 1, "handle": "enc-1", "op": "group", "position": 1}
    page.evaluate("group => model.receive({ id: 1, group })", group(1))
    page.wait_for_function("document.querySelector('.wb-part-prompt h4').textContent === 'Prompt 1'")
    assert page.evaluate("document.activeElement.tagName") == "TR"
    page.keyboard.press("n")
    page.wait_for_function("sent.length === 2")
    assert page.evaluate("sent[1]") == {"id": 2, "handle": "enc-1", "op": "group_problem", "after": 1}
    page.evaluate("model.receive({ id: 2, position: null })")
    page.wait_for_selector("text=No prompt has a problem.")


def test_findings_stand_above_their_prompt(show_rollouts):
    flat = finding("WB153", "warning", "Every advantage of prompt 0 is 0.")
    page = show_rollouts(group(findings=[flat]), totals=rollouts_payload([group()])["totals"] | {"flat": 1})
    assert "WB153" in page.inner_text(".wb-tops")
    assert "1 group of equal rewards" in page.inner_text(".wb-head")


def test_preview_says_that_nothing_is_generated_yet(show_rollouts):
    page = show_rollouts(group(completions=[], mean=None, std=None))
    assert "4 completions will be generated" in page.inner_text(".wb-part-prompt .wb-parthead")
    assert page.is_visible("text=Nothing has been generated yet")
    assert not page.is_visible("text=By advantage")


def test_completion_without_tokens_or_rewards(show_rollouts):
    empty = completion(0, "", 0.0, reward=None, rewards=[None, None], tokens=0, trained=0, steps=[])
    for name in empty["row"]["tokens"]:
        empty["row"]["tokens"][name] = []
    empty["row"]["measures"] = {"advantage": []}
    page = show_rollouts(group(completions=[empty], mean=None, std=None))
    assert page.is_visible("text=This completion has no tokens.")
    assert "left as it is" in page.inner_text(".wb-opened .wb-parthead")


def test_hostile_text_is_text(show_rollouts):
    answers = ((HOSTILE[0][1], 0.5), (HOSTILE[1][1], -0.5))
    page = show_rollouts(group(answers=answers), reward_functions=[{"name": HOSTILE[0][1], "weight": 1.0}])
    assert page.evaluate("window.__pwned") is None
    assert page.locator(".wb-rollouts script, .wb-rollouts img").count() == 0
    assert "<script>" in page.inner_text(".wb-rolltable thead")


def test_many_completions_of_a_long_text_stay_small(show_rollouts):
    answers = [("and more notes are added to the book " * 400, i / 64) for i in range(64)]
    long = [("user", "and more notes are added to the book " * 400)]
    page = show_rollouts(group(answers=answers, planned=64, prompt=row(long)))
    assert nodes_in(page, ".wb-rollouts") <= 1000
    over = page.evaluate("document.documentElement.scrollWidth - document.documentElement.clientWidth")
    assert over == 0


def test_completions_outside_the_drawn_rows_are_reached_by_arrow_key_and_by_button(show_rollouts):
    page = show_rollouts(group(answers=[(f"House {i}.", -i / 64) for i in range(64)], planned=64))
    table = page.locator(".wb-rolltable")
    assert table.locator("table").get_attribute("aria-rowcount") == "65"
    drawn = table.locator("tbody tr[tabindex]").count()
    assert f"{64 - drawn} completions below" in table.inner_text()
    page.focus(".wb-rolltable tr[tabindex='0']")
    for _ in range(drawn):
        page.keyboard.press("ArrowDown")
    opened = table.locator("tr[aria-selected='true']")
    assert opened.get_attribute("aria-rowindex") == str(drawn + 2)
    assert page.evaluate("document.activeElement.getAttribute('aria-selected')") == "true"
    assert f"Completion {drawn}" in page.inner_text(".wb-opened .wb-parthead")
    table.get_by_role("button", name=f"{drawn} completions above").click()
    assert opened.get_attribute("aria-rowindex") == str(drawn + 1)


def test_narrow_card_does_not_overflow(show_rollouts):
    page = show_rollouts(group())
    page.set_viewport_size({"width": 480, "height": 1000})
    over = page.evaluate("document.documentElement.scrollWidth - document.documentElement.clientWidth")
    assert over == 0


@pytest.mark.parametrize(
    ("change", "words"),
    [
        (lambda p: p["groups"][0]["completions"][0].update(ended="later"), "ended: expected one of stop, cut, unknown"),
        (lambda p: p["groups"][0].update(mean="x"), "rollouts.groups[0].mean: expected a number"),
        (lambda p: p.update(groups=[]), "the payload has no prompt"),
    ],
)
def test_payload_of_another_shape_is_refused(show_rollouts, change, words):
    page = show_rollouts(group())
    broken = rollouts_payload([group()])
    change(broken)
    message = page.evaluate(
        "p => { try { model.set('payload', p); return ''; } catch (e) { return e.message; } }", broken
    )
    assert words in message


def test_tokens_are_coloured_by_their_own_advantage_and_the_inspector_names_it(show_rollouts):
    shown = completion(0, "In house 7.", 0.1)
    count = len(shown["row"]["tokens"]["id"])
    shown["row"]["measures"]["advantage"] = [[0.5, -0.25, 0.0][i % 3] for i in range(count)]
    page = show_rollouts(group(completions=[shown]))
    signs = page.eval_on_selector_all(
        ".wb-opened .wb-tline [data-i]", "all => all.map(n => /wb-tadv-(\\w+)/.exec(n.className)[1])"
    )
    assert signs == [["plus", "minus", "zero"][i % 3] for i in range(count)]
    styles = page.eval_on_selector_all(
        ".wb-opened .wb-tline [data-i]", "all => all.slice(0, 3).map(n => getComputedStyle(n).borderBottomStyle)"
    )
    assert styles == ["solid", "dashed", "dotted"]
    assert "each token has an advantage of its own" in page.inner_text(".wb-opened .wb-parthead")
    page.click(".wb-opened .wb-tline [data-i='1']")
    facts = page.inner_text(".wb-insp")
    assert "Advantage" in facts and "−0.25" in facts
