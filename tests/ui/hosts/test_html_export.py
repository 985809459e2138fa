"""`noun.save_html(path)`: the file is opened from the disk in Chromium, with every network refused."""

import json
import re

import pytest
from card_table import SHOWN, chat_rows
from hostile_texts import TEXTS
from watched_page import watched

import workbench as wb
from workbench.cli import main
from workbench.errors import ExportError
from workbench.views.page import Parts, page

pytestmark = pytest.mark.browser


@pytest.fixture(scope="module")
def files(tmp_path_factory):
    """One file of every card, with harmless text."""
    folder = tmp_path_factory.mktemp("html")
    made = {}
    for name, card in SHOWN.items():
        (folder / name).mkdir()
        made[name] = card.noun("Why does bread need salt?", folder / name).save_html(folder / f"{name}.html")
    return made


@pytest.mark.parametrize("name", SHOWN)
@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_a_file_opens_as_the_card_without_a_network(browser, files, name, scheme):
    with watched(browser, color_scheme=scheme) as seen:
        seen.page.goto(files[name].as_uri())
        seen.page.wait_for_selector(SHOWN[name].selector)
        assert "bread" in seen.page.inner_text(SHOWN[name].selector)
        assert not seen.page.locator(".wb-page-static").is_visible()
        ground = seen.page.eval_on_selector(SHOWN[name].selector, "node => getComputedStyle(node).backgroundColor")
        assert (sum(map(int, re.findall(r"\d+", ground)[:3])) < 380) == (scheme == "dark"), ground
        seen.assert_nothing_ran()


@pytest.mark.parametrize("name", SHOWN)
def test_a_file_shows_its_static_copy_where_no_script_runs_and_in_print(browser, files, name):
    with watched(browser, java_script_enabled=False) as seen:
        seen.page.goto(files[name].as_uri())
        assert SHOWN[name].static in seen.page.inner_text(".wb-page-static").replace("\u00b7", " ")
    with watched(browser) as seen:
        seen.page.goto(files[name].as_uri())
        seen.page.wait_for_selector(SHOWN[name].selector)
        seen.page.emulate_media(media="print")
        assert seen.page.locator(".wb-page-static").is_visible()
        assert not seen.page.locator(SHOWN[name].selector).is_visible()


@pytest.mark.parametrize("name", SHOWN)
def test_a_file_names_its_language_and_lets_only_its_own_scripts_run(browser, files, name):
    text = files[name].read_text()
    assert '<html lang="en">' in text and re.search(r"<title>[^<]+</title>", text)
    policy = re.search(r'Content-Security-Policy" content="([^"]+)"', text)[1]
    assert policy.startswith("default-src 'none'; script-src 'sha256-") and "unsafe-inline'; img-src data:" in policy
    assert "unsafe-eval" not in policy and "script-src 'unsafe" not in policy
    assert not re.search(r"""(?:src|href)\s*=\s*["']?https?:""", text.partition("<script")[0])
    with watched(browser) as seen:
        seen.page.goto(files[name].as_uri())
        seen.page.evaluate(
            """() => {
              const script = document.createElement('script');
              script.textContent = 'window.__pwned = 1';
              document.body.append(script);
            }"""
        )
        assert seen.page.evaluate("window.__pwned") is None


def test_rows_in_a_file_can_be_browsed_and_others_are_refused_in_words(browser, tmp_path):
    rows = [{"messages": chat_rows(f"Text number {i}")[0]["messages"]} for i in range(30)]
    rows[20] = {"messages": chat_rows("long " * 40_000)[0]["messages"]}
    made = wb.data(rows).encode("chatml", tokenizer="tiny-llama")[3].save_html(tmp_path / "row.html")
    with watched(browser) as seen:
        seen.page.goto(made.as_uri())
        assert seen.page.inner_text(".wb-title") == "Row 3"
        for asked, title in ((4, "Row 4"), (0, "Row 0"), (12, "Row 12")):
            seen.page.fill(".wb-rowno", str(asked))
            seen.page.keyboard.press("Enter")
            seen.page.wait_for_function(f"document.querySelector('.wb-title').textContent === '{title}'")
            assert f"number{asked}" in re.sub(r"\W+", "", seen.page.inner_text(".wb-toks"))
        seen.page.click(".wb-tline [data-i='2'] >> nth=0")
        assert "chatml, line" in seen.page.inner_text(".wb-insp")
        seen.page.fill(".wb-rowno", "25")
        seen.page.keyboard.press("Enter")
        seen.page.wait_for_selector("text=Only the rows saved in this output can be shown.")
        seen.assert_nothing_ran()


def test_the_card_of_a_run_in_a_file_offers_nothing_that_needs_a_server(browser, files):
    with watched(browser) as seen:
        seen.page.goto(files["run"].as_uri())
        seen.page.wait_for_selector(".wb-run .js-plotly-plot .scatterlayer .js-line", state="attached")
        for word in ("Pause", "Stop and save", "Sample now", "Save now", "Ask", "Follow", "Attach"):
            assert seen.page.locator(".wb-run").get_by_role("button", name=word, exact=True).count() == 0, word
        seen.page.click(".wb-run button:text-is('Log')")
        seen.page.click(".wb-run button:text-is('Table')")
        seen.assert_nothing_ran()


@pytest.mark.parametrize("name", SHOWN)
def test_hostile_text_in_a_file_neither_runs_nor_ends_its_data(browser, tmp_path, name):
    """Many texts at a time; what each is cut into and shown as is another test's (test_hostile_text.py)."""
    for begin in range(0, len(TEXTS) - 3, 80):
        text = "\n".join(TEXTS[begin : begin + 80]).replace("\ud83d", "").replace("\ude00", "")
        made = SHOWN[name].noun(text, tmp_path).save_html(tmp_path / "x.html")
        with watched(browser) as seen:
            seen.page.goto(made.as_uri())
            seen.page.wait_for_selector(SHOWN[name].selector)
            seen.page.wait_for_timeout(50)
            seen.assert_nothing_ran(TEXTS[begin])
        with watched(browser, java_script_enabled=False) as seen:
            seen.page.goto(made.as_uri())
            static = seen.page.locator(".wb-page-static")
            assert static.locator("script, img, iframe, svg a, object, embed, [onerror], [onload]").count() == 0
            assert seen.requests == []


def test_script_text_cannot_end_its_element():
    module = "const a = '</script><!--';\nexport {\n  a as default\n};\n"
    made = page(
        Parts(
            "t",
            "",
            "",
            module,
            "host();",
            {"payload": "</script>"},
        )
    )
    assert made.count("</script>") == 3
    assert r"\x3c/script>\x3c!--" in made and "globalThis.finetuneWorkbenchCard = a;" in made
    with pytest.raises(ValueError, match="default export"):
        page(Parts("t", "", "", "const a = 1;", "", {}))


def test_a_file_that_cannot_be_written_is_told_by_its_name(tmp_path):
    enc = wb.data(chat_rows("x")).encode("chatml", tokenizer="tiny-llama")
    with pytest.raises(ExportError) as caught:
        enc.save_html(tmp_path / "nowhere" / "row.html")
    assert caught.value.code == "WB711" and "nowhere" in str(caught.value)


def test_rows_without_tokens_and_a_template_are_saved_as_static_pages(browser, tmp_path):
    none = wb.data([{"messages": []}]).encode("chatml", tokenizer="tiny-llama")
    for noun, words in ((none, "no row can be used"), (none[0], "Row 0"), (wb.template("chatml"), "chatml")):
        with watched(browser) as seen:
            seen.page.goto(noun.save_html(tmp_path / "x.html").as_uri())
            assert words in seen.page.inner_text("body")
            seen.assert_nothing_ran()


def test_the_command_line_writes_the_row_it_prints(browser, tmp_path, capsys):
    data = tmp_path / "a.jsonl"
    data.write_text(f"{json.dumps(chat_rows('Hello you')[0])}\n" * 3)
    made = tmp_path / "row.html"
    assert main(["inspect", str(data), "--template", "chatml", "--rows", "1:3", "--html", str(made)]) == 0
    with watched(browser) as seen:
        seen.page.goto(made.as_uri())
        assert seen.page.inner_text(".wb-title") == "Row 1"
        assert "a.jsonl" in seen.page.inner_text(".wb-head") or "a.jsonl" in seen.page.title()
