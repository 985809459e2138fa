"""Why a row of ours differs from axolotl's: every differing token has to be explained, by a rule that looks at it.

A rule says what is seen; `docs/axolotl-differences.md` says why ours is so. Anything no rule explains is a failure.
"""

from collections.abc import Callable
from dataclasses import dataclass
from functools import cached_property
from typing import Any

from workbench.types import IGNORE, Reason, TokenizedExample

SENTINELS = ("[[dummy_message]]", "zzdummymessagezz")
"""Texts axolotl puts in a message's place to see where it stands (prompt_strategies/chat_template.py)."""


@dataclass(frozen=True)
class Row:
    """One sequence, made by both.

    Attributes:
        made: Ours.
        ids, labels: Axolotl's.
        ends: Ids axolotl takes for the end of a turn: EOS, or its `eot_tokens`.
        raw: The data row.
        tokenizer: Ours.
        type: Axolotl's.
    """

    made: TokenizedExample
    ids: tuple[int, ...]
    labels: tuple[int, ...]
    ends: frozenset[int]
    raw: dict[str, Any]
    tokenizer: Any
    type: str = "chat_template"

    @cached_property
    def data(self) -> list[bool]:
        """Whether each character of our text comes from the row."""
        out: list[bool] = []
        for run in self.made.rendered.text.runs:
            said = run.origin is not None and run.origin.field is not None and run.origin.key != "role"
            out += [said] * run.length
        return out

    def turn(self, token: int) -> Any:
        """The turn a token stands in."""
        start = self.made.offsets[token][0]
        return next((turn for turn in self.made.rendered.turns if turn.start <= start < turn.end), None)

    def has_data(self, token: int) -> bool:
        """Whether any character of the token comes from the row."""
        start, end = self.made.offsets[token]
        return any(self.data[start:end])

    def all_data(self, token: int) -> bool:
        """Whether every character of the token comes from the row."""
        start, end = self.made.offsets[token]
        return start < end and all(self.data[start:end])

    @cached_property
    def messages(self) -> list[dict[str, Any]]:
        """The row's messages."""
        return self.raw.get("messages") or self.raw.get("conversations") or []


def explained(row: Row) -> set[str]:
    """Rules that explain the differing tokens of a row with equal ids.

    Raises:
        AssertionError: For a token that no rule explains.
    """
    made = row.made
    assert made.input_ids == row.ids, "ids differ"
    found: set[str] = set()
    for token, (ours, theirs) in enumerate(zip(made.labels, row.labels, strict=True)):
        if (ours == IGNORE) != (theirs == IGNORE):
            rules = [name for name, rule in RULES.items() if rule(row, token, ours != IGNORE)]
            start, end = made.offsets[token]
            place = f"token {token} {str.__str__(made.rendered.text)[start:end]!r}, {made.reasons[token].value}"
            assert rules, f"{place}: trained by {'us' if ours != IGNORE else 'axolotl'} only"
            found.add(rules[0])
    return found


def _sentinel(row: Row, token: int, ours: bool) -> bool:
    """A message of the row is a text axolotl marks messages with."""
    if row.type != "chat_template":
        return False
    return any(str(message.get("content", message.get("value"))).strip() in SENTINELS for message in row.messages)


def _other_stop(row: Row, token: int, ours: bool) -> bool:
    """Ours trains the token the template ends the turn with; axolotl looks for another."""
    return ours and row.made.reasons[token] is Reason.STOP and row.ids[token] not in row.ends


def _eos_behind(row: Row, token: int, ours: bool) -> bool:
    """Axolotl trains an EOS that stands behind the end of the turn, where generation has stopped."""
    return (
        not ours
        and row.ids[token] in row.ends
        and row.made.reasons[token] in (Reason.AFTER_STOP, Reason.BETWEEN_TURNS)
        and not row.has_data(token)
    )


def _template_before(row: Row, token: int, ours: bool) -> bool:
    """Ours trains what the template writes between the generation prompt and the answer: the model has to write it."""
    turn = row.turn(token)
    if not ours or turn is None or turn.role != "assistant" or row.has_data(token):
        return False
    first = next((at for at in range(turn.body, turn.end) if row.data[at]), turn.end)
    _start, end = row.made.offsets[token]
    return turn.body < end <= first


def _straddling(row: Row, token: int, ours: bool) -> bool:
    """The token stands for characters of the answer and of the template; ours trains it, axolotl does not."""
    return ours and row.has_data(token) and not row.all_data(token)


def _span_off_end(row: Row, token: int, ours: bool) -> bool:
    """Axolotl trains the end of a message whose every character the row masks."""
    turn = row.turn(token)
    return (
        not ours
        and turn is not None
        and row.ids[token] in row.ends
        and not _trained_span(row, turn.message)
        and not row.has_data(token)
    )


def _drift(row: Row, token: int, ours: bool) -> bool:
    """Marked parts: axolotl tokenizes the message alone, and lays its tokens over others."""
    turn = row.turn(token)
    if turn is None or not _spans(row, turn.message):
        return False
    inside = [
        i for i, (start, end) in enumerate(row.made.offsets) if turn.start <= start < turn.end and row.has_data(i)
    ]
    alone = row.tokenizer(_content(row, turn.message), add_special_tokens=False)["input_ids"]
    return alone != [row.ids[i] for i in inside] and row.has_data(token)


def _snapped(row: Row, token: int, ours: bool) -> bool:
    """Marked parts: axolotl widens a part to whole tokens; ours trains tokens that are wholly inside."""
    turn = row.turn(token)
    if ours or turn is None:
        return False
    first = next(at for at in range(turn.body, turn.end) if row.data[at])
    low, high = (at - first for at in row.made.offsets[token])
    return any(
        train and low <= end and high > start and not (start <= low and high <= end + 1)
        for start, end, train in _spans(row, turn.message)
    )


def _no_tokens(row: Row, token: int, ours: bool) -> bool:
    """The vocabulary has no token for any character of the answer, and axolotl does not find the turn."""
    turn = row.turn(token)
    if not ours or turn is None or row.made.reasons[token] is not Reason.STOP:
        return False
    return not any(
        row.has_data(i) for i, (start, end) in enumerate(row.made.offsets) if turn.body <= start < end <= turn.end
    )


def _content(row: Row, message: int) -> str:
    content = row.messages[message]["content"]
    return content if isinstance(content, str) else "".join(part["text"] for part in content)


def _spans(row: Row, message: int) -> list[tuple[int, int, bool]]:
    """(first, last, trained) of the marked parts of a message, the last character included."""
    said = row.messages[message] if 0 <= message < len(row.messages) else {}
    if isinstance(said.get("content"), list) and any("train" in part for part in said["content"]):
        out, at = [], 0
        for part in said["content"]:
            out.append((at, at + len(part["text"]) - 1, part["train"]))
            at += len(part["text"])
        return out
    return [(span["begin_offset"], span["end_offset"], span["train"]) for span in said.get("train_detail") or ()]


def _trained_span(row: Row, message: int) -> bool:
    spans = _spans(row, message)
    return not spans or any(train for _, _, train in spans)


RULES: dict[str, Callable[[Row, int, bool], bool]] = {
    "sentinel": _sentinel,
    "another stop token": _other_stop,
    "EOS behind the turn": _eos_behind,
    "template text before the answer": _template_before,
    "token of answer and template": _straddling,
    "end of a masked message": _span_off_end,
    "part widened to tokens": _snapped,
    "part tokenized alone": _drift,
    "answer without tokens": _no_tokens,
}
