from types import SimpleNamespace

import pytest

from workbench.tiny_llama import chat
from workbench.tiny_llama import score as scoring
from workbench.tiny_llama.score import score


@pytest.mark.parametrize(
    ("given", "exact"),
    [("b-o-x.<|im_end|>", 1.0), ("b-o-x.", 0.0), ("b-o-x. b-o-x.<|im_end|>", 0.0), (" b-o-x.<|im_end|>", 0.0)],
)
def test_an_answer_counts_only_if_exact_and_stopped(monkeypatch: pytest.MonkeyPatch, given: str, exact: float):
    row: chat.Row = {
        "messages": [{"role": "user", "content": "Spell the word box."}, {"role": "assistant", "content": "b-o-x."}],
        "skill": "spell",
    }
    monkeypatch.setattr(scoring, "answers", lambda *_: [given])
    tokenizer = SimpleNamespace(eos_token="<|im_end|>")
    seen = score(None, tokenizer, [row])  # pyright: ignore[reportArgumentType]
    assert seen.exact == exact
    assert seen.by_skill == {"spell": exact}
