"""Every card on a bare page: axe, contrast without --jp-* variables, forced colours, stillness, the keyboard."""

import pytest
from axe import violations
from card_table import CARDS
from component_page import open_component
from watched_page import watched

pytestmark = [pytest.mark.browser, pytest.mark.timeout(240)]

OWN = ("http://component.test/", "data:image/svg+xml", "data:text/css")
VSCODE = {
    "light": "--vscode-editor-background: #ffffff; --vscode-editor-foreground: #3b3b3b;",
    "dark": "--vscode-editor-background: #1f1f1f; --vscode-editor-foreground: #cccccc;",
}
HOSTS = ["bare light", "bare dark", "vscode light", "vscode dark"]
NAMES = [name for name in CARDS if name != "batch tokens"]


def dress(page, host: str) -> None:
    """Classes and variables that a host puts around a card."""
    kind, scheme = host.split()
    page.evaluate(
        """([kind, scheme, variables]) => {
          const isCode = kind === 'vscode';
          document.body.className = isCode ? `vscode-${scheme}` : '';
          document.documentElement.style.cssText = isCode ? variables : '';
          document.documentElement.classList.toggle('wb-dark', !isCode && scheme === 'dark');
        }""",
        [kind, scheme, VSCODE[scheme]],
    )


REACHABLE = """selector => [...document.querySelector(selector).querySelectorAll(
    'button, input, select, textarea, summary, a[href], [tabindex]')].filter(node =>
  node.tabIndex >= 0 && !node.disabled && !node.closest('[inert]') && node.getClientRects().length > 0 &&
  node.checkVisibility({ visibilityProperty: true })).map((node, index) => {
    node.dataset.reach ??= `r${index}`;
    return [node.dataset.reach, node.outerHTML.slice(0, 140)];
  })"""


FOCUSED = """mark => {
  const node = document.querySelector(`[data-reach="${mark}"]`);
  node.focus({ focusVisible: true });
  const style = getComputedStyle(node);
  return [style.outlineStyle, style.outlineWidth];
}"""


@pytest.fixture(scope="module", params=NAMES)
def card(request):
    """One card after the other; the tests of one share its page."""
    return CARDS[request.param]


@pytest.fixture(scope="module")
def shared_page(browser, widgets, card):
    """The card in a page as a notebook's cell holds it."""
    with watched(browser, own=OWN, reduced_motion="reduce") as seen:
        open_component(seen.page, widgets, card.module, card.traits("Why does bread need salt?"))
        seen.page.evaluate(
            "() => { const host = document.getElementById('host'); host.className = 'jp-Cell'; host.tabIndex = -1; }"
        )
        yield seen


@pytest.fixture
def page(shared_page):
    """The shared page, dressed as at the beginning."""
    yield shared_page.page
    shared_page.page.emulate_media(forced_colors="none", reduced_motion="reduce")
    dress(shared_page.page, "bare light")
    shared_page.assert_nothing_ran()


def test_no_card_has_a_serious_violation_in_any_host_without_lab(page, card):
    found = {}
    for host in HOSTS:
        dress(page, host)
        found[host] = violations(page, card.selector)
    assert {host: told for host, told in found.items() if told} == {}


def test_with_forced_colours_controls_keep_an_edge_and_the_focus_is_seen(page, card):
    page.emulate_media(forced_colors="active", reduced_motion="reduce")
    assert violations(page, card.selector) == []
    seen = {}
    for mark, html in page.evaluate(REACHABLE, card.selector):
        style = page.evaluate(FOCUSED, mark)
        if style[0] == "none" or style[1] == "0px":
            seen[html] = style
    assert seen == {}


def test_with_reduced_motion_nothing_moves(page, card):
    moving = page.evaluate(
        """selector => [...document.querySelector(selector).querySelectorAll('*')].filter(node => {
          const style = getComputedStyle(node);
          const times = (style.animationName === 'none' ? '0s' : style.animationDuration) + ',' +
            (style.transitionProperty === 'none' ? '0s' : style.transitionDuration);
          return times.split(',').some(time => parseFloat(time) > 0.001);
        }).map(node => node.outerHTML.slice(0, 120))""",
        card.selector,
    )
    assert moving == []


def test_tab_reaches_every_control_and_leads_out_again(page, card):
    wanted = dict(page.evaluate(REACHABLE, card.selector))
    page.focus("#before")
    visited = set()
    for _ in range(len(wanted) + 20):
        page.keyboard.press("Tab")
        if page.evaluate("document.activeElement.id") == "after":
            break
        visited.add(page.evaluate("document.activeElement.dataset.reach ?? null"))
    assert page.evaluate("document.activeElement.id") == "after"
    assert {key: wanted[key] for key in set(wanted) - visited} == {}


def test_escape_leads_back_to_the_cell_from_every_control(page, card):
    """At most three steps: a part inside a part is left first."""
    stuck = []
    for mark, html in page.evaluate(REACHABLE, card.selector):
        page.evaluate(FOCUSED, mark)
        for _ in range(3):
            page.keyboard.press("Escape")
            if page.evaluate("document.activeElement.id") == "host":
                break
        else:
            stuck.append(html)
    assert stuck == []


def test_no_key_is_taken_while_the_focus_is_elsewhere(page, card):
    page.evaluate(
        "document.addEventListener('keydown', e => { if (e.defaultPrevented) (window.taken ??= []).push(e.key); })"
    )
    page.focus("#before")
    before = page.inner_html(card.selector)
    for key in [*"abcdefghijklmnopqrstuvwxyz0123456789/?[]+-", "ArrowRight", "Home", "End", "Escape", "Delete"]:
        page.keyboard.press(key)
    assert page.evaluate("window.taken ?? []") == []
    assert page.inner_html(card.selector) == before
    assert page.evaluate("document.activeElement.id") == "before"
