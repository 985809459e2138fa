"""Token rows and pairs of a tapped batch."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from workbench.api.tap_reader import Found, Reader, rows_of, targets
from workbench.tokens.pairs import Pair, first_difference
from workbench.types import Finding, Reason
from workbench.views.arrays import About, Sequenced, array_view
from workbench.views.pairs import PairFacts, pair_view

WHY = {
    "sft": (Reason.LABEL, Reason.LABEL_OFF),
    "dpo": (Reason.COMPLETION, Reason.PROMPT),
    "kto": (Reason.COMPLETION, Reason.PROMPT),
    "reward": (Reason.SCORED, Reason.NOT_SCORED),
}


def token_views(arrays: Mapping[str, Any], reader: Reader) -> list[dict[str, Any]]:
    """Every row of an SFT or KTO batch; KTO's mismatched rows come last.

    Args:
        arrays: Tensors of a batch.
        reader: What is known of the trainer.
    """
    views = _plain_views(arrays, reader)
    return views + _mismatched_views(arrays, reader, len(views)) if "KL_input_ids" in arrays else views


def _plain_views(arrays: Mapping[str, Any], reader: Reader) -> list[dict[str, Any]]:
    ids = arrays["input_ids"].tolist()
    trained = targets(arrays) or [[False] * len(row) for row in ids]
    attended = _attended(arrays, "attention_mask", ids)
    positions = rows_of(arrays, "position_ids")
    labels = rows_of(arrays, "label") or []
    pictures = reader.pictures(arrays)
    each = len(pictures) // len(ids) if pictures and len(pictures) % len(ids) == 0 else None
    views: list[dict[str, Any]] = []
    for row, tokens in enumerate(ids):
        places = positions[row] if positions else None
        roles = None if reader.kind != "sft" else _documents(places, len(tokens))
        seq = reader.sequence(tokens, trained[row], attended[row], why=WHY[reader.kind], roles=roles, positions=places)
        own = pictures if each is None and len(ids) == 1 else pictures[row * (each or 0) : (row + 1) * (each or 0)]
        media, findings = reader.media(seq, own, each)
        source = _source(reader, seq, attended[row])
        label = bool(labels[row]) if labels else (source.label if source else None)
        title, cut = _named(f"Row {row}", source), _cut(source, [sum(attended[row])])
        findings += _row_findings(seq, title, cut[0])
        about = About(row, title, reader.kind, cut[0], label, tuple(findings), media=media)
        views.append(array_view(seq, about))
    return views


def _mismatched_views(arrays: Mapping[str, Any], reader: Reader, start: int) -> list[dict[str, Any]]:
    """KTO's prompts with the answers of other rows: the model reads them without gradient, to estimate the KL term."""
    ids = arrays["KL_input_ids"].tolist()
    answers = targets(arrays, "KL_") or [[False] * len(row) for row in ids]
    attended = _attended(arrays, "KL_attention_mask", ids)
    views: list[dict[str, Any]] = []
    for row, tokens in enumerate(ids):
        roles = ["completion" if answer else "prompt" for answer in answers[row]]
        none = [False] * len(tokens)
        why = (Reason.MISMATCHED, Reason.MISMATCHED)
        seq = reader.sequence(tokens, none, attended[row], why=why, roles=roles)
        views.append(array_view(seq, About(start + row, f"KL row {row}: prompt {row} with another answer", "kto")))
    return views


def _documents(positions: Sequence[int] | None, length: int) -> list[str]:
    """The block of each token: documents of a packed row where positions restart, else one block."""
    if positions is None or sum(position == 0 for position in positions) <= 1:
        return ["tokens"] * length
    roles: list[str] = []
    number = -1
    for position in positions:
        number += position == 0
        roles.append(f"document {number}")
    return roles


def _attended(arrays: Mapping[str, Any], name: str, ids: list[list[int]]) -> list[list[bool]]:
    return (arrays[name] != 0).tolist() if name in arrays else [[True] * len(row) for row in ids]


def _source(reader: Reader, seq: Sequenced, attended: Sequence[bool]) -> Found | None:
    kept = [token for token, seen in zip(seq.ids, attended, strict=True) if seen]
    return reader.found(kept) if reader.kind == "kto" else None


def _named(title: str, source: Found | None) -> str:
    return title if source is None else f"{title}, train_dataset[{source.row}]"


def _cut(source: Found | None, kept: Sequence[int]) -> list[int]:
    """Tokens that max_length cut off each sequence; 0 where its row is not known."""
    lengths = source.lengths if source else kept
    return [max(0, whole - length) for whole, length in zip(lengths, kept, strict=True)]


def _row_findings(seq: Sequenced, title: str, cut: int) -> list[Finding]:
    found: list[Finding] = []
    if not any(seq.trained):
        found.append(
            Finding("WB120", "error", f"No token of {title} is trained.", remedy="Look at the row in the dataset.")
        )
    if cut:
        found.append(
            Finding("WB126", "warning", f"max_length cut {cut:,} tokens of {title}.", remedy="Raise max_length.")
        )
    return found


def pair_count(arrays: Mapping[str, Any]) -> int:
    """Pairs of a batch of (2B, T): chosen rows first, then rejected ones."""
    return len(arrays["input_ids"]) // 2


def pair_of(arrays: Mapping[str, Any], reader: Reader, index: int, most: int) -> dict[str, Any]:
    """One pair of a DPO or reward batch.

    Args:
        arrays: Tensors of a batch, `input_ids` (2B, T).
        reader: What is known of the trainer.
        index: Which of its pairs.
        most: Tokens to show.
    """
    count = pair_count(arrays)
    scores = reader.kind == "reward"
    sides = [_side(arrays, reader, row, scores) for row in (index, index + count)]
    ids = [tuple(seq.ids) for seq in sides]
    source = reader.found(*ids)
    cut = _cut(source, [len(side) for side in ids])
    first = first_difference(*ids)
    masked = min(next((i for i, hit in enumerate(seq.trained) if hit), len(seq.ids)) for seq in sides)
    prompt = (masked if first is None else first) if scores else masked if first is None else min(masked, first)
    title = _named(f"Pair {index}", source)
    findings = _pair_findings(sides, title, cut, reader)
    margins = rows_of(arrays, "margin")
    hits = (sum(sides[0].trained), sum(sides[1].trained))
    pair = Pair(-1, prompt, first, None, hits)
    views = []
    for name, seq, lost in zip(("chosen", "rejected"), sides, cut, strict=True):
        media, said = reader.media(seq, [])
        findings += said
        views.append(array_view(seq, About(index, name, reader.kind, lost, media=media)))
    facts = PairFacts(index, title, None if margins is None else margins[index], tuple(findings), reader.kind)
    shown = pair_view(views[0], views[1], pair, facts, most)
    return {**shown, "row": None}


def _side(arrays: Mapping[str, Any], reader: Reader, row: int, scores: bool) -> Sequenced:
    """One side without its padding."""
    ids = arrays["input_ids"][row].tolist()
    attended = _attended(arrays, "attention_mask", arrays["input_ids"].tolist())[row]
    kept = [i for i, seen in enumerate(attended) if seen]
    if scores:
        at = scored_token(ids, reader.pad_id)
        trained = [i == at for i in range(len(ids))]
    else:
        trained = (targets(arrays) or [[False] * len(ids)] * (row + 1))[row]
    tokens, hits = [ids[i] for i in kept], [trained[i] for i in kept]
    roles = ["text"] * len(kept) if scores else None
    return reader.sequence(tokens, hits, [True] * len(kept), why=WHY[reader.kind], roles=roles)


def scored_token(ids: Sequence[int], pad_id: int | None) -> int:
    """The token at which a reward model reads its score: the last that is not padding, going by its id.

    Source: GenericForSequenceClassification.forward of transformers 5.23, which looks at ids, not at the mask.
    """
    return max((i for i, token in enumerate(ids) if token != pad_id), default=len(ids) - 1)


def _pair_findings(sides: list[Sequenced], title: str, cut: Sequence[int], reader: Reader) -> list[Finding]:
    found: list[Finding] = []
    if list(sides[0].ids) == list(sides[1].ids):
        what = f"Chosen and rejected of {title} are the same {len(sides[0].ids)} tokens: nothing can be learned."
        code = "WB116" if any(cut) else "WB115"
        found.append(Finding(code, "error", what, remedy="Raise max_length." if any(cut) else "Leave the row out."))
    for name, seq, lost in zip(("chosen", "rejected"), sides, cut, strict=True):
        if reader.kind != "reward" and not any(seq.trained):
            why = "max_length keeps the prompt only" if lost else "it has no completion"
            found.append(
                Finding("WB151", "error", f"No token of the {name} side of {title} is trained: {why}.",
                        remedy="Raise max_length, shorten the prompt, or leave the row out.")
            )  # fmt: skip
        if lost:
            what = f"max_length cut {lost:,} tokens of the {name} side of {title}."
            found.append(Finding("WB126", "warning", what, remedy="Raise max_length."))
        found += _score_finding(seq, name, title, reader)
    return found


def _score_finding(seq: Sequenced, name: str, title: str, reader: Reader) -> list[Finding]:
    """The head reads before the end where the row ends with the padding token (pad = eos)."""
    if reader.kind != "reward" or not seq.ids or (any(seq.trained) and seq.trained[-1]):
        return []
    last = seq.texts[-1][0]
    message = (
        f"The score of the {name} side of {title} is read before its last token {last!r}, which is the padding token."
    )
    remedy = "Give the tokenizer and the model a padding token of its own: pad_token is the token that ends the text."
    return [Finding("WB155", "warning", message, remedy=remedy)]
