"""Every hostile text through every place of every card: nothing runs, all is shown as it is written."""

import copy
import re
from typing import Any

import pytest
from card_table import CARDS, SHOWN
from component_page import open_component
from hostile_texts import TEXTS
from watched_page import watched

from tests.views.wire_reader import plain
from workbench.views import RUN_MIME, TOKENS_MIME, run_card, tokens

pytestmark = [pytest.mark.browser, pytest.mark.timeout(240)]

WORDS_OF_THE_WIRE = {
    "kind", "state", "severity", "handle", "id", "text", "bytes", "key", "of", "chosen_by", "read", "role", "name",
    "op", "start", "end", "cut", "position", "special", "trained", "reason", "field", "line", "scale", "long", "sha256",
    "layout", "cu_seqlens", "row", "length", "first_masked", "differs", "loss", "spans", "sources", "ended", "who",
    "shapes", "settings", "device", "optim", "adapter", "attention", "quantisation", "method", "family",
    "targets",
}  # fmt: skip
"""Members that are no free text, or are read as columns."""


def poisoned(value: Any, text: str, name: str = "") -> Any:
    """The payload with the text in every place for free text, among them the keys that say what a reason is."""
    if isinstance(value, dict):
        if "tables" in value and "tokens" in value:  # a row: its columns stay, its tables speak
            tables = {
                key: [text if isinstance(item, str) else item for item in items] if key != "line" else items
                for key, items in value["tables"].items()
            }
            rest = {key: poisoned(item, text, key) for key, item in value.items() if key not in ("tokens", "tables")}
            return {**rest, "tokens": value["tokens"], "tables": tables}
        if name in ("reasons", "versions"):
            return {text: text, **value}
        return {key: poisoned(item, text, key) for key, item in value.items()}
    if isinstance(value, list):
        return [poisoned(item, text, name) for item in value]
    return text if isinstance(value, str) and name not in WORDS_OF_THE_WIRE else value


MADE = "script, img, iframe, object, embed, link, meta, base, form, style, video, audio, math, svg a, svg animate"
"""Elements that no static HTML of ours has."""

READ = """async all => {
  window.closeWidget?.();
  window.closeWidget = null;
  const host = document.getElementById('host');
  host.replaceChildren();
  const views = all.map(traits => {
    const el = document.createElement('div');
    host.append(el);
    const model = { get: name => traits[name], set: () => {}, on: () => {}, off: () => {}, send: () => {} };
    return { el, close: window.widget.render({ model, el }) };
  });
  for (const closed of host.querySelectorAll('[aria-expanded=false], summary, .wb-tline [data-i]')) {
    closed.dispatchEvent(new MouseEvent('mouseover', { bubbles: true }));
    if (!closed.matches('[data-i]')) { closed.click(); }
  }
  await new Promise(done => requestAnimationFrame(() => setTimeout(done)));
  const made = 'script, iframe, object, embed, link, meta, base, form[action], video, audio, math';
  const told = views.map(({ el }) => {
    const odd = [...el.querySelectorAll('*')].filter(
      node => node.matches(made) || node.getAttributeNames().some(name => name.startsWith('on')) ||
        /^\\s*javascript:/i.test(node.getAttribute('href') ?? node.getAttribute('src') ?? ''));
    return { text: el.textContent, odd: odd.map(node => node.outerHTML.slice(0, 200)) };
  });
  views.forEach(view => view.close());
  return told;
}"""
AT_ONCE = 8
"""Views beside each other: drawing waits for frames."""


def flat(text: str) -> str:
    """What is left when marks of the viewer, spaces and cuts are taken away."""
    return re.sub(r"[^!-~]", "", text)


def literal_parts(text: str) -> list[str]:
    """Stretches of plain characters that have to be found again; what stands between is shown by a mark or a name."""
    return [flat(part)[:200] for part in re.split(r"[^ -~\n\t]+", text) if flat(part)]


@pytest.mark.parametrize("name", [name for name in CARDS if name != "batch tokens"])
def test_hostile_text_is_shown_by_every_card_as_it_is_written(browser, widgets, name):
    card = CARDS[name]
    own = ("http://component.test/", "data:image/svg+xml", "data:text/css")
    with watched(browser, own=own, viewport={"width": 1000, "height": 900}) as seen:
        open_component(seen.page, widgets, card.module, card.traits("x"))
        texts = [text.replace("\ud83d", "").replace("\ude00", "") for text in TEXTS]
        for begin in range(0, len(texts), AT_ONCE):
            some = texts[begin : begin + AT_ONCE]
            told = seen.page.evaluate(READ, [poisoned(card.traits(said), said) for said in some])
            for said, shown in zip(some, told, strict=True):
                assert shown["odd"] == [], said
                for part in literal_parts(said[:300]):
                    assert part in flat(shown["text"]), (said, part)
        seen.page.wait_for_timeout(200)
        seen.assert_nothing_ran(name)


def test_there_are_enough_texts_and_each_is_another():
    assert len(TEXTS) >= 120 and len(set(TEXTS)) == len(TEXTS)


@pytest.mark.parametrize("name", SHOWN)
def test_hostile_text_in_the_static_html_is_text(browser, tmp_path, name):
    """As a trusted notebook puts it into the page: whatever is markup in it would run."""
    pieces = []
    for text in TEXTS[::4] if name in ("run", "batch tokens") else TEXTS:
        said = text.replace("\ud83d", "").replace("\ude00", "")[:400]
        pieces.append((said, SHOWN[name].noun(said, tmp_path)._repr_mimebundle_()["text/html"]))
    with watched(browser) as seen:
        seen.page.set_content("".join(f"<article>{html}</article>" for _, html in pieces))
        seen.page.wait_for_timeout(100)
        seen.assert_nothing_ran(name)
        assert seen.page.locator("article").count() == len(pieces)
        assert seen.page.locator(f"article :is({MADE})").count() == 0
        if name not in ("batch",):  # its static copy tells of documents, not of their text
            for (said, _), text in zip(pieces, seen.page.locator("article").all_text_contents(), strict=True):
                for part in literal_parts(said):
                    assert part in flat(text.replace("⟦", "").replace("⟧", "")), said


def test_hostile_words_around_the_rows_are_text_in_the_static_html(browser):
    """Names of files, templates, runs, messages of findings: places that one's own data cannot reach by a row alone."""
    shown = {
        TOKENS_MIME: (CARDS["tokens"].traits("x")["payload"], tokens.static_html),
        RUN_MIME: (CARDS["run"].traits("x")["payload"], run_card.static_html),
    }
    with watched(browser) as seen:
        for payload, make in shown.values():
            for text in TEXTS:
                said = text.replace("\ud83d", "").replace("\ude00", "")
                seen.page.set_content(make(poisoned(plain(copy.deepcopy(payload)), said)))
                for part in literal_parts(said[:300]):
                    assert part in flat(seen.page.text_content("body")), said
                assert seen.page.locator("script, img, iframe, object, embed, form, style, svg a").count() == 0, said
        seen.assert_nothing_ran()
