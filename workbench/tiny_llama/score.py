"""Exact-match scoring of greedy answers.

An answer counts only if it equals the reference character for character *and* the model stops by itself with
the tokenizer's end-of-turn token: a right answer that rambles on is wrong.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from workbench.tiny_llama.chat import Row

if TYPE_CHECKING:
    from transformers import PreTrainedModel, PreTrainedTokenizerFast


@dataclass(frozen=True, slots=True)
class Score:
    """The share of exact answers, over all rows and per skill, with the answers themselves."""

    exact: float
    by_skill: dict[str, float]
    answers: tuple[str, ...]


def answers(
    model: "PreTrainedModel",
    tokenizer: "PreTrainedTokenizerFast",
    rows: Sequence[Row],
    batch_size: int = 64,
    max_new_tokens: int = 40,
) -> list[str]:
    """Answer every row's prompt greedily.

    The end-of-turn token is kept in the text, so that a missing stop shows. Batches are left-padded and hold
    rows of like length; the model's training flag is put back afterwards.

    Args:
        model: Anything with `generate`, a PEFT model too.
        tokenizer: Its chat template renders the prompts; its padding token pads them.
        rows: Conversations whose last message is the reference answer.
        batch_size: Prompts answered at once.
        max_new_tokens: Longer answers are cut.
    """
    prompts = [_prompt(tokenizer, row) for row in rows]
    order = sorted(range(len(rows)), key=lambda i: (len(rows[i]["messages"][-1]["content"]), len(prompts[i])))
    found: dict[int, str] = {}
    was_training = model.training
    model.eval()
    for first in range(0, len(order), batch_size):
        part = order[first : first + batch_size]
        texts = _generate(model, tokenizer, [prompts[i] for i in part], max_new_tokens)
        found.update(zip(part, texts, strict=True))
    model.train(was_training)
    return [found[i] for i in range(len(rows))]


def _prompt(tokenizer: "PreTrainedTokenizerFast", row: Row) -> str:
    asked = [dict(message) for message in row["messages"][:-1]]
    return str(tokenizer.apply_chat_template(asked, tokenize=False, add_generation_prompt=True))


def _generate(
    model: "PreTrainedModel", tokenizer: "PreTrainedTokenizerFast", prompts: list[str], max_new_tokens: int
) -> list[str]:
    """Continue one batch of prompts greedily; special tokens stay in the text."""
    import torch

    batch: Any = tokenizer(prompts, return_tensors="pt", padding=True, padding_side="left", add_special_tokens=False)
    with torch.no_grad():
        generated: Any = model.generate(
            input_ids=batch["input_ids"],
            attention_mask=batch["attention_mask"],
            max_new_tokens=max_new_tokens,
            do_sample=False,
        )
    texts = tokenizer.batch_decode(generated[:, batch["input_ids"].shape[1] :])
    stop = str(tokenizer.eos_token)
    # After the stop there is only padding, up to the longest answer of the batch.
    return [text[: text.index(stop) + len(stop)] if stop in text else text for text in texts]


def score(
    model: "PreTrainedModel", tokenizer: "PreTrainedTokenizerFast", rows: Sequence[Row], batch_size: int = 64
) -> Score:
    """Answer every prompt and compare with the reference."""
    given = answers(model, tokenizer, rows, batch_size)
    right = [
        text == row["messages"][-1]["content"] + str(tokenizer.eos_token) for text, row in zip(given, rows, strict=True)
    ]
    skills: dict[str, list[bool]] = {}
    for row, is_right in zip(rows, right, strict=True):
        skills.setdefault(row["skill"], []).append(is_right)
    return Score(
        exact=sum(right) / len(right),
        by_skill={skill: sum(hits) / len(hits) for skill, hits in sorted(skills.items())},
        answers=tuple(given),
    )
