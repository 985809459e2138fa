"""Choices that decide how rows are read and what of them is trained; each is a keyword of `wb.data` or `data.encode`.

    RowOptions.from_keywords({"drop_system_mesage": True})  ->  RecipeError: … Did you mean …? [WB401]

Names are axolotl's where axolotl has one (`train_on_eos`, `roles_to_train`, `split_thinking`): configs carry over.
"""

from __future__ import annotations

import difflib
from collections.abc import Mapping
from dataclasses import dataclass, field, fields
from typing import Any, Literal, Self, cast

from workbench.errors import RecipeError

TrainOnEnd = Literal["turn", "all", "last", "none"]
Pieces = Literal["joined", "separate"]
LongText = Literal["chunk", "cut"]
TextAs = Literal["messages", "text"]
ENDS: tuple[TrainOnEnd, ...] = ("turn", "all", "last", "none")


class _Choices:
    """What the two kinds of options share: made from keywords, and back, leaving out what is the default."""

    __slots__ = ()

    @classmethod
    def names(cls) -> tuple[str, ...]:
        """Every keyword."""
        return tuple(item.name for item in fields(cast("Any", cls)))

    @classmethod
    def from_keywords(cls, values: Mapping[str, Any]) -> Self:
        """Make the options, lists as tuples.

        Raises:
            RecipeError: For an unknown name (WB401) or a bad value (WB402).
        """
        for name in values:
            if name not in cls.names():
                near = difflib.get_close_matches(name, cls.names(), n=1)
                hint = f"Did you mean {near[0]!r}?" if near else f"Known: {', '.join(cls.names())}."
                raise RecipeError(f"There is no option {name!r}.", remedy=hint, code="WB401")
        frozen = {name: tuple(cast("list[Any]", v)) if isinstance(v, list) else v for name, v in values.items()}
        return cls(**frozen)

    def changed(self) -> dict[str, Any]:
        """The options that are not the default, JSON-ready."""
        out: dict[str, Any] = {}
        for item in fields(cast("Any", self)):
            value = getattr(self, item.name)
            default = item.default_factory() if callable(item.default_factory) else item.default
            if value != default:
                out[item.name] = list(value) if isinstance(value, tuple) else value
        return out


def _refuse(name: str, value: object, want: str) -> None:
    raise RecipeError(f"{name}={value!r} is out of range.", remedy=f"It must be {want}.", code="WB402")


def _check_kinds(options: object, kinds: Mapping[type, str]) -> None:
    for kind, names in kinds.items():
        for name in names.split():
            value = getattr(options, name)
            if value is not None and not isinstance(value, kind):
                _refuse(name, value, {bool: "true or false", str: "text", int: "a whole number"}[kind])


@dataclass(frozen=True, slots=True)
class RowOptions(_Choices):
    """How rows are read; keywords of `wb.data`.

    Attributes:
        roles: Spelling of a role in the data -> the role it means (`{"customer": "user"}`).
        drop_system_message: Leave the system message out of every conversation.
        default_system_message: System message of conversations that have none.
        split_thinking: Take a `<think>…</think>` block (or one of its cousins) at the start of an assistant message out
            of `content` and into `reasoning_content`.
        format, no_input_format, system_format, system_prompt: Wording of `user_defined` rows, with `{instruction}`,
            `{input}`, `{system}`; no_input_format is for rows without input.
        prompt_format, chosen_format, rejected_format, completion_format: Wording of user-defined preference rows.
        text_as: What prompts and answers of judged rows become where all of them are plain text: `messages` of a
            conversation, for a chat template, or `text` that is joined as it is.
        image_folder: Folder that relative paths of images start at; a file that is not there is then reported.
        step_separator: Text behind each step of a stepwise row.
        train_on_last_step_only: Label only the last step of a stepwise row.
    """

    roles: Mapping[str, str] = field(default_factory=dict[str, str])
    drop_system_message: bool = False
    default_system_message: str | None = None
    split_thinking: bool = False
    format: str | None = None
    no_input_format: str | None = None
    system_format: str | None = None
    system_prompt: str | None = None
    prompt_format: str | None = None
    chosen_format: str | None = None
    rejected_format: str | None = None
    completion_format: str | None = None
    text_as: TextAs = "messages"
    image_folder: str | None = None
    step_separator: str = "\n"
    train_on_last_step_only: bool = False

    def __post_init__(self) -> None:
        roles = cast("object", self.roles)
        pairs = cast("Mapping[Any, Any]", roles).items() if isinstance(roles, Mapping) else [(None, None)]
        if not all(isinstance(part, str) for pair in pairs for part in pair):
            _refuse("roles", roles, "a mapping of spelling to role")
        formats = "format no_input_format system_format system_prompt prompt_format chosen_format rejected_format"
        _check_kinds(
            self,
            {
                bool: "drop_system_message split_thinking train_on_last_step_only",
                str: f"{formats} completion_format default_system_message step_separator image_folder",
            },
        )
        if self.text_as not in ("messages", "text"):
            _refuse("text_as", self.text_as, "messages or text")
        if self.drop_system_message and self.default_system_message is not None:
            _refuse("default_system_message", self.default_system_message, "None together with drop_system_message")


@dataclass(frozen=True, slots=True)
class MaskOptions(_Choices):
    """What is trained, beside `train_on`; keywords of `data.encode`.

    Attributes:
        roles_to_train: Roles whose messages are trained.
        train_on_inputs: Train what every role says; what the template writes around it stays masked.
        train_on_eos: Stop tokens that are trained: of trained turns (`turn`), of all turns, of the `last` turn only,
            of none.
        train_on_eot: The same for `eot_tokens`; None follows train_on_eos.
        eot_tokens: Tokens that end a turn, beside EOS. Empty: the special token the template itself ends the turn with.
        pieces: `joined` tokenizes the whole text of a row at once, as inference does; `separate` tokenizes prompt and
            answer, or every segment, alone and joins the ids, as axolotl does.
        long_text: What becomes of a plain text longer than max_length: `chunk` goes on in a next sequence, `cut` drops
            the rest.
    """

    roles_to_train: tuple[str, ...] = ("assistant",)
    train_on_inputs: bool = False
    train_on_eos: TrainOnEnd = "turn"
    train_on_eot: TrainOnEnd | None = None
    eot_tokens: tuple[str, ...] = ()
    pieces: Pieces = "joined"
    long_text: LongText = "chunk"

    def __post_init__(self) -> None:
        for name in ("roles_to_train", "eot_tokens"):
            value: object = getattr(self, name)
            if not isinstance(value, tuple) or not all(isinstance(item, str) for item in cast("tuple[Any]", value)):
                _refuse(name, value, "a list of texts")
        _check_kinds(self, {bool: "train_on_inputs"})
        allowed: dict[str, tuple[str | None, ...]] = {
            "train_on_eos": ENDS,
            "train_on_eot": (*ENDS, None),
            "pieces": ("joined", "separate"),
            "long_text": ("chunk", "cut"),
        }
        for name, choices in allowed.items():
            if getattr(self, name) not in choices:
                _refuse(name, getattr(self, name), f"one of {', '.join(map(str, choices))}")

    @property
    def ends_of_eot(self) -> TrainOnEnd:
        """Which eot tokens are trained."""
        return self.train_on_eot or self.train_on_eos
