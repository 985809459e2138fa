"""Where the batches of a run come from: encoded rows, or the directory of a run that was only attached to.

Both give training rows in file order and the tokens of a document; a shown batch needs no more.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any, NamedTuple, Protocol

from workbench.api import comm
from workbench.tokens.given import spelling_of
from workbench.tokens.pack import Plan, TrainRow
from workbench.views.compact import compact
from workbench.views.tokens import explained, payload
from workbench.views.window import cut

if TYPE_CHECKING:
    from workbench.api.encoded import Encoded


class Facts(NamedTuple):
    """What is said about all batches of a source.

    Attributes:
        title: Name of the data.
        width: Tokens a packed row has room for; None where that is not known.
        code: Python of the batches, without step and epoch: `enc.batches(recipe, `; empty where there is none.
        rows: Name of what data rows are items of (`enc`), None where nothing holds them.
    """

    title: str
    width: int | None
    code: str
    rows: str | None = None


class BatchSource(Protocol):
    """Training rows, and how to show their tokens."""

    @property
    def facts(self) -> Facts:
        """Words and sizes."""
        ...

    @property
    def plan(self) -> Plan:
        """How rows become batches."""
        ...

    @property
    def train_rows(self) -> Sequence[TrainRow]:
        """The training dataset, in file order."""
        ...

    def document_view(self, row: int, ids: Sequence[int], labels: Sequence[int]) -> dict[str, Any]:
        """Tokens of a document (the `Row` of docs/wire.md).

        Args:
            row: Data row.
            ids: Its token ids.
            labels: Its labels, as the dataset has them.
        """
        ...

    def source_payload(self, row: int) -> dict[str, Any]:
        """The token view of a data row."""
        ...

    def explain(self, row: dict[str, Any]) -> dict[str, Any]:
        """A row view with the sentences and template lines that it uses, to be sent by itself."""
        ...

    def spell(self, token: int) -> str:
        """Text of a token id."""
        ...


class EncodedSource:
    """Batches of encoded rows.

    Args:
        enc: The rows.
        recipe: Whose batch size and seed are used; None takes the defaults.
    """

    def __init__(self, enc: Encoded, recipe: Any = None) -> None:
        self.enc, self.plan = enc, plan_for(enc, recipe)
        given = "" if recipe is None else "recipe, "
        self.facts = Facts(enc.data.source.title, enc.choice.max_length, f"enc.batches({given}", "enc")
        self._spelling = spelling_of(enc.setting.tokenizer)

    @property
    def train_rows(self) -> Sequence[TrainRow]:
        """Rows with a trained token, packed where packing is on."""
        return self.enc.train_rows

    def document_view(self, row: int, ids: Sequence[int], labels: Sequence[int]) -> dict[str, Any]:
        """Tokens with their reasons and origins; of a data row with several sequences, the one with these ids."""
        made, _ = self.enc.tokenized(row)
        part = next((i for i, item in enumerate(made) if list(item.input_ids[: len(ids)]) == list(ids)), 0)
        return cut(self.enc.view_of(row, part), range(len(ids)))

    def explain(self, row: dict[str, Any]) -> dict[str, Any]:
        """With the template's lines."""
        return explained(row, self.enc.setting.template)

    def source_payload(self, row: int) -> dict[str, Any]:
        """The viewer at a data row, with its neighbours for the asking."""
        position = next((i for i, (index, _) in enumerate(self.enc.sequences) if index == row), 0)
        return compact(payload([self.enc.row_at(position)], self.enc.heading(f"enc[{row}]", position)))

    def spell(self, token: int) -> str:
        """Text of a token id."""
        return self._spelling(token).decode("utf-8", "replace")


def plan_for(enc: Encoded, recipe: Any = None) -> Plan:
    """Batch size and seed of a recipe, or the defaults."""
    from workbench.recipes import Recipe

    config: Recipe = getattr(recipe, "recipe", recipe) or Recipe()
    tokenizer = enc.setting.tokenizer
    pad_id = tokenizer.pad_token_id if tokenizer.pad_token_id is not None else tokenizer.eos_token_id
    return Plan(config.per_device_train_batch_size, config.seed, enc.choice.packing == "bfd", pad_id or 0)


def shared_answer(asked: Any, shown: Any) -> dict[str, Any]:
    """Answer a widget's question: about itself, or about another object that a card inside it shows."""
    handle = asked.get("handle")
    return comm.answered(shown, asked) if handle in (None, comm.WIDGET) else comm.answer(str(handle), asked)
