"""What the tests of the template card read off the page, and the kernel's side of it."""

from looking import drawn
from template_payloads import template_answer

LIT = "nodes => nodes.map(node => node.textContent)"


def answer(page, **how) -> dict:
    """Answer the last question as the kernel would."""
    asked = page.evaluate("sent.at(-1)")
    said = template_answer(asked, **how)
    page.evaluate("answer => model.receive(answer)", said)
    drawn(page)
    return said


def lit(page, selector: str) -> list[str]:
    return page.eval_on_selector_all(f"{selector}.wb-on", LIT)


def said(page) -> str:
    return page.inner_text(".wb-ll")
