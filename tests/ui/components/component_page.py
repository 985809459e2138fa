"""Open one widget module in a page without network: every request is answered from the folder of bundles."""

import json
from pathlib import Path
from typing import Any

from playwright.sync_api import Page, Route

ORIGIN = "http://component.test"
PAGE = """<!doctype html><html lang="en"><meta charset="utf-8"><link rel="stylesheet" href="/widgets.css">
<body style="margin: 20px"><button id="before">before</button><div id="host"></div><button id="after">after</button>
<script type="module">
import widget from '/MODULE.js';
window.widget = widget;
const listeners = {};
const traits = TRAITS;
window.sent = [];
window.model = {
  get: name => traits[name],
  set: (name, value) => { traits[name] = value; (listeners['change:' + name] ?? []).forEach(f => f()); },
  on: (name, f) => { (listeners[name] ??= []).push(f); },
  off: (name, f) => { listeners[name] = (listeners[name] ?? []).filter(g => g !== f); },
  send: message => { window.sent.push(message); },
  receive: message => { (listeners['msg:custom'] ?? []).forEach(f => f(message)); }
};
const begin = performance.now();
window.closeWidget = widget.render({ model: window.model, el: document.getElementById('host') });
requestAnimationFrame(() => requestAnimationFrame(() => {
  window.firstPaint = performance.now() - begin;
  document.body.dataset.ready = 'yes';
}));
</script></body></html>"""


def open_component(page: Page, widgets: Path, module: str, traits: dict[str, Any]) -> None:
    """Render `module` with these traits; `window.model` plays the kernel's side."""
    text = json.dumps(traits).replace("</", "<\\/")
    html = PAGE.replace("MODULE", module).replace("TRAITS", text)

    def answer(route: Route) -> None:
        name = route.request.url.removeprefix(ORIGIN + "/")
        if name == "":
            route.fulfill(content_type="text/html", body=html)
        elif (widgets / name).is_file():
            kind = "text/css" if name.endswith(".css") else "text/javascript"
            route.fulfill(content_type=kind, body=(widgets / name).read_text())
        else:
            route.fulfill(status=204)

    page.route("**/*", answer)
    page.goto(ORIGIN + "/")
    page.wait_for_selector("body[data-ready=yes]")


def nodes_in(page: Page, selector: str) -> int:
    """All DOM nodes below the first match: elements, texts, everything."""
    return page.evaluate(
        """selector => {
          const walker = document.createTreeWalker(document.querySelector(selector), NodeFilter.SHOW_ALL);
          let count = 1;
          while (walker.nextNode()) count += 1;
          return count;
        }""",
        selector,
    )
