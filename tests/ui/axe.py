"""axe-core in a page: what a card does to people who do not see it, or see it otherwise."""

from pathlib import Path
from typing import Any

import pytest

SCRIPT = Path(__file__).resolve().parents[2] / "node_modules" / "axe-core" / "axe.min.js"

RUN = """async selector => {
  const cards = [...document.querySelectorAll(selector)].filter(node => node.offsetParent !== null);
  const found = [];
  for (const card of cards) {
    const { violations } = await axe.run(card, { resultTypes: ['violations'] });
    for (const { id, impact, nodes } of violations) {
      if (impact === 'serious' || impact === 'critical') {
        const told = nodes.slice(0, 3).map(n => n.html.slice(0, 160) + ' ' + n.failureSummary.slice(0, 300));
        found.push(`${id}: ${told.join(' | ')}`);
      }
    }
  }
  return { cards: cards.length, found };
}"""


def violations(page: Any, selector: str) -> list[str]:
    """Serious and critical violations in every card in sight; at least one card must be there."""
    if not SCRIPT.is_file():
        pytest.skip("axe-core is not installed; run jlpm install")
    if not page.evaluate("typeof axe === 'object'"):
        page.evaluate(SCRIPT.read_text())
    told = page.evaluate(RUN, selector)
    assert told["cards"] > 0
    return told["found"]
