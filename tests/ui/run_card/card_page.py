"""What a test of the run card says to the page."""


def until_step(events: list[dict], step: int) -> list[dict]:
    """Everything before the first event of the next step."""
    later = next(i for i, event in enumerate(events) if event["kind"] == "step" and event["step"] > step)
    return events[:later]


def mount(page, payload: dict, **options) -> int:
    return page.evaluate("([payload, options]) => cards.mount(payload, options)", [payload, options])


def push(page, card: int, events: list[dict]) -> None:
    page.evaluate("([card, events]) => cards.push(card, events)", [card, events])


def server(page, card: int, expression: str):
    return page.evaluate(f"card => {{ const server = cards.server(card); return {expression}; }}", card)


def event(kind: str, **members) -> dict:
    return {"seq": 9999, "t": 1795476790.0, "m": 1.0, "kind": kind, **members}


def wait_for(page, expression: str) -> None:
    page.wait_for_function(expression, timeout=20_000)


def wait_state(page, state: str) -> None:
    page.wait_for_selector(f'.wb-run[data-state="{state}"]', timeout=20_000)


def points(trace: str) -> str:
    """Number of points that Plotly holds in a trace."""
    return f"(document.querySelector('.wb-plot')?.data ?? []).find(t => t.name === '{trace}')?.y.length"
