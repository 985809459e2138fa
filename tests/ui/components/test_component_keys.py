"""The token viewer's keys and its kernel side, as a user meets them."""

import copy
import json

import pytest
from batch_payloads import batch
from component_page import open_component
from looking import CURRENT, current, drawn, tokens_of
from payloads import COOK, cook, long_row, packed, payload, row

from workbench.api import comm
from workbench.views import TOKENS_MIME

pytestmark = pytest.mark.browser


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
    page.keyboard.press("w")
    assert page.get_attribute(CURRENT, "data-lm-suppress-shortcuts") is not None
    page.keyboard.press("Control+b")
    assert page.get_attribute(CURRENT, "data-lm-suppress-shortcuts") is None


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
    page.keyboard.press("Escape")
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
    page.evaluate(
        "document.addEventListener('wb-insert-code', e => { window.inserted = e.detail.code; e.preventDefault(); })"
    )
    page.click("text=Insert as cell")
    assert page.evaluate("inserted") == "enc[0]"
    page.wait_for_selector("text=Inserted below")


@pytest.mark.parametrize(
    ("change", "words"),
    [
        (lambda p: p["rows"][0]["tokens"]["trained"].pop(), "tokens.rows[0].tokens.trained: expected 108 items"),
        (
            lambda p: p["rows"][0]["tokens"]["id"].__setitem__(3, "x"),
            'tokens.rows[0].tokens.id[3]: expected a number, got "x"',
        ),
        (lambda p: p.update(version=2), "tokens.version: expected one of 1, got 2"),
        (lambda p: p.pop("reasons"), "tokens.reasons: expected an object, got undefined"),
    ],
)
def test_payload_of_another_shape_is_refused_by_the_name_of_the_field(show, change, words):
    page = show(row(COOK[:3]))
    broken = copy.deepcopy(payload([row(COOK[:3])]))
    change(broken)
    message = page.evaluate(
        "p => { try { model.set('payload', p); return ''; } catch (e) { return e.message; } }", broken
    )
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
              const tokens = [...line.querySelectorAll('[data-i]')];
              return Math.max(...tokens.map(n => n.getBoundingClientRect().right - right));
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


# ---------------------------------------------------------------- p: batch and data row


@pytest.fixture
def batch_tokens(page, widgets):
    """`batch.tokens` in the page, and what answers its questions."""
    shown = batch().tokens
    made = json.loads(json.dumps(shown._repr_mimebundle_()[TOKENS_MIME]))
    open_component(page, widgets, "tokens", {"payload": made | {"handle": "batch-1"}})

    def answer() -> dict:
        page.wait_for_function("sent.length === 1")
        (asked,) = page.evaluate("() => { const all = window.sent; window.sent = []; return all; }")
        page.evaluate("message => model.receive(message)", json.loads(json.dumps(comm.answered(shown, asked))))
        return asked

    return page, shown.shown, answer


def test_p_goes_to_the_data_row_of_the_token_and_back(batch_tokens):
    page, shown, answer = batch_tokens
    document = shown.lanes[0].documents[1]
    page.focus(CURRENT)
    page.keyboard.press("Shift+ArrowRight")
    while current(page) <= document.start:
        page.keyboard.press("Shift+ArrowRight")
    token = current(page)
    at = next(item for item in shown.lanes[0].documents if item.start <= token < item.start + item.length)
    page.keyboard.press("p")
    asked = answer()
    assert (asked["op"], asked["row"]) == ("source", at.row)
    page.wait_for_function(f"document.querySelector('.wb-title').textContent.startsWith('Row {at.row}')")
    assert page.inner_text(".wb-code pre") == f"enc[{at.row}]"
    assert current(page) == token - at.start
    assert page.is_visible(f"text=Data row {at.row}. Press p to go back to the batch.")
    page.keyboard.press("p")
    page.wait_for_function("document.querySelector('.wb-title').textContent.startsWith('Packed row 0')")
    assert current(page) == token and page.evaluate("document.activeElement.dataset.i") == str(token)
    assert page.inner_text(".wb-code pre").endswith(".tokens")


def test_p_says_so_where_there_is_no_batch_and_is_among_the_keys(show):
    page = show(row(COOK[:3]))
    page.focus(CURRENT)
    page.keyboard.press("p")
    page.wait_for_selector("text=This row is not part of a batch")
    page.keyboard.press("?")
    assert "batch or data row" in page.inner_text(".wb-keys")


def test_p_without_a_kernel_stays_in_the_batch_and_says_why(show):
    page = show(packed(), kind="batch")
    page.focus(CURRENT)
    page.keyboard.press("p")
    page.wait_for_selector("text=Run the cell again to see others.")
    assert page.inner_text(".wb-title").startswith("Packed row 0")
