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
          if (kind === 'vscode') {
            document.body.classList.add(`vscode-${scheme}`);
            document.documentElement.style.cssText = variables;
          } else {
            document.documentElement.classList.toggle('wb-dark', scheme === 'dark');
          }
        }""",
        [kind, scheme, VSCODE[scheme]],
    )


@pytest.mark.parametrize("name", NAMES)
def test_no_card_has_a_serious_violation_in_any_host_without_lab(browser, widgets, name):
    card = CARDS[name]
    for host in HOSTS:
        with watched(browser, own=OWN, reduced_motion="reduce") as seen:
            open_component(seen.page, widgets, card.module, card.traits("Why does bread need salt?"))
            dress(seen.page, host)
            assert violations(seen.page, card.selector) == [], host
            seen.assert_nothing_ran()


@pytest.mark.parametrize("name", NAMES)
def test_with_forced_colours_controls_keep_an_edge_and_the_focus_is_seen(browser, widgets, name):
    card = CARDS[name]
    with watched(browser, own=OWN, forced_colors="active", reduced_motion="reduce") as seen:
        open_component(seen.page, widgets, card.module, card.traits("Why does bread need salt?"))
        assert violations(seen.page, card.selector) == []
        seen.page.focus("#before")
        seen.page.keyboard.press("Tab")
        style = seen.page.evaluate(
            "() => { const s = getComputedStyle(document.activeElement); return [s.outlineStyle, s.outlineWidth]; }"
        )
        assert style[0] != "none" and style[1] != "0px"


@pytest.mark.parametrize("name", NAMES)
def test_with_reduced_motion_nothing_moves(browser, widgets, name):
    card = CARDS[name]
    with watched(browser, own=OWN, reduced_motion="reduce") as seen:
        open_component(seen.page, widgets, card.module, card.traits("Why does bread need salt?"))
        moving = seen.page.evaluate(
            """selector => [...document.querySelector(selector).querySelectorAll('*')].filter(node => {
              const style = getComputedStyle(node);
              const times = (style.animationName === 'none' ? '0s' : style.animationDuration) + ',' +
                (style.transitionProperty === 'none' ? '0s' : style.transitionDuration);
              return times.split(',').some(time => parseFloat(time) > 0.001);
            }).map(node => node.outerHTML.slice(0, 120))""",
            card.selector,
        )
        assert moving == []


REACHABLE = """selector => [...document.querySelector(selector).querySelectorAll(
    'button, input, select, textarea, summary, a[href], [tabindex]')].filter(node =>
  node.tabIndex >= 0 && !node.disabled && !node.closest('[inert]') && node.getClientRects().length > 0 &&
  node.checkVisibility({ visibilityProperty: true })).map((node, index) => {
    node.dataset.reach ??= `r${index}`;
    return [node.dataset.reach, node.outerHTML.slice(0, 140)];
  })"""


@pytest.mark.parametrize("name", NAMES)
def test_tab_reaches_every_control_and_leads_out_again(browser, widgets, name):
    card = CARDS[name]
    with watched(browser, own=OWN) as seen:
        page = seen.page
        open_component(page, widgets, card.module, card.traits("Why does bread need salt?"))
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


@pytest.mark.parametrize("name", NAMES)
def test_no_key_is_taken_while_the_focus_is_elsewhere(browser, widgets, name):
    card = CARDS[name]
    with watched(browser, own=OWN) as seen:
        page = seen.page
        open_component(page, widgets, card.module, card.traits("Why does bread need salt?"))
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
