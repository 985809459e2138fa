"""What an export needs besides the recipe, and what it reports.

ExportFacts(model, tokenizer, examples, tokenized, …)  ->  export(…)  ->  ExportReport(files, fields, notes, command)
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Literal

from workbench.errors import ExportError
from workbench.types import Example, TemplateInfo, TokenizedExample

Target = Literal["axolotl", "trl"]
Form = Literal["rows", "tokens"]


@dataclass(frozen=True)
class ExportFacts:
    """Everything the recipe does not hold.

    Attributes:
        model: Folder or hub id that the target can load (the embedded model's folder, not its nickname).
        tokenizer: The same for the tokenizer.
        examples: Converted rows that are trained; rows with an error are left out.
        tokenized: Their ids and labels, one for each example and in the same order, cut to max_length.
        template: The chat template; None where no row is a conversation.
        special_tokens: The tokenizer's own, by name (`eos_token`, `pad_token`, …).
        encode: Token ids of a text without special tokens; needed to write prompts and segments as text.
        variables: Further template variables, such as `enable_thinking`.
        device: Where the target will run; decides what `precision="auto"` means to a target that has no auto.
    """

    model: str
    tokenizer: str
    examples: Sequence[Example]
    tokenized: Sequence[TokenizedExample]
    template: TemplateInfo | None = None
    special_tokens: Mapping[str, str] = field(default_factory=dict)
    encode: Callable[[str], Sequence[int]] | None = None
    variables: Mapping[str, Any] = field(default_factory=dict)
    device: Literal["cuda", "cpu"] = "cuda"

    def __post_init__(self) -> None:
        if not self.examples:
            raise ExportError("There are no rows to export.", remedy="Mend the rows with errors first.", code="WB702")
        ours, theirs = [example.row for example in self.examples], [example.row for example in self.tokenized]
        if ours != theirs:
            raise ExportError(
                f"{len(ours)} rows and {len(theirs)} tokenized rows do not belong together.",
                remedy="Pass each trained row once, in the order of its tokens.",
                code="WB702",
            )

    @property
    def longest(self) -> int:
        """Tokens of the longest row."""
        return max(len(example.input_ids) for example in self.tokenized)


@dataclass(frozen=True, slots=True)
class ExportReport:
    """What was written and how each field of the recipe came across.

    Attributes:
        form: `rows`: the target renders and masks again; `tokens`: it gets our ids and labels as they are.
        files: Written files; the first is the config.
        fields: Recipe field -> target key, or the sentence that says how it was derived.
        notes: Where the target means something slightly different.
        command: Arguments that start the target.
    """

    target: Target
    form: Form
    files: tuple[Path, ...]
    fields: Mapping[str, str]
    notes: tuple[str, ...]
    command: tuple[str, ...]
