"""What is to be said of one row made by both: equal, or the reason for the difference, which is checked.

    verdict(case, raw, ours, theirs, context)  ->  "equal" | "another stop token" | "axolotl: KeyError: 'system'" | …

A difference without a reason is an AssertionError.
"""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from axolotl_cases import Case
from axolotl_ours import Made
from axolotl_reasons import Row, explained

from workbench.types import IGNORE

NOTHING_TO_TRAIN = "WB531"
COMPLETION_WINDOWS = 64
"""Sequences of one text that axolotl keeps (prompt_strategies/completion.py: max_length = sequence_len * 64)."""


@dataclass(frozen=True)
class Context:
    """What rules need to know of a case.

    Attributes:
        tokenizer: Ours.
        parts: Function from a row's index to its sequences in full.
        again: Function from other rows to what we make of them.
    """

    case: Case
    tokenizer: Any
    parts: Callable[[int], Any]
    again: Callable[[list[dict[str, Any]]], list[Made]]

    @property
    def ends(self) -> frozenset[int]:
        """Ids axolotl takes for the end of a turn."""
        tokens = [*self.case.config.get("eot_tokens", ()), self.tokenizer.eos_token]
        return frozenset(self.tokenizer.convert_tokens_to_ids(token) for token in tokens)


def verdict(index: int, raw: dict[str, Any], ours: Made, theirs: Any, context: Context) -> str:
    """What is to be said of a row.

    Raises:
        AssertionError: For a difference that no rule explains.
    """
    answers = theirs if isinstance(theirs, list) else [theirs]
    if answers and "error" in answers[0]:
        return f"axolotl: {answers[0]['error']}"
    if ours.refused:
        return _refused(ours, answers, context)
    how = {"ids": _ids, "texts": _texts, "pairs": _pairs}[context.case.kind]
    return how(index, raw, ours, answers, context)


def _refused(ours: Made, answers: list[dict[str, Any]], context: Context) -> str:
    """We refuse rows in which nothing is trained; axolotl trains at most the ends of masked messages there."""
    assert set(ours.refused) == {NOTHING_TO_TRAIN}, ours.refused
    trained = {label for answer in answers for label in answer["labels"] if label != IGNORE}
    assert trained <= context.ends, trained
    return "nothing to train" if not trained else "nothing to train but the end of a masked message"


def _ids(index: int, raw: dict[str, Any], ours: Made, answers: list[dict[str, Any]], context: Context) -> str:
    theirs = [(tuple(answer["input_ids"]), tuple(answer["labels"])) for answer in answers]
    mine = list(zip(ours.ids, ours.labels, strict=True))
    if mine == theirs:
        return "equal"
    for name, rule in WHOLE_ROWS.items():
        if rule(index, raw, mine, theirs, context):
            return name
    assert len(mine) == len(theirs), f"{len(mine)} sequences, axolotl {len(theirs)}"
    found: set[str] = set()
    for part, (ids, labels) in zip(context.parts(index), theirs, strict=True):
        found |= explained(Row(part, ids, labels, context.ends, raw, context.tokenizer, context.case.axolotl_type))
    return " + ".join(sorted(found))


def _more_ends(index: int, raw: Any, mine: Any, theirs: Any, context: Context) -> bool:
    """`metharme` puts up to three EOS behind the answer, ours one."""
    if context.case.axolotl_type != "metharme" or theirs[0][0][: len(mine[0][0])] != mine[0][0]:
        return False
    more = theirs[0][0][len(mine[0][0]) :]
    assert theirs[0][1] == (*mine[0][1], *more)
    return set(more) == {context.tokenizer.eos_token_id} and len(more) <= 2


def _cut_text(index: int, raw: Any, mine: Any, theirs: Any, context: Context) -> bool:
    """`completion` keeps the first 64 sequences of a text."""
    kept = context.case.axolotl_type == "completion" and len(theirs) == COMPLETION_WINDOWS < len(mine)
    return kept and mine[:COMPLETION_WINDOWS] == theirs


def _no_tokens(index: int, raw: Any, mine: Any, theirs: Any, context: Context) -> bool:
    """The vocabulary has no token for the text; axolotl then leaves EOS out, or the whole row."""
    eos = context.tokenizer.eos_token_id
    trained = [label for _, labels in mine for label in labels if label != IGNORE]
    left = [id for ids, _ in theirs for id in ids]
    return trained == [eos] and [id for ids, _ in mine for id in ids] == [*left, eos]


def _shifted_steps(index: int, raw: Any, mine: Any, theirs: Any, context: Context) -> bool:
    """`stepwise_supervised`: a step and separator without tokens still gets a label, which moves all behind it."""
    if context.case.axolotl_type != "stepwise_supervised" or mine[0][0] != theirs[0][0]:
        return False
    separator = context.case.data.get("step_separator", "\n")
    sizes = [
        sum(len(context.tokenizer(text, add_special_tokens=False)["input_ids"]) for text in (step, separator))
        for step in raw["completions"]
    ]
    return 0 in sizes and len(theirs[0][1]) == len(theirs[0][0]) + sizes.count(0)


def _turns_apart(index: int, raw: Any, mine: Any, theirs: Any, context: Context) -> bool:
    """`pygmalion` tokenizes every message alone: cutting our text at the messages gives axolotl's ids."""
    if context.case.axolotl_type != "pygmalion":
        return False
    tokenizer, (part,) = context.tokenizer, context.parts(index)
    text, ids, labels = str.__str__(part.rendered.text), [], []
    prefix = _alone(tokenizer, "<|model|>", strip=True)
    for turn in part.rendered.turns:
        answer = turn.role == "assistant"
        said = raw["conversations"][turn.message]["value"].strip()
        end = turn.data_end if answer and not said.endswith(tokenizer.eos_token) else turn.end
        made = _alone(tokenizer, text[turn.start : end], strip=turn.role != "system")
        made += [tokenizer.eos_token_id] if answer and made[-1:] != [tokenizer.eos_token_id] else []
        ids += made
        labels += [IGNORE] * len(prefix) + made[len(prefix) :] if answer else [IGNORE] * len(made)
    return [(tuple(ids), tuple(labels))] == theirs


def _alone(tokenizer: Any, text: str, strip: bool) -> list[int]:
    ids = list(tokenizer(text)["input_ids"])
    return ids[1:] if strip and ids[:1] == [tokenizer.bos_token_id] else ids


def _tools_left_out(index: int, raw: Any, mine: Any, theirs: Any, context: Context) -> bool:
    """`field_tools` is accepted and not used: axolotl's row is ours without tools."""
    if "field_tools" not in context.case.axolotl:
        return False
    (bare,) = context.again(
        [{name: value for name, value in raw.items() if name != context.case.axolotl["field_tools"]}]
    )
    return list(zip(bare.ids, bare.labels, strict=True)) == theirs


WHOLE_ROWS = {
    "three EOS": _more_ends,
    "text cut at 64 sequences": _cut_text,
    "answer without tokens": _no_tokens,
    "step without tokens": _shifted_steps,
    "messages tokenized apart": _turns_apart,
    "tools left out": _tools_left_out,
}


def _pairs(index: int, raw: dict[str, Any], ours: Made, answers: list[dict[str, Any]], context: Context) -> str:
    (answer,) = answers
    names = ("chosen_ids", "rejected_ids") if "chosen_ids" in answer else ("input_ids", "rejected_ids")
    theirs = [tuple(answer[name]) for name in names]
    if list(ours.ids) == theirs:
        return "equal"
    if [_joined_by_count(part, context.tokenizer) for part in context.parts(index)] == theirs:
        return "joined by count"
    assert not raw["system"], "not the system text"
    bos = context.tokenizer.bos_token_id
    for part, ids in zip(context.parts(index), theirs, strict=True):
        tails = [made[made[:1] == (bos,) :] for made in (part.input_ids, _joined_by_count(part, context.tokenizer))]
        assert any(ids[-len(tail) :] == tail for tail in tails), "not only the system turn"
    return "empty system turn"


def _joined_by_count(part: Any, tokenizer: Any) -> tuple[int, ...]:
    """The prompt's tokens, and of the whole text's tokens those behind as many: what axolotl joins."""
    text, body = str.__str__(part.rendered.text), part.rendered.turns[-1].body
    prompt = tokenizer(text[:body], add_special_tokens=False)["input_ids"]
    return tuple(prompt + tokenizer(text, add_special_tokens=False)["input_ids"][len(prompt) :])


def _texts(index: int, raw: dict[str, Any], ours: Made, answers: list[dict[str, Any]], context: Context) -> str:
    (answer,) = answers
    names = ("chosen", "rejected") if "chosen" in answer else ("completion",)
    parts = context.parts(index)
    if "label" in answer and "completion" in answer:
        assert parts[0].desirable == answer["label"]
    found = {_text(raw, name, answer, part, context) for name, part in zip(names, parts, strict=True)}
    return " + ".join(sorted(found - {"equal"})) or "equal"


def _text(raw: dict[str, Any], name: str, answer: dict[str, Any], part: Any, context: Context) -> str:
    text, prompt, said = str.__str__(part.rendered.text), answer["prompt"], answer[name]
    turn = part.rendered.turns[-1]
    if text == prompt + said and turn.body == len(prompt):
        return "equal"
    for reason, rule in TEXTS.items():
        if rule(raw, name, text, prompt, said, turn, context):
            return reason
    raise AssertionError(f"{name}: {text!r} is not {prompt!r} + {said!r}")


def _answer_of(raw: dict[str, Any], name: str) -> str:
    """The answer as the row has it."""
    value = raw[name]
    value = value[-1] if isinstance(value, list) else value
    return value["content"] if isinstance(value, dict) else value


def _white_space_behind(raw: Any, name: str, text: str, prompt: str, said: str, turn: Any, context: Context) -> bool:
    return text.rstrip() == (prompt + said).rstrip() and turn.body == len(prompt)


def _eos_added(raw: Any, name: str, text: str, prompt: str, said: str, turn: Any, context: Context) -> bool:
    return text == prompt + said + context.tokenizer.eos_token


def _two_messages_only(raw: Any, name: str, text: str, prompt: str, said: str, turn: Any, context: Context) -> bool:
    """`argilla_chat` reads the first two messages of a longer conversation, the same ones on both sides."""
    if not context.case.axolotl_type.endswith(".argilla_chat") or len(raw.get("chosen", ())) <= 2:
        return False
    return raw["chosen"][1] == raw["rejected"][1] and said.startswith(raw[name][1]["content"])


def _worst_chosen(raw: Any, name: str, text: str, prompt: str, said: str, turn: Any, context: Context) -> bool:
    """`nectar` takes the answer of the last rank as chosen; ours takes rank 1, the best."""
    ranked = [item["answer"] for item in sorted(raw.get("answers", ()), key=lambda item: item["rank"])]
    if not ranked:
        return False
    theirs, ours = (ranked[-1], ranked[0]) if name == "chosen" else (ranked[-2], ranked[-1])
    return said == theirs and text == prompt + ours


def _looked_for(raw: Any, name: str, text: str, prompt: str, said: str, turn: Any, context: Context) -> bool:
    """`chat_template` looks for the answer's text behind a dummy message, and finds it elsewhere or not at all."""
    if "chat_template." not in context.case.axolotl_type or not text.startswith(prompt):
        return False
    content, ours = _answer_of(raw, name), text[len(prompt) :].rstrip()
    stripped = content.strip() != content and content not in ours
    elsewhere = said.startswith(content) and said.endswith(ours) and len(said) > len(ours)
    return (stripped and len(said) <= 1) or elsewhere


def _space_lost(raw: Any, name: str, text: str, prompt: str, said: str, turn: Any, context: Context) -> bool:
    """`chat_template` leaves out what the template writes between the prompt and the answer."""
    if "chat_template." not in context.case.axolotl_type or not text.startswith(prompt):
        return False
    ours = text[len(prompt) :].rstrip()
    between = ours.removesuffix(said)
    return ours != between and bool(between) and not between.strip()


TEXTS = {
    "worst answer chosen": _worst_chosen,
    "two messages only": _two_messages_only,
    "white space behind the end": _white_space_behind,
    "EOS added by the trainer": _eos_added,
    "answer looked for in text": _looked_for,
    "text before the answer lost": _space_lost,
}
