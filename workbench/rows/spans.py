"""Which characters of a message are trained, where the data says it: flags, spans with offsets, a prefill.

    {"content": "I think so.", "train_detail": [{"begin_offset": 0, "end_offset": 6, "train": false}, …]}
      ->  {"messages[1].content": (CharSpan(0, 7, False), …)}

Offsets count characters of the message's text and `end_offset` is inclusive, as axolotl reads them (0.19.0,
prompt_strategies/chat_template.py). Where the text is given in parts, spans are cut at the parts' ends, because each
part has a path of its own.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, NamedTuple, cast

from workbench.rows.row_findings import RowFindings
from workbench.rows.shapes import is_list, kind_of
from workbench.types import CharSpan

FLAGS = ("train", "training", "weight")
"""Keys of a message or part that say whether it is trained."""
DETAILS = ("train_detail", "training_detail")
"""Keys of a message that list spans; the second is what axolotl calls them inside."""
PREFILL = "prefill"
MARKS = (*DETAILS, PREFILL)
"""Keys of a message that mark a part of its content."""
OFFSETS = ("begin_offset", "end_offset")

Spans = dict[str, tuple[CharSpan, ...]]
"""Dataset path of a text -> which of its characters are trained."""


class Piece(NamedTuple):
    """A text of a message, and the path it stands at."""

    path: str
    text: str


def read_flag(raw: Mapping[str, Any], path: str, notes: RowFindings) -> bool | None:
    """The train flag of a message or part: true or false, or weight 0 or 1; None where it has none."""
    if raw.keys().isdisjoint(FLAGS):
        return None
    said: set[bool] = set()
    for name in FLAGS:
        value = raw.get(name)
        if value is None:
            continue
        if isinstance(value, bool | int | float) and value in (0, 1):
            said.add(bool(value))
            continue
        field = f"{path}.{name}"
        message = f"`{field}` must be true, false, 0 or 1, but is {kind_of(value)}."
        remedy = "TRL's loss knows 0 and 1 only: a token is trained or it is not. Round the weight."
        notes.error("WB537", message, field, remedy)
    if len(said) > 1:
        notes.error("WB537", f"The train flags of `{path}` contradict each other.", path, "Keep one of them.")
        return None
    return said.pop() if said else None


def detail_spans(raw: Mapping[str, Any], path: str, pieces: Sequence[Piece], notes: RowFindings) -> Spans | None:
    """Spans from `train_detail`; None where the message has none.

    Args:
        raw: The message as the data has it.
        path: Its path.
        pieces: Its content, in order.
        notes: Takes the findings.
    """
    keys = [key for key in DETAILS if raw.get(key) is not None]
    if not keys:
        return None
    field = f"{path}.{keys[0]}"
    if len(keys) > 1:
        notes.error("WB582", f"`{path}` has both `{keys[0]}` and `{keys[1]}`.", field, "Keep one of them.")
        return {}
    items = notes.parsed(raw[keys[0]], field, "a list of {begin_offset, end_offset, train}")
    if items is None:
        return None
    if not is_list(items):
        message = f"`{field}` must be a list of spans, but is {kind_of(items)}."
        notes.error("WB522", message, field, "Write [{begin_offset, end_offset, train}].")
        return {}
    length = sum(len(piece.text) for piece in pieces)
    read = [_span(item, f"{field}[{i}]", length, notes) for i, item in enumerate(cast("list[Any]", items))]
    spans = _merged([span for span in read if span is not None], field, notes)
    if not spans and length and not notes.failed:
        message = f"`{field}` marks nothing, so nothing of `{path}` is trained, as in axolotl."
        notes.warning("WB583", message, field, "Leave it out where the message has no spans.")
    return placed(spans, pieces)


def prefill_spans(
    raw: Mapping[str, Any], path: str, role: str | None, pieces: Sequence[Piece], notes: RowFindings
) -> Spans | None:
    """The beginning that inference supplies, masked, and the rest, trained; None where the message has no prefill."""
    said = raw.get(PREFILL)
    if said is None or said == "":
        return None
    field = f"{path}.{PREFILL}"
    prefill = notes.text(said, field, None, PREFILL)
    if prefill is None:
        return {}
    if role != "assistant":
        message = (
            f"`{field}` stands in a message of role {role or 'unknown'}; only an answer has a beginning to supply."
        )
        notes.error("WB584", message, field, "Move it to the assistant message, or drop it.")
        return {}
    whole = "".join(str.__str__(piece.text) for piece in pieces)
    if not whole.startswith(prefill):
        at = next((i for i, (a, b) in enumerate(zip(whole, prefill, strict=False)) if a != b), len(whole))
        message = f"The content of `{path}` does not begin with `{field}`: they differ from character {at}."
        notes.error("WB584", message, field, "Write the whole answer into the content, prefill included.")
        return {}
    cut = CharSpan(0, len(prefill), False, "prefill")
    rest = [CharSpan(len(prefill), len(whole), True)] if len(whole) > len(prefill) else []
    return placed([cut, *rest], pieces)


def placed(spans: Sequence[CharSpan], pieces: Sequence[Piece]) -> Spans:
    """Spans over the joined pieces as spans of each piece; a piece without any is masked whole."""
    out: Spans = {}
    at = 0
    for piece in pieces:
        end = at + len(piece.text)
        inside = [span for span in spans if span.start < end and span.end > at]
        out[piece.path] = tuple(
            CharSpan(max(span.start, at) - at, min(span.end, end) - at, span.train, span.why) for span in inside
        )
        at = end
    return out


def whole(piece: Piece, train: bool) -> tuple[CharSpan, ...]:
    """One span over all of a text; none where it is empty."""
    return (CharSpan(0, len(piece.text), train),) if piece.text else ()


def _span(item: object, field: str, length: int, notes: RowFindings) -> CharSpan | None:
    """One span of a list of them; None, with a finding, where it is not usable."""
    if not isinstance(item, Mapping):
        message = f"`{field}` must be a span, but is {kind_of(item)}."
        notes.error("WB522", message, field, "Write {begin_offset, end_offset, train}.")
        return None
    raw = cast("Mapping[str, Any]", item)
    for name in OFFSETS:
        if name not in raw:
            notes.missing(f"{field}.{name}", raw)
            return None
        if isinstance(raw[name], bool) or not isinstance(raw[name], int):
            message = f"`{field}.{name}` must be a whole number, but is {kind_of(raw[name])}."
            notes.error("WB522", message, f"{field}.{name}", "Count the characters before it.")
            return None
    train = read_flag(raw, field, notes)
    if train is None:
        if not notes.failed:
            notes.missing(f"{field}.train", raw)
        return None
    begin, last = raw["begin_offset"], raw["end_offset"]
    if not 0 <= begin <= last < length:
        message = f"`{field}` goes from character {_number(begin)} to {_number(last)}, but the text has {length}."
        remedy = f"Offsets go from 0 to {length - 1}; end_offset is the last character itself, not the one behind it."
        notes.error("WB581", message, field, remedy)
        return None
    return CharSpan(begin, last + 1, train)


def _merged(spans: list[CharSpan], field: str, notes: RowFindings) -> list[CharSpan]:
    """Spans in order, those that overlap joined where they agree."""
    out: list[CharSpan] = []
    for span in sorted(spans, key=lambda span: (span.start, span.end)):
        if not out or span.start >= out[-1].end:
            out.append(span)
        elif span.train == out[-1].train:
            out[-1] = CharSpan(out[-1].start, max(span.end, out[-1].end), span.train)
        else:
            message = f"`{field}` marks character {span.start} both as trained and as not trained."
            notes.error("WB582", message, field, "Let spans end where the next one begins.")
            return []
    return out


def _number(value: int) -> str:
    return kind_of(value).removeprefix("the number ")
