"""What a page may ask of a run: the members of each command, checked before anything is written."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from workbench.errors import RunError

_MOST_CHARACTERS = 200_000


def command_members(body: Any, prompts: list[list[dict[str, Any]]]) -> tuple[str, dict[str, Any]]:
    """The op and the members of a command.

    Args:
        body: The request's JSON: `{"op", …}` as in docs/wire.md section 3. A `sample` may name a scheduled prompt by
            its index (`prompt`) instead of giving `messages`.
        prompts: The run's scheduled prompts, each a list of messages.

    Raises:
        RunError: For an unknown op, an unknown member, or a member of the wrong kind.
    """
    if not isinstance(body, dict):
        raise _refusal(f"A command is an object with `op`, not {type(body).__name__}.")
    op = body.get("op")
    check = _OPS.get(op) if isinstance(op, str) else None
    if not isinstance(op, str) or check is None:
        raise _refusal(f"There is no command {op!r}.", f"Use one of {', '.join(sorted(_OPS))}.")
    members = {key: value for key, value in body.items() if key != "op"}
    return op, check(op, members, prompts)


def _plain(op: str, members: dict[str, Any], _prompts: list[list[dict[str, Any]]]) -> dict[str, Any]:
    _only(op, members, ())
    return {}


def _stop(op: str, members: dict[str, Any], _prompts: list[list[dict[str, Any]]]) -> dict[str, Any]:
    _only(op, members, ("save",))
    return {"save": _flag(op, members, "save", True)}


def _sample(op: str, members: dict[str, Any], prompts: list[list[dict[str, Any]]]) -> dict[str, Any]:
    _only(op, members, ("messages", "prompt", "gen", "seed", "base"))
    index, messages = members.get("prompt"), members.get("messages")
    if index is not None:
        if isinstance(index, bool) or not isinstance(index, int) or not 0 <= index < len(prompts):
            raise _refusal(f"`prompt` of sample is {index!r}; this run has {len(prompts)} prompts, counted from 0.")
        messages = prompts[index]
    gen, seed = members.get("gen") or {}, members.get("seed")
    if not isinstance(gen, dict):
        raise _refusal(f"`gen` of sample must be an object, not {type(gen).__name__}.")
    if seed is not None and (isinstance(seed, bool) or not isinstance(seed, int)):
        raise _refusal(f"`seed` of sample must be a whole number, not {seed!r}.")
    return {"messages": _messages(messages), "gen": gen, "seed": seed, "base": _flag(op, members, "base", False)}


def _tap(op: str, members: dict[str, Any], _prompts: list[list[dict[str, Any]]]) -> dict[str, Any]:
    _only(op, members, ("step",))
    step = members.get("step")
    if step is not None and (isinstance(step, bool) or not isinstance(step, int) or step < 1):
        raise _refusal(f"`step` of tap must be a whole number from 1 on, not {step!r}.")
    return {"step": step}


def _messages(messages: Any) -> list[dict[str, Any]]:
    if not isinstance(messages, list) or not messages:
        raise _refusal("`messages` of sample must be a list of at least one message.")
    for message in messages:
        known = isinstance(message, dict) and isinstance(message.get("role"), str)
        if not known or not isinstance(message.get("content"), str | list):
            raise _refusal(f"A message of sample needs `role` and `content`; got {message!r:.120}.")
    characters = sum(len(str(message["content"])) for message in messages)
    if characters > _MOST_CHARACTERS:
        raise _refusal(f"`messages` of sample hold {characters} characters; {_MOST_CHARACTERS} are taken.")
    return messages


def _only(op: str, members: dict[str, Any], known: tuple[str, ...]) -> None:
    unknown = sorted(set(members) - set(known))
    if unknown:
        takes = f"It takes {', '.join(known)}." if known else "It takes none."
        raise _refusal(f"{op} has no member {', '.join(unknown)}.", takes)


def _flag(op: str, members: dict[str, Any], name: str, missing: bool) -> bool:
    value = members.get(name, missing)
    if not isinstance(value, bool):
        raise _refusal(f"`{name}` of {op} must be true or false, not {value!r}.")
    return value


def _refusal(message: str, remedy: str = "") -> RunError:
    return RunError(message, remedy=remedy, code="WB650")


_Check = Callable[[str, dict[str, Any], list[list[dict[str, Any]]]], dict[str, Any]]
_OPS: dict[str, _Check] = {
    "ping": _plain, "pause": _plain, "resume": _plain, "save": _plain, "cancel": _plain, "stop": _stop,
    "sample": _sample, "tap": _tap,
}  # fmt: skip
