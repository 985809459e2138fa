"""One small row for every reason a row can differ from axolotl's: what docs/axolotl-differences.md shows."""

from typing import Any

from axolotl_case import Case
from axolotl_ours import made_of
from axolotl_record import token_lines
from axolotl_verdicts import verdict

from workbench.types import IGNORE

APART = "tokenized apart"
SEGMENTS = "segments tokenized apart"


def _chat(*said: str) -> dict[str, Any]:
    roles = ("user", "assistant")
    return {"messages": [{"role": roles[i % 2], "content": text} for i, text in enumerate(said)]}


def _answers(question: str, chosen: str, rejected: str) -> dict[str, Any]:
    asked = {"role": "user", "content": question}
    return {
        name: [asked, {"role": "assistant", "content": text}]
        for name, text in (("chosen", chosen), ("rejected", rejected))
    }


_LONG = [
    {"role": "user", "content": "Hi"},
    {"role": "assistant", "content": "Hello!"},
    {"role": "user", "content": "2+2?"},
]
_TOOL = {"type": "function", "function": {"name": "add", "description": "Adds.", "parameters": {"type": "object"}}}
_MARKED = _chat("How are you?", "I'm doing very well, thank you!")
_MARKED["messages"][1]["train_detail"] = [{"begin_offset": 10, "end_offset": 17, "train": True}]
_SHORT = _chat("Who?", "Anna; said cat while")
_SHORT["messages"][1]["train_detail"] = [{"begin_offset": 11, "end_offset": 19, "train": True}]
_MASKED = _chat("2+2?", "5, no.", "Again.", "4")
_MASKED["messages"][1]["train_detail"] = [{"begin_offset": 0, "end_offset": 5, "train": False}]
_MASKED["messages"][3]["train_detail"] = [{"begin_offset": 0, "end_offset": 0, "train": True}]

EXAMPLES: dict[str, tuple[str, dict[str, Any]]] = {
    APART: (
        "alpaca / alpaca / phi-3-mini",
        {"instruction": "Greet.", "input": "", "output": "Hello!"},
    ),
    SEGMENTS: (
        "input_output / qwen2.5",
        {"segments": [{"label": False, "text": "goodbye "}, {"label": True, "text": "farewell"}]},
    ),
    "sentinel": ("chat_template / chatml / qwen2.5", _chat("Name?", "[[dummy_message]]", "2+2?", "4")),
    "another stop token": ("chat_template / gemma / metaspace+gemma", _chat("2+2?", "4")),
    "EOS behind the turn": ("chat_template / phi-3-mini", _chat("2+2?", "4")),
    "template text before the answer": ("chat_template / qwen3 / qwen2.5", _chat("2+2?", "4")),
    "token of answer and template": ("messages.chat / chatml / qwen2.5 / messages", _chat("2+2?", "\n\n4")),
    "end of a masked message": ("chat_template / chatml / qwen2.5 / spans", _MASKED),
    "part widened to tokens": ("chat_template / chatml / qwen2.5 / spans", _MARKED),
    "part tokenized alone": ("chat_template / chatml / phi-3-mini+chatml / spans", _SHORT),
    "answer without tokens": ("chat_template / titan-tiny", _chat("2+2?", "四")),
    "three EOS": ("metharme / qwen2.5", {"prompt": "<|user|>2+2?<|model|>", "generation": "4"}),
    "text cut at 64 sequences": ("completion / qwen2.5 / 16 tokens", {"text": " ".join(map(str, range(400)))}),
    "step without tokens": (
        "stepwise_supervised / titan-tiny",
        {"prompt": "2+2+1?", "completions": ["2+2 is 4.", "四", "So 5."], "labels": [True, True, False]},
    ),
    "messages tokenized apart": (
        "pygmalion / pygmalion / mistral-v1",
        {"conversations": [{"role": "human", "value": "2+2?"}, {"role": "bot", "value": "4"}]},
    ),
    "tools left out": (
        "chat_template / qwen_25 / qwen2.5 / field_tools",
        {"functions": [_TOOL], **_chat("2+2?", "4")},
    ),
    "joined by count": ("orpo.chat_template / chatml / qwen2.5", _answers("2+2?", "\n\n4", "\n\n5")),
    "empty system turn": (
        "bradley_terry.chat_template / chatml / qwen2.5",
        {"system": "", "input": "2+2?", "chosen": "4", "rejected": "5"},
    ),
    "white space behind the end": (
        "dpo: chatml.intel / chatml / qwen2.5 / pair_question",
        {"system": "", "question": "2+2?", "chosen": "4", "rejected": "5"},
    ),
    "EOS added by the trainer": (
        "dpo: passthrough.default / qwen2.5 / pair",
        {"prompt": "2+2? ", "chosen": "4", "rejected": "5"},
    ),
    "two messages only": (
        "dpo: llama3.argilla_chat / inline / qwen2.5+llama3 / pair_chats",
        {
            "chosen": [*_LONG, {"role": "assistant", "content": "4"}],
            "rejected": [*_LONG, {"role": "assistant", "content": "5"}],
        },
    ),
    "worst answer chosen": (
        "dpo: zephyr.nectar / inline / mistral-v1 / nectar",
        {
            "prompt": "2+2?",
            "answers": [{"answer": text, "rank": i + 1} for i, text in enumerate(("4", "Four-ish", "5"))],
        },
    ),
    "answer looked for in text": (
        "dpo: chat_template.argilla_chat / llama3 / qwen2.5+llama3 / pair_chats",
        _answers("2+2?", "4\n", "5\n"),
    ),
    "text before the answer lost": (
        "dpo: chat_template.argilla_chat / mistral_v1 / mistral-v1 / pair_chats",
        _answers("2+2?", "4", "5"),
    ),
}
"""Reason -> name of the case it is seen in, and a row."""


def example_entry(reason: str, case: Case, row: dict[str, Any], answer: Any, comparison: Any) -> dict[str, Any]:
    """What is stored of an example, after a check that it differs for its reason."""
    enc = comparison.made(case, [row])
    (ours,) = made_of(enc)
    context = comparison.context(case, enc)
    apart = reason in (APART, SEGMENTS)
    found = verdict(0, row, ours, answer, context)
    assert ("equal" if apart else reason) in found.split(" + "), found
    if apart:  # by default the text is tokenized at once
        enc = comparison.made(case, [row], pieces=None)
        (ours,) = made_of(enc)
    lines = {"ids": _tokens, "pairs": _pair, "texts": _texts}[case.kind](ours, answer, enc)
    return {"case": case.name, "row": row, **lines}


def _tokens(ours: Any, answer: Any, enc: Any) -> dict[str, dict[str, str]]:
    if isinstance(answer, list) and len(answer) != len(ours.ids):
        return {"ours": {"": f"{len(ours.ids)} sequences"}, "axolotl": {"": f"{len(answer)} sequences"}}
    answer = answer[0] if isinstance(answer, list) else answer
    both = []
    for ids, labels in ((ours.ids[0], ours.labels[0]), (answer["input_ids"], answer["labels"])):
        labels = list(labels)[: len(ids)]
        both.append((_spelt(ids, enc.setting.tokenizer), [label != IGNORE for label in labels]))
    one, other = token_lines(*both)
    return {"ours": {"": one}, "axolotl": {"": other}}


def _pair(ours: Any, answer: Any, enc: Any) -> dict[str, dict[str, str]]:
    names = ("chosen_ids", "rejected_ids") if "chosen_ids" in answer else ("input_ids", "rejected_ids")
    made: dict[str, dict[str, str]] = {"ours": {}, "axolotl": {}}
    for name, ids, theirs in zip(("chosen", "rejected"), ours.ids, (answer[name] for name in names), strict=True):
        both = [(_spelt(part, enc.setting.tokenizer), [False] * len(part)) for part in (ids, theirs)]
        made["ours"][name], made["axolotl"][name] = token_lines(*both)
    return made


def _texts(ours: Any, answer: Any, enc: Any) -> dict[str, dict[str, str]]:
    made: dict[str, dict[str, str]] = {"ours": {}, "axolotl": {}}
    names = ("chosen", "rejected") if "chosen" in answer else ("completion",)
    for name, part in zip(names, enc.tokenized(0)[0], strict=True):
        text, border = str.__str__(part.rendered.text), part.rendered.turns[-1].body
        for side, prompt, said in (("ours", text[:border], text[border:]), ("axolotl", answer["prompt"], answer[name])):
            made[side][name] = " ".join(f"`{part_}`" for part_ in (_shown(prompt), _shown(said)) if part_)
    return made


def _shown(text: str) -> str:
    return text.replace("\n", "⏎").replace("|", "\\|")


def _spelt(ids: Any, tokenizer: Any) -> list[str]:
    """Tokens as text; SentencePiece's as its vocabulary spells them, for their leading space."""
    tokens = tokenizer.convert_ids_to_tokens(list(ids))
    spelt = any("▁" in token for token in tokens)
    return [token if spelt else tokenizer.decode([id]) for token, id in zip(tokens, ids, strict=True)]
