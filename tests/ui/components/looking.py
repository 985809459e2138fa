"""What the tests read off the page."""

CURRENT = ".wb-tline [tabindex='0']"


def current(page) -> int:
    """Index of the token that has tabindex 0; there is exactly one."""
    found = page.eval_on_selector_all(CURRENT, "nodes => nodes.map(node => Number(node.dataset.i))")
    assert len(found) == 1
    return found[0]


def top_of(page, token: int) -> float:
    """Where a token stands, in pixels from the top of the page."""
    return page.locator(f".wb-tline [data-i='{token}']").first.bounding_box()["y"]


def drawn(page) -> None:
    """Let the page draw what a scroll or a new width asks for."""
    page.evaluate(
        "() => new Promise(done => requestAnimationFrame(() => requestAnimationFrame(() => setTimeout(done))))"
    )


def tokens_of(shown_row) -> list[str]:
    return shown_row["tokens"]["text"]


def sent(page) -> list[dict]:
    """What went to the kernel, without the numbers of the changes."""
    return [{"kind": change["kind"], "value": change["value"]} for change in page.evaluate("sent")]


def answer(page, state: dict) -> None:
    """The kernel's next state, as an answer to everything sent so far."""
    page.evaluate("s => model.set('state', {...s, turn: sent.at(-1)?.turn ?? 0})", state)


def focused(page) -> str:
    """The control that has the focus."""
    return page.evaluate("document.activeElement.dataset.key ?? document.activeElement.tagName")


def reply(page, **members) -> dict:
    """Answer the viewer's last question; returns the question."""
    asked = page.evaluate("sent.at(-1)")
    page.evaluate("a => model.receive(a)", {"id": asked["id"], **members})
    return asked


def questions(page, count: int) -> None:
    """Wait until so many questions were asked."""
    page.wait_for_function("count => sent.length === count", arg=count)
