"""What an entry of the table of dataset types holds, and the short form its columns are written in.

need("output", "text", "response answer")  ->  Column("output", ("text",), ("response", "answer"), required=True)
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, Literal

Kind = Literal["sft", "preference", "unpaired", "prompts", "steps"]


@dataclass(frozen=True, slots=True)
class Column:
    """A column of a dataset type.

    Attributes:
        name: Our name, and the name looked for first.
        shapes: Value shapes it may have (`workbench.rows.shapes.SHAPES`).
        aliases: Other names in use; upper and lower case are not told apart.
        required: Whether a row without it cannot be used.
        by_shape: Whether a column of any name is taken when it is the only one of the shape.
        when: Other name -> shape its values must have besides, because the name alone says too little.
    """

    name: str
    shapes: tuple[str, ...]
    aliases: tuple[str, ...] = ()
    required: bool = True
    by_shape: bool = False
    when: Mapping[str, str] = field(default_factory=dict[str, str])


@dataclass(frozen=True, slots=True)
class Variant:
    """A name another tool has for rows of a type with these columns.

    Attributes:
        axolotl: The value of `datasets[].type`, of `rl` and type where it is a preference type.
        columns: Columns its rows have, as axolotl reads them; `?` marks one they may lack.
        note: What is different from the type's usual rows.
    """

    axolotl: str
    columns: str
    note: str = ""


@dataclass(frozen=True, slots=True)
class Format:
    """A dataset type.

    Attributes:
        name: What `wb.data(…, type=…)` takes.
        label: One line for people.
        columns: Required and optional columns.
        trains: What is trained with the default policy.
        axolotl, trl, llama_factory: Its name there; empty where there is none.
        example: A row.
        kind: What its rows are for: supervised training, preference pairs, unpaired answers, prompts, or steps.
        variants: Names of its kin elsewhere, with their columns.
        template: Registry name of the template with the wording axolotl gives these rows; empty where there is none.
        precedence: A row that fits several types counts for the highest; types that give other types' columns
            another meaning (a `label` beside `messages`) are above them.
        joined: Whether rows have to be joined into conversations first (`workbench.rows.trees`).
        proofs: (our column, shape) of which a row has at least one; without proofs the required columns are enough.
    """

    name: str
    label: str
    columns: tuple[Column, ...]
    trains: str
    axolotl: str = ""
    trl: str = ""
    llama_factory: str = ""
    example: Mapping[str, Any] = field(default_factory=dict[str, Any])
    kind: Kind = "sft"
    variants: tuple[Variant, ...] = ()
    template: str = ""
    precedence: int = 0
    joined: bool = False
    proofs: tuple[tuple[str, str], ...] = ()

    @property
    def required(self) -> tuple[Column, ...]:
        """Columns without which a row cannot be used."""
        return tuple(column for column in self.columns if column.required)


def need(name: str, shapes: str, aliases: str = "", *, by_shape: bool = False) -> Column:
    """A column every row has; shapes and aliases are parted by spaces, `solution:short` needs that shape as well."""
    return _column(name, shapes, aliases, by_shape=by_shape)


def may(name: str, shapes: str, aliases: str = "") -> Column:
    """A column a row may lack."""
    return _column(name, shapes, aliases, required=False)


def _column(name: str, shapes: str, aliases: str, *, required: bool = True, by_shape: bool = False) -> Column:
    parts = [alias.partition(":") for alias in aliases.split()]
    names = tuple(alias for alias, _, _ in parts)
    when = {alias: shape for alias, _, shape in parts if shape}
    return Column(name, tuple(shapes.split()), names, required, by_shape, when)


CHATS = "conversations conversation chat dialogue dialog"
"""Names of a column of messages."""
SAID = "text messages turns"
"""Shapes of something said: text, or messages."""
SYSTEM = may("system", "text", "system_prompt system_message")
TOOLS = may("tools", "objects", "functions")
ASK = {"role": "user", "content": "What is 2+2?"}
SAY = {"role": "assistant", "content": "4"}
