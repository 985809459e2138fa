r"""Layouts: where a row's text stands in its rendering, learned from one row and used for others of the same shape.

    <|im_start|>user\n · content of message 0 · <|im_end|>\n<|im_start|>assistant\n · content of message 1 · …

A row is of the same shape when its messages have the same keys, the same values under all keys but those of long text,
and give the same answers to every question the template asked about that text (observed.py). Then the template takes
the same path, so each piece of its output comes from the same place; and the text so predicted must still equal the
row's own plain rendering. What does not fit is rendered with tracking, which is what layouts are learned from and
compared with: they save time and decide nothing.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from itertools import accumulate
from typing import Any, NamedTuple, cast

from workbench.templates.compiler import generated
from workbench.templates.cuts import Mode, kept, stripped
from workbench.templates.observed import OBSERVED_KEYS, Guard, Slot
from workbench.tracked import Run, Runs, Tracked, cut
from workbench.types import Conversation, Rendered, Turn

MOST_MESSAGES = 64
MOST_SHAPES = 1024
MOST_LAYOUTS = 4
MOST_FAILURES = 4
HOPELESS = 32
"""Failures without one success after which a template is not tried again."""


class Shape(NamedTuple):
    """What decides whether rows may share a layout, beside what the template asks about their text.

    Attributes:
        key: Keys and values of all messages, but for long text.
        leaves: Every text of the messages, in order.
        texts: The same without origins.
        messages: The messages without origins.
    """

    key: tuple[object, ...]
    leaves: list[Tracked]
    texts: list[str]
    messages: list[dict[str, Any]]


def shape_of(talk: Conversation) -> Shape | None:
    """The shape of a conversation; None where it has tools, parts, or text whose origins do not fit its place."""
    if talk.tools or len(talk.messages) > MOST_MESSAGES:
        return None
    shape = Shape((), [], [], [])
    key: list[object] = []
    for index, message in enumerate(talk.messages):
        plain: dict[str, Any] = {}
        for name, value in message.items():
            key.append(name)
            if type(value) is Tracked:
                if not _fits(value.runs, index, name):
                    return None
                text = str.__str__(value)
                shape.leaves.append(value)
                shape.texts.append(text)
                if name not in OBSERVED_KEYS:
                    key.append(text)
                plain[name] = text
            elif value is None or isinstance(value, bool | int | float):
                key.append((type(value), value))
                plain[name] = value
            else:
                return None
        key.append(None)
        shape.messages.append(plain)
    return shape._replace(key=tuple(key))


def _fits(runs: Runs, index: int, name: str) -> bool:
    """Whether a text's origins say what its place does: its message, and row's text unless it is a role."""
    if len(runs) == 1:
        origin = runs[0].origin
        return (
            origin is not None
            and origin.message == index
            and (origin.field is not None and origin.key != "role") == (name != "role")
        )
    if name not in OBSERVED_KEYS:
        return not runs
    return all(run.origin is not None and run.origin.message == index for run in runs) and (
        not runs or all(_fits((run,), index, name) for run in (runs[0], runs[-1]))
    )


class Place(NamedTuple):
    """A place in a text: so many characters of the template's and of fixed values, and the first so many inserts."""

    fixed: int
    inserts: int


class Insert(NamedTuple):
    """Row's text in a rendering; `text` is an index into `Layout.texts`."""

    text: int
    line: int
    generated: bool


class Fixed(NamedTuple):
    """Characters of a value that is part of the shape, such as a role."""

    slot: int
    start: int
    length: int
    line: int
    generated: bool


class TurnPlaces(NamedTuple):
    """A turn's edges."""

    message: int
    role: str
    start: Place
    body: Place
    data_end: Place
    end: Place


@dataclass(frozen=True, slots=True)
class Layout:
    """Where everything stands.

    Attributes:
        texts: Texts that are inserted or asked about: which one, and what is stripped off it.
        guards: Index into `texts`, question, argument, answer.
        between: The template's text before, between and behind the inserts; one more than inserts.
        pieces: Everything in order: runs that no row changes, values of the shape, inserts.
        contents: How many slots are message contents and whether each is inserted once, unstripped or not.
    """

    texts: tuple[tuple[int, Mode], ...]
    guards: tuple[tuple[int, Callable[[str, Any], Any], Any, Any], ...]
    between: tuple[str, ...]
    inserts: tuple[int, ...]
    pieces: tuple[Run | Insert | Fixed, ...]
    turns: tuple[TurnPlaces, ...]
    generation: tuple[tuple[Place, Place], ...]
    has_generation: bool
    once: bool
    strips: bool

    def text_for(self, shape: Shape) -> tuple[str, list[str]] | None:
        """The rendering this layout predicts and the texts in it; None where a question is answered otherwise."""
        plain = shape.texts
        texts = [stripped(plain[slot], mode) if mode else plain[slot] for slot, mode in self.texts]
        for index, ask, argument, answer in self.guards:
            if ask(texts[index], argument) != answer:
                return None
        if self.strips and self._loses_ends(shape, texts):
            return None
        parts = [self.between[0]]
        for index, after in zip(self.inserts, self.between[1:], strict=True):
            parts += (texts[index], after)
        return "".join(parts), texts

    def _loses_ends(self, shape: Shape, texts: list[str]) -> bool:
        """Whether a text of several origins is stripped of any of it: its ends may then be no row's text."""
        return any(
            mode and len(shape.leaves[slot].runs) > 1 and len(text) != len(shape.texts[slot])
            for (slot, mode), text in zip(self.texts, texts, strict=True)
        )

    def rendered(self, talk: Conversation, shape: Shape, plain: str, texts: list[str]) -> Rendered:
        """The rendering of a row that fits."""
        before = [0, *accumulate([len(texts[index]) for index in self.inserts])]
        train = talk.train
        turns = tuple(
            [
                Turn(
                    turn.message,
                    turn.role,
                    turn.start[0] + before[turn.start[1]],
                    turn.body[0] + before[turn.body[1]],
                    turn.data_end[0] + before[turn.data_end[1]],
                    turn.end[0] + before[turn.end[1]],
                    train[turn.message] if train else None,
                )
                for turn in self.turns
            ]
        )
        spans = tuple([(a.fixed + before[a.inserts], b.fixed + before[b.inserts]) for a, b in self.generation])
        text = Tracked.known_later(plain, lambda: self.runs(shape))
        whole = self.once and all(
            len(texts[index]) == len(shape.texts[self.texts[index][0]])
            for index in self.inserts
            if self.texts[index][1]
        )
        return Rendered(talk.row, text, turns, spans, self.has_generation, whole)

    def runs(self, shape: Shape) -> Runs:
        """Origins of the row's rendering."""
        out: list[Run] = []
        for piece in self.pieces:
            if isinstance(piece, Run):
                out.append(piece)
                continue
            if isinstance(piece, Fixed):
                runs = cut(shape.leaves[piece.slot].runs, piece.start, piece.start + piece.length)
            else:
                slot, mode = self.texts[piece.text]
                runs = shape.leaves[slot].runs
                runs = cut(runs, *kept(shape.texts[slot], mode)) if mode else runs
            for length, origin, start, _ in runs:
                out.append(Run(length, generated(origin) if piece.generated else origin, start, piece.line))
        return tuple(out)


def layout_of(slow: Rendered, runs: Runs, guards: Sequence[Guard], shape: Shape) -> Layout | None:
    """The layout that a rendering with observed text shows; None where it shows none, or not what tracking shows.

    Args:
        slow: The tracked rendering of the same row.
        runs: Of the rendering with observed text, whose origins are slots.
        guards: The questions asked.
        shape: Of the row.
    """
    texts: dict[tuple[int, Mode], int] = {}
    pieces: list[Run | Insert | Fixed] = []
    between, inserts, at = [""], list[int](), 0
    plain = str.__str__(slow.text)
    for run in runs:
        origin = run.origin
        if isinstance(origin, Slot) and origin.key in OBSERVED_KEYS:
            if run.start or run.length != len(stripped(shape.texts[origin.slot], origin.mode)):
                return None
            index = texts.setdefault((origin.slot, origin.mode), len(texts))
            pieces.append(Insert(index, run.line, origin.generated))
            inserts.append(index)
            between.append("")
        else:
            fixed = isinstance(origin, Slot)
            piece = Fixed(origin.slot, run.start, run.length, run.line, origin.generated) if fixed else run
            pieces.append(piece)
            between[-1] += plain[at : at + run.length]
        at += run.length
    asked = tuple([(texts.setdefault(g[:2], len(texts)), g.ask, g.argument, g.answer) for g in guards])
    places = _Places([len(part) for part in between], [len(stripped(shape.texts[s], m)) for s, m in texts], inserts)
    try:
        turns = [
            TurnPlaces(t.message, t.role, *map(places.of, (t.start, t.body, t.data_end, t.end))) for t in slow.turns
        ]
        generation = [(places.of(start), places.of(end)) for start, end in slow.generation]
    except _InsideInsertError:
        return None
    once = _once([slot for slot, _ in (list(texts)[index] for index in inserts)], shape)
    return Layout(
        tuple(texts),
        asked,
        tuple(between),
        tuple(inserts),
        tuple(pieces),
        tuple(turns),
        tuple(generation),
        slow.has_generation,
        once,
        any(mode for _, mode in texts),
    )


def _once(inserted: list[int], shape: Shape) -> bool:
    """Whether every text of a message's content stands in the rendering exactly once."""
    slot, contents = 0, list[int]()
    for message in shape.messages:
        for name, value in message.items():
            if isinstance(value, str):
                if name == "content" and value:
                    contents.append(slot)
                slot += 1
    return all(inserted.count(content) == 1 for content in contents)


class _InsideInsertError(Exception):
    """An edge lies inside a row's text, so that the row's text decides where."""


class _Places:
    """Finds places of characters, none of which may lie inside an insert."""

    def __init__(self, between: list[int], lengths: list[int], inserts: list[int]) -> None:
        self.edges: list[tuple[int, int, Place]] = []
        at = fixed = 0
        for count, length in enumerate(between):
            self.edges.append((at, at + length, Place(fixed, count)))
            at += length + (lengths[inserts[count]] if count < len(inserts) else 0)
            fixed += length

    def of(self, character: int) -> Place:
        """The place of a character, before the insert that begins there."""
        for start, end, place in self.edges:
            if start <= character <= end:
                return Place(place.fixed + character - start, place.inserts)
        raise _InsideInsertError


class Known:
    """What is known about rows of one key."""

    __slots__ = ("failures", "layouts", "seen")

    def __init__(self) -> None:
        self.layouts: list[Layout] = []
        self.seen = self.failures = 0


class Layouts:
    """The layouts of one template with one set of variables; `learn` makes one from a row, or None."""

    def __init__(self) -> None:
        self.known: dict[tuple[object, ...], Known] = {}
        self.learned = self.failures = 0

    @property
    def is_hopeless(self) -> bool:
        """Whether the template is one that nothing can be learned about."""
        return not self.learned and self.failures >= HOPELESS

    def find(self, talk: Conversation, shape: Shape, plain: str) -> Rendered | None:
        """The row's rendering by a layout that fits, None where none does."""
        known = self.known.get(shape.key)
        for layout in known.layouts if known else ():
            made = layout.text_for(shape)
            if made is not None and made[0] == plain:
                return layout.rendered(talk, shape, plain, made[1])
        return None

    def wants(self, shape: Shape) -> bool:
        """Whether to learn from a row that nothing fitted: from the second of its kind on, a few times."""
        known = self.known.get(shape.key)
        if known is None:
            if len(self.known) >= MOST_SHAPES:
                self.known.clear()
            known = self.known[shape.key] = Known()
        known.seen += 1
        if known.seen < 2 or known.failures >= MOST_FAILURES:
            return False
        # A text of several origins with blank ends may lose them, and then shows nothing for others.
        leaves = zip(shape.leaves, shape.texts, strict=True)
        return not any(len(leaf.runs) > 1 and text != text.strip() for leaf, text in leaves)

    def learn(self, talk: Conversation, shape: Shape, slow: Rendered, made: Layout | None) -> None:
        """Keep a layout that gives what tracking gave for the row it was learned from."""
        known = self.known[shape.key]
        if made is None or not _agrees(made, talk, shape, slow):
            known.failures += 1
            self.failures += 1
            return
        self.learned += 1
        known.layouts.append(made)
        del known.layouts[:-MOST_LAYOUTS]


def _agrees(layout: Layout, talk: Conversation, shape: Shape, slow: Rendered) -> bool:
    made = layout.text_for(shape)
    if made is None or made[0] != str.__str__(slow.text):
        return False
    quick = layout.rendered(talk, shape, *made)
    same = (quick.turns, quick.generation) == (slow.turns, slow.generation)
    return same and cast("Tracked", quick.text).runs == cast("Tracked", slow.text).runs


def observed_messages(shape: Shape, observe: Callable[[str, int, int, str], str]) -> list[dict[str, Any]]:
    """The messages with every text replaced by what `observe(text, slot, message, key)` makes of it."""
    out: list[dict[str, Any]] = []
    slot = 0
    for index, message in enumerate(shape.messages):
        made: Mapping[str, Any] = message
        for name, value in message.items():
            if isinstance(value, str):
                made = {**made, name: observe(value, slot, index, name)}
                slot += 1
        out.append(dict(made))
    return out
