"""Hostile names and texts through the front door: files, tokenizer, roles, columns, template and run, then Chromium.

The payloads of test_hostile_text.py are made by hand; these are made by the nouns out of what a stranger can send.
"""

import json
from types import SimpleNamespace
from typing import Any

import pytest
from card_table import recorded_run
from component_page import open_component
from test_hostile_text import MADE, flat
from watched_page import watched

import workbench as wb
from tests.tokens.tiny_tokenizer import tiny_tokenizer
from workbench.api import comm
from workbench.views import BATCH_MIME, PAIRS_MIME, RUN_MIME, TEMPLATE_MIME, TOKENS_MIME

pytestmark = [pytest.mark.browser, pytest.mark.timeout(240)]

OWN = ("http://component.test/", "data:image/svg+xml", "data:text/css")
RUNS = "script, img, iframe, object, embed, form[action], [onload], [onerror]"


def bad(place: str) -> str:
    """Markup that runs and says where it came from; without `/`, so that a file can have it as its name."""
    return f"<img src=x onerror=window.__pwned='{place}'>"


TURN, END = f"<svg onload=window.__pwned='turn'>{'é'}", f"<script>window.__pwned='end'</script>{'中'}"
"""Special tokens; the letters behind them are no ASCII."""
TEMPLATE = (
    "{# " + bad("comment") + " #}{% for m in messages %}\n"
    "{{ " + json.dumps(TURN) + " + m.role + '\\n' + m.content }}{{ eos_token }}\n{% endfor %}"
)  # fmt: skip
MODULES = {
    TOKENS_MIME: "tokens", BATCH_MIME: "batch", TEMPLATE_MIME: "template", PAIRS_MIME: "pairs", RUN_MIME: "run"
}  # fmt: skip


def _rows() -> list[dict[str, Any]]:
    said = [
        {"role": "user", "content": "Why? " + bad("content") + " \u202eüber"},
        {"role": bad("role"), "content": "x"},
        {"role": "assistant", "content": "So. " + bad("answer")},
    ]
    return [{"messages": said, bad("column"): bad("cell")}] * 4


@pytest.fixture(scope="module")
def given(tmp_path_factory) -> Any:
    """Nouns of hostile inputs."""
    folder = tmp_path_factory.mktemp("given")
    (folder / bad("tokenizer")).mkdir()
    made = tiny_tokenizer(TURN, bad("special"), eos=END)
    made.chat_template = TEMPLATE
    made.save_pretrained(folder / bad("tokenizer"))
    (folder / f"{bad('file')}.jsonl").write_text("".join(json.dumps(row) + "\n" for row in _rows()))
    (folder / f"{bad('template')}.jinja").write_text(TEMPLATE)
    data = wb.data(str(folder / f"{bad('file')}.jsonl"))
    tokenizer = str(folder / bad("tokenizer"))
    template = wb.template(str(folder / f"{bad('template')}.jinja"), tokenizer=tokenizer)
    enc = data.encode(template, tokenizer=tokenizer, packing="bfd", max_length=2048)
    pairs = [{"prompt": bad("prompt"), "chosen": bad("chosen"), "rejected": bad("rejected")}] * 3
    return SimpleNamespace(
        data=data,
        enc=enc,
        template=template,
        pairs=wb.data(pairs).encode(tokenizer=tokenizer),
        chat=template.render(_rows()[0]["messages"]),
        run=recorded_run(bad("run"), folder),
    )


NOUNS = {
    "rows": (lambda given: given.enc, [TURN, END, bad("content"), bad("role"), bad("file")]),
    "a row": (lambda given: given.enc[1], [TURN, END, bad("answer")]),
    "batch": (lambda given: given.enc.batches()[0], []),
    "tokens of a batch": (lambda given: given.enc.batches()[0].tokens, [TURN, END, bad("content")]),
    "pairs": (lambda given: given.pairs, [bad("prompt"), bad("chosen"), bad("rejected")]),
    "template": (lambda given: given.template, [bad("comment"), bad("template")]),
    "X-ray": (lambda given: given.chat, [TURN, END, bad("content"), bad("role"), bad("comment"), bad("template")]),
    "run": (lambda given: given.run, [bad("run")]),
}
"""Nouns, and what of the inputs their cards show."""


def _opened(page: Any, selector: str = "#host") -> str:
    """All that a card says when all of it is opened."""
    page.evaluate(
        """selector => document.querySelectorAll(
          `${selector} [aria-expanded=false], ${selector} summary, ${selector} .wb-tline [data-i]`).forEach(node => {
            node.dispatchEvent(new MouseEvent('mouseover', { bubbles: true }));
            if (!node.matches('[data-i]')) { node.click(); }
          })""",
        selector,
    )
    page.wait_for_timeout(100)
    titles = "[...document.querySelectorAll('[title], [aria-label]')].map(n => n.title + n.ariaLabel).join(' ')"
    return flat(page.text_content(selector) + page.evaluate(titles))


@pytest.mark.parametrize("name", NOUNS)
def test_hostile_inputs_are_text_in_the_card_and_in_its_static_copy(browser, widgets, given, name):
    make, shown = NOUNS[name]
    with comm.alone():
        bundle = make(given)._repr_mimebundle_()
    mime = next(mime for mime in bundle if mime in MODULES)
    traits = {"payload": bundle[mime], **({"inert": True} if mime == RUN_MIME else {})}
    with watched(browser, own=OWN) as seen:
        open_component(seen.page, widgets, MODULES[mime], traits)
        said = _opened(seen.page)
        assert [text for text in shown if flat(text) not in said] == []
        assert (
            seen.page.locator(
                "#host :is(script, img, iframe, object, embed, form[action], [onload], [onerror])"
            ).count()
            == 0
        )
        seen.assert_nothing_ran(name)
        seen.page.set_content(bundle["text/html"])
        seen.page.wait_for_timeout(50)
        assert seen.page.locator(f"body :is({MADE}, [onload], [onerror])").count() == 0
        seen.assert_nothing_ran(name)


def test_hostile_inputs_are_text_in_the_picker(browser, widgets, given):
    rows = [{"conversations": [{"from": bad("speaker"), "value": "x"}, {"from": "gpt", "value": bad("value")}]}] * 3
    for data, shown in (
        (given.data, [bad("file"), bad("content"), bad("role"), bad("column")]),
        (wb.data(rows), [bad("speaker"), bad("value")]),
        (wb.data([{bad("column"): bad("cell")}] * 3), [bad("column"), bad("cell")]),
    ):
        state = data.pick().widget.state
        with watched(browser, own=OWN) as seen:
            open_component(seen.page, widgets, "picker", {"state": json.loads(json.dumps(state)), "scan": None})
            said = _opened(seen.page)
            assert [text for text in shown if flat(text) not in said] == []
            assert seen.page.locator(f"#host :is({RUNS})").count() == 0
            seen.assert_nothing_ran()


def test_the_tokenizer_knows_its_hostile_tokens(given):
    """Else the tests above would look at letters: each is one token, marked as special."""
    tokens = given.enc._repr_mimebundle_()[TOKENS_MIME]["rows"][0]["tokens"]
    assert TURN in str(tokens["text"]) and len(given.enc[0].input_ids) < len(given.enc[0].text)
    ids = given.enc[0].input_ids
    assert ids.count(0) == 3 and ids.count(2) == 3
