"""The template card in a real JupyterLab: linking asserted from the DOM in both directions for twelve templates."""

import json

import pytest
from lab_server import EXTENSION, jupyter_lab, open_notebook
from test_lab import notebook

import workbench as wb

pytestmark = [pytest.mark.browser, pytest.mark.timeout(400)]

ZEPHYR = "{% for m in messages %}\n{{ '<|' + m.role + '|>\\n' + m.content + eos_token }}\n{% endfor %}"
MISTRAL = (
    "{{ bos_token }}{% for m in messages %}\n{% if m.role == 'user' %}\n{{ '[INST] ' + m.content + ' [/INST]' }}\n"
    "{% else %}\n{{ ' ' + m.content | trim + eos_token }}\n{% endif %}\n{% endfor %}"
)
CASES = {
    "chatml": ("chatml", "system"),
    "llama3.2": ("llama3_2", "several_turns"),
    "llama3.2 with tools": ("llama3_2", "tool_call"),
    "mistral": (MISTRAL, "several_turns"),
    "gemma": ("gemma", "several_turns"),
    "qwen2.5": ("qwen2.5", "thinking"),
    "qwen3": ("qwen3", "thinking"),
    "qwen3 with tools": ("qwen3", "tool_call"),
    "phi3": ("phi3", "system"),
    "deepseekv3": ("deepseekv3", "thinking"),
    "zephyr": (ZEPHYR, "several_turns"),
    "gptoss": ("gptoss", "one_turn"),
}

LINKS = """
card => {
  const faults = [];
  const point = node => node.dispatchEvent(new MouseEvent('mouseover', { bubbles: true }));
  const all = selector => [...card.querySelectorAll(selector)];
  const plain = text => text.replaceAll('↵', '');
  const isWhole = card.querySelector('.wb-pages').hidden;
  const lines = new Set();
  for (const run of all('.wb-text .wb-r')) {
    point(run);
    const lit = all('.wb-l.wb-on').map(line => line.dataset.l);
    if (lit.length !== 1 || lit[0] !== run.dataset.l) faults.push(['run to line', run.dataset.r, run.dataset.l, lit]);
    const tokens = all('.wb-tok.wb-on:not(.wb-bytes)').map(token => token.textContent).join('');
    if (all('.wb-tok.wb-on').length === 0) faults.push(['run to tokens', run.dataset.r, tokens]);
    lines.add(run.dataset.l);
  }
  for (const line of lines) {
    point(card.querySelector(`.wb-text .wb-r[data-l="${line}"]`));
    const row = card.querySelector(`.wb-l[data-l="${line}"]`);
    point(row);
    const wanted = all('.wb-text .wb-r').filter(run => run.dataset.l === line);
    const lit = all('.wb-text .wb-r.wb-on');
    if (lit.length !== wanted.length || lit.some(run => !wanted.includes(run))) faults.push(['line to text', line]);
    if (all('.wb-tok.wb-on').length === 0) faults.push(['line to tokens', line]);
    const made = Number(row.dataset.made.replace(/[^0-9]/g, ''));
    if (isWhole && made !== all('.wb-tok.wb-on').length) faults.push(['count of a line', line, made]);
  }
  for (const token of all('.wb-tok')) {
    point(token);
    if (!token.classList.contains('wb-on')) faults.push(['token itself', token.dataset.i]);
    const lit = all('.wb-text .wb-r.wb-on, .wb-text .wb-exact');
    const under = all('.wb-text .wb-r').filter(run => run.matches('.wb-on') || run.querySelector('.wb-exact'));
    const shown = new Set(all('.wb-l.wb-on').map(line => line.dataset.l));
    if (lit.length === 0) faults.push(['token to text', token.dataset.i]);
    if (under.some(run => !shown.has(run.dataset.l)) && shown.size > 0) faults.push(['token to line', token.dataset.i]);
  }
  const shown = plain(card.querySelector('.wb-text').textContent);
  return { faults, lines: lines.size, tokens: all('.wb-tok').length, text: shown };
}
"""


def _cell(name: str) -> str:
    source, sample = CASES[name]
    return f"wb.template({source!r}, tokenizer='tiny-llama').render(wb.samples.{sample})"


@pytest.fixture(scope="module")
def lab(tmp_path_factory):
    """A JupyterLab with a notebook of one card a template."""
    if not (EXTENSION / "package.json").is_file():
        pytest.skip("the extension is not built; run jlpm build")
    with jupyter_lab(tmp_path_factory.mktemp("lab")) as served:
        (served.files / "xray.ipynb").write_text(notebook("import workbench as wb", *map(_cell, CASES)))
        yield served


@pytest.fixture(scope="module")
def page(browser, lab):
    """The notebook with every cell run."""
    page = browser.new_page(viewport={"width": 1300, "height": 1100}, locale="en-US")
    page.set_default_timeout(120_000)
    open_notebook(page, lab, "xray.ipynb")
    page.click(".jp-Cell >> nth=0 >> .cm-content")
    for _ in range(len(CASES) + 1):
        page.keyboard.press("Shift+Enter")
    page.wait_for_function(f"document.querySelectorAll('.jp-InputPrompt').length > {len(CASES)}")
    return page


def card(page, name: str):
    """The card of a template, in view."""
    found = page.locator(".jp-Notebook .jp-Cell").nth(list(CASES).index(name) + 1)
    found.scroll_into_view_if_needed()
    shown = found.locator(".wb-xray")
    shown.wait_for()
    return shown


@pytest.mark.parametrize("name", CASES)
def test_every_run_line_and_token_is_linked_both_ways(page, name):
    from workbench.tokens.encode import load_tokenizer

    source, sample = CASES[name]
    said, tokenizer = getattr(wb.samples, sample), load_tokenizer("tiny-llama")
    template = wb.template(source).info.source
    found = card(page, name).evaluate(LINKS)
    theirs = tokenizer.apply_chat_template(list(said), chat_template=template, tools=said.tools, tokenize=False)
    cuts = card(page, name).locator(".wb-cut").all_inner_texts()
    text = found["text"]
    for words in cuts:
        text = text.replace(words, "", 1)
    assert found["faults"] == []
    assert found["lines"] >= 1
    shown = [line.replace("·", " ") for line in text.splitlines()]
    ids = tokenizer(theirs, add_special_tokens=False)["input_ids"]
    if len(ids) <= 400:
        assert shown == theirs.splitlines()
        assert found["tokens"] == len(ids)
    else:  # a longer one is shown in pages
        assert theirs.startswith("\n".join(shown))


def test_editing_in_the_notebook_changes_exactly_the_expected_text(page):
    shown = card(page, "zephyr")
    before = shown.locator(".wb-text .wb-r").all_text_contents()
    shown.locator(".wb-switch", has_text="Edit").click()
    shown.locator("textarea").fill(ZEPHYR.replace("'|>\\n'", "'|>'"))
    page.wait_for_function("node => /edited/.test(node.textContent)", arg=shown.locator(".wb-head").element_handle())
    after = shown.locator(".wb-text .wb-r").all_text_contents()
    assert [text for text in after if text not in before] == ["|>"] * before.count("|>↵\n")
    assert [a.replace("↵\n", "") for a in before] == [b.replace("↵\n", "") for b in after]
    cells = page.locator(".jp-Cell").count()
    shown.locator(".wb-code >> text=Insert as cell").click()
    shown.locator(".wb-code >> text=Inserted below").wait_for()
    assert page.locator(".jp-Cell").count() == cells + 1


def test_an_endless_loop_is_stopped_and_the_card_goes_on(page):
    shown = card(page, "mistral")
    shown.locator(".wb-switch", has_text="Edit").click()
    endless = "{% for i in range(99999) %}{% for j in range(99999) %}{% endfor %}{% endfor %}"
    shown.locator("textarea").fill(endless)
    shown.locator(".wb-edit-e", has_text="was stopped").wait_for()
    assert shown.locator("textarea").input_value() == endless
    shown.locator("textarea").fill("{{ messages[0].content }}")
    page.wait_for_function(
        "node => node.textContent.startsWith('What is a roux?')", arg=shown.locator(".wb-text").element_handle()
    )


def test_saved_notebook_holds_a_snapshot_that_reads_without_script(page, lab):
    page.keyboard.press("Control+s")
    page.wait_for_function("!document.querySelector('.jp-mod-dirty')")
    saved = json.loads((lab.files / "xray.ipynb").read_text("utf-8"))
    bundles = [out["data"] for cell in saved["cells"] for out in cell.get("outputs", []) if "data" in out]
    htmls = ["".join(bundle["text/html"]) for bundle in bundles if "text/html" in bundle]
    assert len(htmls) >= len(CASES)
    assert all("Template X-ray" in html and "<script" not in html for html in htmls)
