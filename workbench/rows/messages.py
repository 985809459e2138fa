"""Lists of messages: from any spelling of the data to what a chat template sees.

    conversations[0] = {"from": "human", "value": "Hi"}
      ->  {"role": "user", "content": "Hi"}     role from conversations[0].from, content from conversations[0].value

What changes: role spellings, JSON text in `tool_calls` and `arguments`, a turn that is only a function call, keys that
are null, and keys that say what is trained, which go to `Message.train` and `Message.spans`. Nothing is dropped or
merged here: one message in, one message out. What options ask for is done in `workbench.rows.treatment`.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from itertools import pairwise
from typing import Any, cast

from workbench.rows.columns import TOOL_CALL, role_of
from workbench.rows.parts import NOTHING, Said, read_parts
from workbench.rows.row_findings import RowFindings
from workbench.rows.shapes import is_list, kind_of
from workbench.rows.spans import DETAILS, FLAGS, MARKS, PREFILL, Piece, Spans, detail_spans, prefill_spans, read_flag
from workbench.rows.tool_calls import note_calls_in_text, read_tool_calls, tool_calls_in_text
from workbench.tracked import join, origin_of, runs_of, track, track_tree
from workbench.types import CharSpan


@dataclass(frozen=True, slots=True)
class Keys:
    """How messages are written.

    Attributes:
        role, content: Names a message may use for its role and content, the usual one first.
        media: Whether content may hold pictures.
    """

    role: tuple[str, ...]
    content: tuple[str, ...]
    media: bool = False


@dataclass(frozen=True, slots=True)
class Message:
    """A message as the template sees it, and what the data says about training it.

    Attributes:
        values: What the template gets.
        train: Its own flag, None where it has none.
        spans: Dataset path of a text of its -> which characters are trained, where the data marks parts.
        images: What its image parts name, in order; None for a part that names none.
    """

    values: Mapping[str, Any]
    train: bool | None = None
    spans: Mapping[str, tuple[CharSpan, ...]] = field(default_factory=dict[str, "tuple[CharSpan, ...]"])
    images: tuple[Any, ...] = ()


OPENAI = Keys(("role", "from"), ("content", "value"))
SHAREGPT = Keys(("from", "role"), ("value", "content"))
REASONING = "reasoning_content"
READ = frozenset((*OPENAI.role, *OPENAI.content, *FLAGS, *MARKS, REASONING, "tool_calls", "function_call"))
"""Keys that are read by name and not passed on as they are."""


def with_images(keys: Keys) -> Keys:
    """The same names, in messages that may hold pictures."""
    return replace(keys, media=True)


def read_messages(value: object, column: str, first: int, keys: Keys, notes: RowFindings) -> list[Message]:
    """Read a list of messages, or the JSON text of one.

    Args:
        value: What the column holds.
        column: Its name, the start of every path.
        first: Index the first message gets in the conversation.
        keys: Names of role and content.
        notes: Takes the findings; what it returns is only good where this stays without errors.
    """
    if value is None:
        notes.error("WB521", f"`{column}` is null.", column, "Fill it in, or drop the row.")
        return []
    items = notes.parsed(value, column, "a list of messages")
    if items is None:
        if not notes.failed:  # the JSON text "null"
            notes.error("WB521", f"`{column}` is the JSON text null.", column, "Fill it in, or drop the row.")
        return []
    if not is_list(items):
        message = f"`{column}` must be a list of messages, but is {kind_of(items)}."
        notes.error("WB522", message, column, "Put the messages into a list.")
        return []
    listed = cast("list[Any]", items)
    return [read_message(item, f"{column}[{i}]", first + i, keys, notes) for i, item in enumerate(listed)]


def system_message(text: str) -> Message:
    """A system message from a column of its own; its text is tracked already."""
    return Message({"role": track("system", origin_of(None, 0, "role")), "content": text})


def judge(messages: list[Message], column: str, notes: RowFindings, trained_from: int = 0) -> None:
    """Note what is odd about a conversation as a whole, and whether anything in it can be trained.

    Args:
        messages: In order.
        column: Field the findings name.
        notes: Takes the findings.
        trained_from: Index of the first message that may be trained.
    """
    if not messages:
        notes.error("WB530", f"`{column}` has no messages.", column, "Drop the row.")
        return
    roles = [str(message.values.get("role", "")) for message in messages]
    if not any(_trains(message) for message in messages[trained_from:]):
        notes.error(
            "WB531", f"Nothing can be trained: {_why_untrainable(messages, trained_from)}.", column, "Drop the row."
        )
    _judge_order(roles, messages, column, notes)


def _judge_order(roles: list[str], messages: list[Message], column: str, notes: RowFindings) -> None:
    spoken = [role for role in roles if role not in ("system", "developer")]
    if spoken and spoken[0] == "assistant":
        remedy = "Many templates refuse this; put a user message first."
        notes.warning("WB532", f"`{column}` starts with an assistant message.", column, remedy)
    for i, (before, role) in enumerate(pairwise(roles), start=1):
        if before == role and role != "tool":
            message = f"Messages {i - 1} and {i} are both of role {role}."
            notes.warning(
                "WB533",
                message,
                place_of(messages[i], f"{column}[{i}]"),
                "Some templates refuse this; join them into one.",
            )
        elif role == "system":
            place = place_of(messages[i], f"{column}[{i}]")
            notes.warning("WB535", f"Message {i} has role system, but is not the first.", place, "Put it first.")
    if spoken and spoken[-1] == "user" and "assistant" in spoken:
        notes.info("WB536", f"`{column}` ends with a user message that nothing answers.", column)


def place_of(message: Message, otherwise: str) -> str:
    """Dataset path of a message: a conversation may be put together from several columns.

    Args:
        message: The message; its role knows the path, or its content where the role is not the row's.
        otherwise: What to say where neither knows.
    """
    for key in ("role", "content"):
        value = message.values.get(key)
        runs = runs_of(value) if isinstance(value, str) else ()
        field = runs[0].origin.field if runs and runs[0].origin else None
        if field:
            return field.rpartition(".")[0] if key == "role" else field
    return otherwise


def _why_untrainable(messages: list[Message], trained_from: int) -> str:
    answers = [message for message in messages[trained_from:] if message.values.get("role") == "assistant"]
    if not answers:
        return "there is no assistant message" + (" in the completion" if trained_from else "")
    if all(message.train is False for message in answers):
        return "every assistant message is flagged as not trained"
    if any(message.spans for message in answers):
        return "no character of an assistant message is marked as trained"
    return "no assistant message has text"


def _answers(message: Message) -> bool:
    """Whether a message is an assistant's and says something that may be trained."""
    values = message.values
    if values.get("role") != "assistant":
        return False
    content = values.get("content")
    texts = [part.get("text", "") for part in content] if isinstance(content, list) else [content or ""]
    texts.append(values.get(REASONING) or "")
    return any(_unmarked(text, message.spans) for text in texts) or bool(values.get("tool_calls"))


def _unmarked(text: str, spans: Mapping[str, tuple[CharSpan, ...]]) -> bool:
    """Whether some of a text has no spans, so that its role decides."""
    return any(run.origin is None or run.origin.field not in spans for run in runs_of(text))


def _trains(message: Message) -> bool:
    """Whether anything of a message may be trained."""
    if message.train is not None:
        return message.train
    return any(span.train for spans in message.spans.values() for span in spans) or _answers(message)


def read_message(item: object, path: str, index: int, keys: Keys, notes: RowFindings) -> Message:
    """Read one message that stands at a path; see `read_messages`."""
    if not isinstance(item, Mapping):
        notes.error("WB522", f"`{path}` must be a message, but is {kind_of(item)}.", path, "Write {role, content}.")
        return Message({})
    raw = cast("Mapping[str, Any]", item)
    role_key = next((key for key in keys.role if key in raw), keys.role[0])
    content_key = next((key for key in keys.content if key in raw), keys.content[0])
    role = _role(raw, path, role_key, index, notes)
    train = read_flag(raw, path, notes)
    values = _other_keys(raw, path, index, notes)
    thought = _reasoning(raw, path, index, keys, notes)
    if thought.value is not None:
        values[REASONING] = thought.value
    if role == TOOL_CALL:
        said = NOTHING
        values.update(_call_turn(raw, path, content_key, index, notes))
        role = track("assistant", origin_of(f"{path}.{role_key}", index, "role"))
    else:
        said = _content(raw, f"{path}.{content_key}", index, (role, keys.media, values), notes)
        values["content"] = said.value
    spans = _spans(raw, path, role, (said, thought), notes)
    return Message({"role": role or "", **values}, train, spans, tuple(said.images))


def role_in(spelling: str, notes: RowFindings) -> str | None:
    """The role a spelling means, None for an unknown one; what the options say goes before what is built in."""
    roles = notes.options.roles
    if roles:
        bare = spelling.strip().lower()
        if spelling in roles:
            return roles[spelling]
        said = next((role for name, role in roles.items() if name.strip().lower() == bare), None)
        if said is not None:
            return said
    return role_of(spelling)


def _role(raw: Mapping[str, Any], path: str, key: str, index: int, notes: RowFindings) -> str | None:
    field = f"{path}.{key}"
    if key not in raw:
        notes.missing(field, raw)
        return None
    said = raw[key]
    role = role_in(str.__str__(said), notes) if isinstance(said, str) else None
    if role is not None:
        return track(role, origin_of(field, index, "role"))
    spelling = notes.text(said, field, index, "role")
    if spelling is None:
        return None
    if not spelling or spelling.isspace():
        notes.error("WB523", f"`{field}` is empty.", field, "Name the role: user, assistant, system or tool.")
        return None
    remedy = "Templates may refuse it or treat it as another role; roles={…} says what it means."
    notes.warning("WB534", f"`{field}` is {kind_of(spelling)}, which is no known role.", field, remedy)
    return spelling


def _content(
    raw: Mapping[str, Any], path: str, index: int, who: tuple[str | None, bool, Mapping[str, Any]], notes: RowFindings
) -> Said:
    """The content; it may be null only where an assistant calls tools."""
    role, media, values = who
    key = path.rpartition(".")[2]
    value = raw.get(key)
    calls = role == "assistant" and "tool_calls" in values
    if value is None and calls:
        return Said(None)
    if key not in raw:
        notes.missing(path, raw)
        return Said("")
    if is_list(value):
        return read_parts(cast("list[Any]", value), path, index, media, notes)
    text = notes.text(value, path, index, "content")
    if text is None:
        return Said("")
    if not text and not (calls or (role == "assistant" and values.get(REASONING))):
        notes.warning("WB523", f"`{path}` is empty.", path, "Fill it in, or drop the row.")
    elif text.isspace():
        notes.warning("WB524", f"`{path}` is only whitespace, which many templates strip.", path)
    if role == "assistant":
        note_calls_in_text(text, path, notes)
    return Said(text, [Piece(path, text)])


def _reasoning(raw: Mapping[str, Any], path: str, index: int, keys: Keys, notes: RowFindings) -> Said:
    """The reasoning beside the content: text, or a list of text parts."""
    value = raw.get(REASONING)
    if value is None:
        return NOTHING
    where = f"{path}.{REASONING}"
    if not is_list(value):
        text = notes.text(value, where, index, REASONING)
        return NOTHING if text is None else Said(text, [Piece(where, text)])
    said = read_parts(cast("list[Any]", value), where, index, False, notes)
    return replace(said, value=join("", [piece.text for piece in said.pieces]))


def _spans(raw: Mapping[str, Any], path: str, role: str | None, said: tuple[Said, Said], notes: RowFindings) -> Spans:
    """What the message marks in parts: flags of its parts, `train_detail`, or a prefill."""
    content, thought = said
    if not content.spans and not thought.spans and raw.keys().isdisjoint(MARKS):
        return {}
    detail = detail_spans(raw, path, content.pieces, notes)
    prefill = prefill_spans(raw, path, role, content.pieces, notes)
    ways = [way for way in (content.spans or None, detail, prefill) if way is not None]
    if len(ways) > 1:
        message = f"`{path}` says in more than one way which characters of its content are trained."
        remedy = f"Keep one of: flags in the parts, {DETAILS[0]}, {PREFILL}."
        notes.error("WB582", message, path, remedy)
    spans = {**thought.spans, **(ways[0] if ways else {})}
    marked = bool(content.spans) or detail is not None
    if marked != bool(thought.spans):
        _mask_beside(spans, thought if marked else content, notes)
    return spans


def _mask_beside(spans: Spans, unmarked: Said, notes: RowFindings) -> None:
    """Where content or reasoning is marked in parts and the other is not marked at all, the other is masked."""
    for piece in unmarked.pieces:
        if piece.text and piece.path not in spans:
            spans[piece.path] = ()
            message = f"`{piece.path}` is masked, as in axolotl: parts of the message are marked, and it is not."
            notes.warning("WB583", message, piece.path, "Mark it as well, if it is to be trained.")


def _other_keys(raw: Mapping[str, Any], path: str, index: int, notes: RowFindings) -> dict[str, Any]:
    """Every other key that is not null, tracked; tool calls parsed."""
    values: dict[str, Any] = {}
    for key, value in raw.items():
        if key not in READ and value is not None and notes.tree({key: value}, path):
            values[key] = track_tree(value, f"{path}.{key}", index, key)
    for key in ("tool_calls", "function_call"):
        calls = read_tool_calls(raw[key], f"{path}.{key}", index, notes) if key in raw else []
        if calls:
            values["tool_calls"] = calls
    return values


def _call_turn(raw: Mapping[str, Any], path: str, key: str, index: int, notes: RowFindings) -> dict[str, Any]:
    """A turn that is only a function call: tool calls of an assistant message, or plain text where it is no JSON."""
    field = f"{path}.{key}"
    if key not in raw:
        notes.missing(field, raw)
        return {}
    text = notes.text(raw[key], field, index, "content") if isinstance(raw[key], str | None) else ""
    if text is None:
        return {}
    calls = tool_calls_in_text(raw[key], field, index, notes)
    if calls:
        return {"content": None, "tool_calls": calls}
    if not text:
        notes.error("WB523", f"`{field}` calls no function: it is {kind_of(raw[key])}.", field, "Drop the row.")
        return {}
    remedy = "It is kept as plain assistant text; write {name, arguments} to have it rendered as a tool call."
    notes.warning("WB541", f"`{field}` is not the JSON of a function call.", field, remedy)
    return {"content": text}
