"""Where the choice of a type is a question only a person can answer: both readings, and what decides.

{"text": "Great film!", "label": "positive"}  ->  WB513: read as text, `label` is lost; or alpaca with output=label
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import NamedTuple

from workbench.rows.formats import FORMATS
from workbench.types import Finding, FormatMatch

SAME = 0.95
"""Share of the best type's rows that another one must also read to be its rival."""

RIVALS: Mapping[tuple[str, str], str] = {
    ("rl", "alpaca"): "whether the answer is only compared with what the model writes, or is itself what is learnt",
    ("rl", "messages"): "whether the model writes the answers itself, or learns those that are in the rows",
    ("rl", "sharegpt"): "whether the model writes the answers itself, or learns those that are in the rows",
    ("jeopardy", "alpaca"): 'whether the questions are clues, whose answers begin with "what is "',
    ("prompt_only", "messages"): "whether answers were left out on purpose (for GRPO and RLOO) or were lost",
    ("prompt_only", "sharegpt"): "whether answers were left out on purpose (for GRPO and RLOO) or were lost",
    ("messages", "sharegpt"): "which of the two columns holds the conversation",
    ("sharegpt", "messages"): "which of the two columns holds the conversation",
    ("messages", "text"): "whether the text is the conversation written out, or another document",
    ("sharegpt", "text"): "whether the text is the conversation written out, or another document",
}
"""(chosen, other) types that may read the same rows as different things -> what decides."""

ANSWERS = frozenset(
    "label labels label_text sentiment emotion class intent target answer answers final_answer expected_answer "
    "gold reply output response completion summary translation correct_answer best_answer".split()
)
"""Names under which a column that no type asked for may still be what is to be learnt."""


class _Other(NamedTuple):
    """The reading that was not taken.

    Attributes:
        type: Its name.
        columns: What of the columns would have to be said.
        decides: What decides between the two, to go on after "whether" or "which".
        loses: What the taken reading leaves out.
        first: What has to be done before this one is possible.
    """

    type: str
    columns: Mapping[str, str]
    decides: str
    loses: str = ""
    first: str = ""


Seen = Mapping[str, Sequence[frozenset[str]]]


def doubt(matches: Sequence[FormatMatch], columns: Seen) -> Finding | None:
    """A question about the choice of `matches[0]` (WB513); None where it is clear.

    Args:
        matches: From `detect`, best first.
        columns: Columns of the data, with the shapes of their values, one entry a row.
    """
    if not matches or not matches[0].rows:
        return None
    best = matches[0]
    other = _rival(matches) or _left_over(best, columns) or _judged(best, columns) or _alone(best, columns)
    if other is None:
        return None
    pairs = ", ".join(f'"{ours}": "{theirs}"' for ours, theirs in other.columns.items())
    mapping = f", columns={{{pairs}}}" if pairs else ""
    message = (
        f"The rows can be read as `{best.type}` or as `{other.type}`. As `{best.type}`, trained is: "
        f"{FORMATS[best.type].trains}{other.loses}. As `{other.type}`: {FORMATS[other.type].trains}. "
        f"What decides is {other.decides}. They are read as `{best.type}`."
    )
    remedy = f'Say which: type="{best.type}", or {other.first}type="{other.type}"{mapping}.'
    return Finding("WB513", "warning", message, remedy=remedy)


def _rival(matches: Sequence[FormatMatch]) -> _Other | None:
    best = matches[0]
    asked = next((match.rows for match in matches if match.type == "prompt_only"), 0)
    for match in matches[1:]:
        if best.type == "rl" and match.type in ("messages", "sharegpt") and asked >= SAME * best.rows:
            continue  # the chats have no answers to learn
        if best.type == "prompt_only" and best.columns["prompt"].lower() in ("prompt", "question", "query"):
            continue  # its name says what it is
        if (best.type, match.type) in RIVALS and match.rows >= SAME * best.rows:
            return _Other(match.type, {}, RIVALS[best.type, match.type])
    return None


def _left_over(best: FormatMatch, columns: Seen) -> _Other | None:
    """A column named like an answer, beside rows that are read without one."""
    if best.type not in ("text", "prompt_only"):
        return None
    used = set(best.columns.values())
    for name, shapes in columns.items():
        plain = frozenset[str]().union(*shapes) & {"text", "number", "flag"}
        if name not in used and name.lower() in ANSWERS and plain:
            asked = next(iter(best.columns.values()))
            decides = f"whether `{name}` is the answer to `{asked}` or a remark about it"
            return _Other("alpaca", {"instruction": asked, "output": name}, decides, f"; `{name}` is not used")
    return None


def _judged(best: FormatMatch, columns: Seen) -> _Other | None:
    """A label of 0 and 1 beside answers: wanted and unwanted, or the two classes of something else."""
    if best.type not in ("messages", "sharegpt", "prompt_completion"):
        return None
    for name, shapes in columns.items():
        if name.lower() in ("label", "kto_tag") and all("zero_one" in one for one in shapes):
            ours = best.columns.get("completion") or best.columns.get("messages") or best.columns["conversations"]
            decides = f"whether 1 in `{name}` says that the answer is wanted"
            return _Other("kto", {"completion": ours, "label": name}, decides, f"; `{name}` is not used")
    return None


def _alone(best: FormatMatch, columns: Seen) -> _Other | None:
    """Answers without any question."""
    name = best.columns.get("text")
    if best.type != "text" or name != "response" or len(columns) != 1:
        return None
    decides = f"whether the texts of `{name}` stand for themselves (pretraining) or their questions were lost"
    return _Other("alpaca", {"output": name}, decides, first="after adding the questions as column `instruction`, ")
