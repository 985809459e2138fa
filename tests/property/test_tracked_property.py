"""A tracked text behaves as the plain one, and every character that keeps an origin is that origin's character."""

from __future__ import annotations

import copy
import pickle

from hypothesis import given, settings
from hypothesis import strategies as st

from tests.fuzz_scale import examples
from workbench.tracked import Tracked, cut, join, runs_of, track
from workbench.types import Origin

TEXTS = st.text(
    st.sampled_from([*"aA bB\n\r\t[]<|>/ßŉİΣé̂", "\u2028", "\u200d", "🦙", "👩", "ש", "\x00", "\x1c"]), max_size=12
)
BITS = st.text(st.sampled_from([*"aA \n[]<é", "🦙"]), min_size=1, max_size=2)
INDICES = st.none() | st.integers(-14, 14)
MODERATE = settings(deadline=None, max_examples=examples(200))


@st.composite
def tracked_texts(draw: st.DrawFn) -> Tracked:
    """Several fields and untracked pieces, joined; the fields are kept as origins' names."""
    parts: list[str] = []
    for index in range(draw(st.integers(0, 4))):
        text = draw(TEXTS)
        parts.append(text if draw(st.booleans()) else track(text, Origin(text, index, "content")))
    return join("", parts)


def faithful(made: str, plain: str) -> None:
    """The same text; runs cover it; each run's characters stand in its field (named by its own text) at its offset."""
    assert str.__str__(made) == plain
    runs = runs_of(made)
    assert sum(run.length for run in runs) == len(plain)
    at = 0
    for run in runs:
        if run.origin and run.origin.field is not None:
            assert run.origin.field[run.start : run.start + run.length] == plain[at : at + run.length]
        at += run.length


def every(made: list[str] | tuple[str, ...], plain: list[str] | tuple[str, ...]) -> None:
    assert len(made) == len(plain)
    for one, other in zip(made, plain, strict=True):
        faithful(one, other)


@MODERATE
@given(tracked_texts(), INDICES, INDICES, st.none() | st.sampled_from([-3, -1, 1, 2]))
def test_slices(text, start, stop, step):
    plain = str.__str__(text)
    faithful(text[start:stop:step], plain[start:stop:step])
    every(list(text), list(plain))
    if plain:
        faithful(text[(start or 0) % len(plain) - len(plain)], plain[(start or 0) % len(plain) - len(plain)])


@MODERATE
@given(tracked_texts(), BITS)
def test_what_is_cut_away(text, chars):
    plain = str.__str__(text)
    for method in (str.strip, str.lstrip, str.rstrip):
        name = method.__name__
        faithful(getattr(text, name)(), method(plain))
        faithful(getattr(text, name)(chars), method(plain, chars))
        faithful(getattr(text, name)(None), method(plain, None))
    faithful(text.removeprefix(chars), plain.removeprefix(chars))
    faithful(text.removesuffix(chars), plain.removesuffix(chars))
    faithful(text.removesuffix(""), plain.removesuffix(""))


@MODERATE
@given(tracked_texts(), st.none() | BITS, st.integers(-1, 3))
def test_what_is_split(text, separator, most):
    plain = str.__str__(text)
    every(text.split(separator, most), plain.split(separator, most))
    every(text.rsplit(separator, most), plain.rsplit(separator, most))
    every(text.splitlines(), plain.splitlines())
    every(text.splitlines(True), plain.splitlines(True))
    if separator:
        every(text.partition(separator), plain.partition(separator))
        every(text.rpartition(separator), plain.rpartition(separator))


@MODERATE
@given(tracked_texts(), BITS | st.just(""), tracked_texts(), st.integers(-1, 3))
def test_what_is_replaced(text, old, new, most):
    plain = str.__str__(text)
    faithful(text.replace(old, new, most), plain.replace(old, str.__str__(new), most))
    faithful(text.replace(track(old, Origin(old, 0, "content")), "x"), plain.replace(old, "x"))


@MODERATE
@given(tracked_texts(), tracked_texts(), TEXTS, st.integers(-1, 3))
def test_what_is_put_together(text, other, plain, times):
    bare, second = str.__str__(text), str.__str__(other)
    faithful(text + other, bare + second)
    faithful(text + plain, bare + plain)
    faithful(plain + text, plain + bare)
    faithful(text * times, bare * times)
    faithful(times * text, times * bare)
    faithful(text.join([other, plain, text]), bare.join([second, plain, bare]))
    faithful(text.join(other), bare.join(second))
    faithful(join(plain, (item for item in (text, 7, None, other))), plain.join([bare, "7", "None", second]))


@MODERATE
@given(tracked_texts())
def test_case_changes_keep_the_text_and_origins_that_fit(text):
    plain = str.__str__(text)
    for name in ("upper", "lower", "title", "capitalize"):
        made = getattr(text, name)()
        assert str.__str__(made) == getattr(plain, name)()
        assert sum(run.length for run in made.runs) == len(made)
        kept = [run for run in made.runs if run.origin]
        assert kept == [] or made.runs == text.runs
        if kept:
            assert all(
                getattr(a, name)() == b or a.casefold() == b.casefold() for a, b in zip(plain, made, strict=True)
            )


@MODERATE
@given(tracked_texts(), TEXTS)
def test_it_is_a_str(text, other):
    plain = str.__str__(text)
    assert (text == plain, hash(text) == hash(plain), text == other) == (True, True, plain == other)
    assert (text < other, other in text, text in other) == (plain < other, other in plain, plain in other)
    assert (repr(text), f"{text}", "%s" % text, format(text)) == (repr(plain), plain, plain, plain)  # noqa: UP031
    assert {plain: 1}[text] == 1
    assert type(str.__str__(text)) is str
    assert text.encode("utf-8", "surrogatepass") == plain.encode("utf-8", "surrogatepass")


@MODERATE
@given(tracked_texts())
def test_copies_and_pickles_keep_the_origins(text):
    for made in (pickle.loads(pickle.dumps(text)), copy.copy(text), copy.deepcopy(text)):
        assert type(made) is Tracked
        assert (made, made.runs) == (text, text.runs)


@MODERATE
@given(tracked_texts(), st.integers(0, 12), st.integers(0, 12))
def test_cutting_twice_is_cutting_once(text, start, length):
    inner = cut(cut(text.runs, start, start + length), 1, length)
    assert inner == cut(text.runs, start + 1, start + length)
