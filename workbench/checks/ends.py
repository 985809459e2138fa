"""Checks of where answers end: cut off, never stopped, or run on into what stands for nothing.

WB126 answer cut off · WB127 no stop token trained · WB135 cut outside an answer · WB136 padding or media trained
"""

from __future__ import annotations

from collections.abc import Iterator

from workbench.checks.row import Row
from workbench.types import IGNORE, Conversation, Finding, Reason, TokenIds, TokenizedExample, Turn

STOP_SEARCHED = frozenset({Reason.ASSISTANT, Reason.COMPLETION, Reason.FLAG})
ANSWERS = frozenset({"assistant", "completion"})
FILLER_RUN = 8
"""So many equal special tokens one behind the other are padding or stand for media; no text has them."""


def cut_answer(row: Row) -> Iterator[Finding]:
    """WB126: max_length cut an answer in its middle."""
    turn = _cut_turn(row) if row.tokens.truncated else None
    if turn is not None:
        yield Finding(
            "WB126",
            "warning",
            f"Row {row.tokens.row} loses its last {row.tokens.truncated} of {_whole(row.tokens)} tokens to max_length, "
            f"inside {_name(turn)}, and with them its stop token.",
            row=row.tokens.row,
            remedy="Raise max_length, or leave long rows out.",
            token=len(row.tokens.input_ids) - 1,
        )


def cut_elsewhere(row: Row) -> Iterator[Finding]:
    """WB135: max_length cut the row where no answer stands; what follows is lost, what is there is whole."""
    if row.tokens.truncated and _cut_turn(row) is None:
        yield Finding(
            "WB135",
            "warning",
            f"Row {row.tokens.row} loses its last {row.tokens.truncated} of {_whole(row.tokens)} tokens to max_length, "
            "and with them whatever answers stand there.",
            row=row.tokens.row,
            remedy="Raise max_length, or leave long rows out.",
            token=len(row.tokens.input_ids) - 1 if row.tokens.input_ids else None,
        )


def _whole(tokens: TokenizedExample) -> int:
    return tokens.truncated + len(tokens.input_ids)


def _cut_turn(row: Row) -> Turn | None:
    """The answer that the last token stands in, where that answer goes on."""
    reached = row.ends[-1] if row.ends else 0
    for turn in row.tokens.rendered.turns:
        if turn.role in ANSWERS and turn.body < reached < turn.end:
            return turn if reached <= turn.data_end else None
    return None


def _name(turn: Turn) -> str:
    return "the completion" if turn.role == "completion" else f"the answer of message {turn.message}"


def no_stop(row: Row) -> Iterator[Finding]:
    """WB127: an answer whose end is not trained; the model will not learn to stop."""
    if not isinstance(row.example, Conversation) or row.tokens.truncated or Reason.STOP in row.tokens.reasons:
        return
    if Reason.STOP_OFF in row.tokens.reasons:  # train_on_eos says so
        return
    if STOP_SEARCHED.isdisjoint(row.tokens.reasons):
        return
    ends = list(_trained_ends(row.tokens))
    if any(row.tokens.input_ids[end] in row.special_ids for end in ends):
        return
    yield Finding(
        "WB127",
        "warning",
        "No stop token is trained: the template writes none behind the answer, so the model will not learn to end it.",
        row=row.tokens.row,
        remedy="Use a template that ends the assistant's turn with a special token.",
        token=ends[0] if ends else None,
    )


def _trained_ends(tokens: TokenizedExample) -> Iterator[int]:
    labels = tokens.labels
    return (
        i for i, label in enumerate(labels) if label != IGNORE and (i + 1 == len(labels) or labels[i + 1] == IGNORE)
    )


def supervised_filler(row: Row) -> Iterator[Finding]:
    """WB136: a label on padding or on tokens that stand for media: the model would learn to write them."""
    if not isinstance(row.example, TokenIds):
        return  # of every other row our own mask decides, and it never trains these
    found = _filler(row)
    if found:
        first = found[0]
        yield Finding(
            "WB136",
            "error",
            f"{len(found)} tokens of row {row.tokens.row} that are padding or stand for media have a label "
            f"(the first is token {first}, id {row.tokens.input_ids[first]}).",
            row=row.tokens.row,
            field=f"labels[{first}]",
            remedy="Set the labels of these tokens to -100.",
            token=first,
        )


def _filler(row: Row) -> list[int]:
    """Trained tokens that the attention mask leaves out, or that stand in a long run of one special token."""
    ids, labels = row.tokens.input_ids, row.tokens.labels
    seen = row.example.attention_mask if isinstance(row.example, TokenIds) else None
    found = {i for i, flag in enumerate(seen or ()) if not flag and i < len(labels) and labels[i] != IGNORE}
    start = 0
    for i in range(1, len(ids) + 1):
        if i == len(ids) or ids[i] != ids[start]:
            if i - start >= FILLER_RUN and ids[start] in row.special_ids:
                found.update(k for k in range(start, i) if labels[k] != IGNORE)
            start = i
    return sorted(found)
