from hypothesis import given, settings
from hypothesis import strategies as st

from tests.fuzz_scale import examples
from workbench.training import sample
from workbench.training.sample import TokenStream


class Ids(list):
    """A tensor, as far as a streamer looks at it."""

    def flatten(self):
        return self

    def tolist(self):
        return list(self)


class ByteTokenizer:
    """One token a byte; 0 is special."""

    def decode(self, ids, skip_special_tokens):
        assert skip_special_tokens
        return bytes(i for i in ids if i).decode("utf-8", "replace")


def stream_of(data):
    shown = []
    stream = TokenStream(ByteTokenizer(), shown.append)
    stream.put(Ids([1, 2, 3]))
    for byte in data:
        stream.put(Ids([byte]))
    stream.end()
    return stream, shown


@settings(max_examples=examples(300), deadline=None)
@given(st.text(st.characters(exclude_characters="\x00", exclude_categories=["Cs"]), max_size=40))
def test_the_pieces_of_a_text_make_the_text(text):
    stream, shown = stream_of(text.encode())
    assert "".join(shown) == text
    assert stream.ids == list(text.encode())


def test_no_piece_ends_inside_a_character(monkeypatch):
    monkeypatch.setattr(sample, "TOKEN_EVERY_S", 0.0)
    _, shown = stream_of("aé→🙂b".encode())
    assert shown == ["a", "é", "→", "🙂", "b"]


def test_the_prompt_is_not_shown_and_an_unfinished_character_is_shown_at_the_end():
    _, shown = stream_of(b"ok\xe2\x82")
    assert "".join(shown) == "ok\ufffd"


def test_at_most_one_piece_is_shown_in_thirty_milliseconds(monkeypatch):
    clock = iter(range(10_000))
    monkeypatch.setattr(sample.time, "monotonic", lambda: 100 + next(clock) / 64)  # 15.6 ms a token
    _, shown = stream_of(b"x" * 30)
    assert [len(piece) for piece in shown] == [1] + [2] * 14 + [1]
