"""One comparison with axolotl: rows of one shape under one type, template and tokenizer; and templates of its own."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

TOKENIZERS = ("qwen2.5", "mistral-v1", "phi-3-mini", "titan-tiny")


@dataclass(frozen=True)
class Case:
    """One comparison.

    Attributes:
        axolotl: The data set's keys in axolotl's config; `type` is what the tables call it.
        shape: Which rows (`axolotl_rows.SHAPES`).
        tokenizer: Folder name in the test data, or a copy with further tokens (`axolotl_tokenizers.COPIES`).
        type: Our dataset type.
        template: Ours: a registry name, `bundled:NAME` for the text of axolotl's own, None for the tokenizer's.
        config: Top-level keys of axolotl's config.
        forced: Keys of the data set that axolotl's transforms read and its config validation drops, put in after it.
        data, encode: Keywords of `wb.data` and of `encode`.
        kind: How the rows are compared: `ids` for tokens and labels, `texts` for prompt and answers as text,
            `pairs` for the tokens of two answers.
        note: Told apart from a case with the same type, template and tokenizer by this.
    """

    axolotl: Mapping[str, Any]
    shape: str
    tokenizer: str
    type: str
    template: str | None = None
    config: Mapping[str, Any] = field(default_factory=dict)
    forced: Mapping[str, Any] = field(default_factory=dict)
    data: Mapping[str, Any] = field(default_factory=dict)
    encode: Mapping[str, Any] = field(default_factory=dict)
    kind: str = "ids"
    note: str = ""

    @property
    def axolotl_type(self) -> str:
        """Axolotl's name, with `rl` where it is set."""
        kind = self.axolotl.get("type")
        name = "a mapping" if isinstance(kind, Mapping) else kind or "empty"
        return f"{self.config['rl']}: {name}" if "rl" in self.config else name

    @property
    def name(self) -> str:
        """Unique among the cases."""
        template = "inline" if "{%" in (self.template or "") else (self.template or "").removeprefix("bundled:")
        parts = (self.axolotl_type, template, self.tokenizer, self.note)
        return " / ".join(part for part in parts if part)


TWO_ENDS = (
    "{% for message in messages %}{{ '<|im_start|>' + message.role + '\\n' + message.content"
    " + '<|im_end|><|endoftext|>\\n' }}{% endfor %}"
    "{% if add_generation_prompt %}{{ '<|im_start|>assistant\\n' }}{% endif %}"
)
"""Ends every turn with two special tokens."""
LLAMA3X = (
    "{{ '<|begin_of_text|>' }}{% for message in messages %}{{ '<|start_header_id|>' + message.role"
    " + '<|end_header_id|>\\n\\n' + message.content + '<|eot_id|>' }}{% endfor %}"
    "{% if add_generation_prompt %}{{ '<|start_header_id|>assistant<|end_header_id|>\\n\\n' }}{% endif %}"
)
"""What `messages.chat` writes with llama3: contents as they are, which the bundled template strips."""


ZEPHYR = (
    "{{ '<|system|>\\n</s>\\n' }}{% for message in messages %}{% if message.role == 'user' %}"
    "{{ '<|user|>\\n' + message.content + '</s>\\n' }}{% else %}{{ '<|assistant|>\\n' + message.content }}{% endif %}"
    "{% endfor %}{% if add_generation_prompt %}{{ '<|assistant|>\\n' }}{% endif %}"
)
"""What `zephyr.nectar` writes: no token ends the answer."""


def chat(template: str, tokenizer: str, shape: str, **more: Any) -> Case:
    """A `chat_template` case with axolotl's bundled template, or the tokenizer's own."""
    ours = None if template == "tokenizer_default" else f"bundled:{template}"
    keys = dict(more.pop("axolotl", {}))
    config = {"chat_template": template, **more.pop("config", {})}
    return Case({"type": "chat_template", **keys}, shape, tokenizer, more.pop("type", "messages"), ours, config, **more)
