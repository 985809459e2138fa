"""Saved notebooks in a real JupyterLab: every card without a kernel, without our extension, and from a stranger."""

import json

import pytest
from card_table import SHOWN
from lab_pages import all_cards, saved_notebook
from lab_server import jupyter_lab

pytestmark = [pytest.mark.browser, pytest.mark.timeout(300)]


def opened(browser, lab, notebook: str):
    """The notebook in a page that tells what is asked of our routes, of a comm and of strangers."""
    page = browser.new_page(viewport={"width": 1300, "height": 1400}, locale="en-US")
    page.set_default_timeout(60_000)
    page.asked, page.dialogs, page.sent = [], [], []
    page.on("request", lambda request: page.asked.append(request.url))
    page.on("dialog", lambda dialog: (page.dialogs.append(dialog.message), dialog.dismiss()))
    page.on("websocket", lambda socket: socket.on("framesent", lambda data: page.sent.append(data)))
    page.goto(lab.address(notebook))
    page.wait_for_selector(".jp-Notebook .jp-Cell")
    page.wait_for_selector(".jp-OutputArea-output .wb-card, .jp-OutputArea-output .wb-output-error", state="attached")
    return page


def scroll_through(page, count: int) -> None:
    """Bring every cell into view: a notebook draws what is near."""
    for index in range(count):
        page.evaluate(
            "i => document.querySelectorAll('.jp-Notebook .jp-Cell')[i]?.scrollIntoView({block: 'center'})", index
        )
        page.wait_for_timeout(60)


def comms(page) -> list[str]:
    """What was said to a kernel about anything of ours; the widget manager has a comm of its own."""
    ours = ("finetune-workbench", "enc-1f2e3d4c", "a" * 32, "execute_request")
    return [str(frame)[:2000] for frame in page.sent if any(name in str(frame) for name in ours)]


def foreign(page, lab) -> list[str]:
    """Requests that no JupyterLab makes by itself."""
    ours = [url for url in page.asked if "/finetune-workbench/" in url and "/lab/" not in url]
    return ours + [
        url for url in page.asked if not url.startswith((lab.url, "data:", "blob:", lab.url.replace("http", "ws")))
    ]


def test_every_card_of_a_saved_notebook_is_drawn_without_a_word_to_a_kernel(browser, lab):
    page = opened(browser, lab, "saved.ipynb")
    scroll_through(page, len(SHOWN))
    for name, card in SHOWN.items():
        assert page.locator(f".jp-OutputArea-output {card.selector}").count() >= 1, name
    assert page.locator(".wb-output-error").count() == 0
    assert comms(page) == []
    assert [url for url in foreign(page, lab) if "/runs/" not in url] == []
    page.close()


@pytest.fixture(scope="module")
def strange(browser, lab):
    """The stranger's notebook, looked at from top to bottom."""
    page = opened(browser, lab, "crafted.ipynb")
    scroll_through(page, len(json.loads((lab.files / "crafted.ipynb").read_text())["cells"]))
    page.wait_for_timeout(500)
    yield page
    page.close()


def test_a_notebook_from_a_stranger_does_nothing(strange, lab):
    assert strange.evaluate("window.__pwned") is None and strange.dialogs == []
    assert foreign(strange, lab) == []
    assert comms(strange) == []
    assert strange.evaluate("[...document.querySelectorAll('.wb-card img')].map(i => i.src)") == []
    assert strange.evaluate("({}).x") is None


def test_a_malformed_output_is_a_sentence_and_the_page_goes_on(strange):
    sentences = strange.locator(".wb-output-error").all_text_contents()
    assert len(sentences) >= 30
    assert all("Run the cell again." in text for text in sentences)


def test_without_our_extension_the_static_html_is_shown(browser, tmp_path):
    with jupyter_lab(tmp_path / "home", extension=False) as bare:
        (bare.files / "saved.ipynb").write_text(saved_notebook(list(all_cards(tmp_path / "cards").values())))
        page = browser.new_page(viewport={"width": 1300, "height": 1400}, locale="en-US")
        page.set_default_timeout(60_000)
        page.goto(bare.address("saved.ipynb"))
        page.wait_for_selector(".jp-OutputArea-output >> text=trained")
        scroll_through(page, len(SHOWN))
        shown = page.inner_text(".jp-Notebook").replace("\u00b7", " ")
        for name, card in SHOWN.items():
            assert card.static in shown, name
        assert page.locator(".wb-card").count() == 0
        page.close()
