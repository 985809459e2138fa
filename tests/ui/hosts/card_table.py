"""Every card there is, once: what the tests that hold for all cards need to know of each."""

import json
import shutil
from collections.abc import Callable
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from fit_payloads import fit_payload, with_cards
from pair_payloads import pair, pairs_payload
from payloads import finding, payload, row
from picker_payloads import chat_state, pair_state
from rollout_payloads import group, rollouts_payload

import workbench as wb
from workbench.api import comm
from workbench.api.html_export import Showable
from workbench.api.memory import MemoryEstimate, estimate_recipe
from workbench.api.run import LiveRun
from workbench.recipes import Recipe
from workbench.views import BATCH_MIME, ROLLOUTS_MIME, TEMPLATE_MIME
from workbench.views.rollouts import rollouts_html

RECORDED = Path(__file__).resolve().parents[1] / "run_card" / "recorded_run.jsonl"


@dataclass(frozen=True)
class Card:
    """A card.

    Attributes:
        module: Its anywidget module.
        selector: Its node.
        traits: Traits of the module with a text wherever the data can put one.
        noun: A noun whose output is the card, made of a text for its data and a folder to write to; None: no such noun.
        static: Words in the static HTML of the noun made of "Why does bread need salt?".
    """

    module: str
    selector: str
    traits: Callable[[str], dict[str, Any]]
    noun: Callable[[str, Path], Any] | None = None
    static: str = "Why does bread"


def chat_rows(text: str) -> list[dict[str, Any]]:
    """Rows whose every message is the text."""
    said = [{"role": role, "content": text or "x"} for role in ("system", "user", "assistant")]
    return [{"messages": said}, {"messages": [*said, said[1], said[2]]}]


def _tokens(text: str) -> dict[str, Any]:
    shown = row(
        [("user", text), ("assistant", text)], findings=[finding("WB305", "warning", text, "messages[1].content")]
    )
    return {"payload": payload([shown], badge={"state": "differs", "step": 1, "difference": _difference(text)})}


def _difference(text: str) -> dict[str, Any]:
    return {"key": text, "index": [0, 1], "ours": 1, "theirs": 2}


def _pairs(text: str) -> dict[str, Any]:
    return {"payload": pairs_payload([pair(chosen=text + " a", rejected=text + " b")])}


def _rollouts(text: str) -> dict[str, Any]:
    said = finding("WB153", "warning", text)
    groups = [group(answers=((text, 0.5), (text + " b", -0.5)), findings=[said], title=text)]
    names = [{"name": text, "weight": 1.0}, {"name": text, "weight": 0.5}]
    return {"payload": rollouts_payload(groups, title=text, subtitle=text, reward_functions=names, code=text)}


def _picker(text: str) -> dict[str, Any]:
    said = [{"role": text, "text": text}]
    more = {"preview": [[{"said": said, "more": 4}]], "rendered": pair_state()["rendered"]}
    return {"state": chat_state() | more, "scan": None}


def run_payload(text: str = "Where does Kipwick live?") -> dict[str, Any]:
    """A run that failed, so that all there is to tell is told."""
    series = {"step": [1, 2, 3, 4], "loss": [2.5, 2.1, 1.7, 1.4]}
    samples = [
        {"prompt": 0, "step": step, "text": f"{text} {step}", "stopped": True, "base": step == 0} for step in (0, 2, 4)
    ]
    snapshot = {
        "state": "failed", "step": 4, "max_steps": 10, "offset": 100, "loss": 1.4, "learning_rate": 1e-4,
        "tokens_per_s": 10.0, "eta_s": None, "rss_bytes": 10**9, "gpu_bytes": None, "elapsed_s": 10.0,
        "series": series, "prompts": [text], "samples": samples, "checkpoints": [2],
        "batch": {"agrees": False, "steps": [1], "difference": _difference("labels")},
        "message": text, "log_tail": text, "stalled": False, "warnings": [{"code": "WB690", "message": text}],
        "setup": {"device": "cpu", "versions": {"torch": "2.13"}},
    }  # fmt: skip
    return {"version": 1, "id": "0007-k3f9", "name": text, "live": False, "snapshot": snapshot, "code": text}


def _encoded(text: str, _folder: Path) -> Any:
    return wb.data(chat_rows(text)).encode("chatml", tokenizer="tiny-llama")


def _batch(text: str, _folder: Path) -> Any:
    packed = {"packing": "bfd", "max_length": 4096}
    return wb.data(chat_rows(text[:1500])).encode("chatml", tokenizer="tiny-llama", **packed).batches()[0]


def _batch_traits(text: str) -> dict[str, Any]:
    with comm.alone():
        return {"payload": _batch(text, Path())._repr_mimebundle_()[BATCH_MIME]}


def _template(text: str, _folder: Path) -> Any:
    said = [{"role": role, "content": text or "x"} for role in ("system", "user", "assistant")]
    return wb.template("{# " + _uncommented(text) + " #}" + PLAIN, tokenizer="tiny-llama").render(said)


def _uncommented(text: str) -> str:
    """A text that can stand in a Jinja comment."""
    return text.replace("#}", "").replace("\0", "")


PLAIN = "{% for message in messages %}{{ message.content | trim }}<|im_end|>{% endfor %}"


def _template_traits(text: str) -> dict[str, Any]:
    with comm.alone():
        shown = _template(text, Path())._repr_mimebundle_()[TEMPLATE_MIME]
    side = {"name": text, "before": text, "behind": text, "cut_before": 1, "cut_behind": 1, "line": 1, "source": text}
    error = {"code": "WB102", "message": text, "remedy": text, "line": 1}
    view = shown["view"] | {
        "notes": [text],
        "error": error,
        "difference": {"name": text, "equal": False, "at": 0, "says": text, "sides": [side | {"error": error}] * 2},
    }
    return {"payload": shown | {"title": text, "origin": text, "view": view}}


def _pair_rows(text: str, _folder: Path) -> Any:
    rows = [{"prompt": text, "chosen": text + " a", "rejected": text + " b"}] * 3
    return wb.data(rows).encode(tokenizer="tiny-llama")


@dataclass(frozen=True)
class RecordedRollouts(Showable):
    """The output of rollouts that a trainer made, as a notebook keeps it."""

    text: str

    def _repr_mimebundle_(self, **_: Any) -> dict[str, Any]:
        shown = _rollouts(self.text)["payload"]
        return {ROLLOUTS_MIME: shown, "text/html": rollouts_html(shown), "text/plain": self.text}


def _fit(text: str) -> dict[str, Any]:
    shown = with_cards(fit_payload())
    return {"payload": {**shown, "subtitle": text, "assumptions": [text], "code": text}}


def _estimated(text: str, _folder: Path) -> MemoryEstimate:
    made = estimate_recipe(Recipe(gradient_checkpointing=True), 512, card_gib=8)
    return replace(made, recipe=made.recipe.with_(model=text))


def recorded_run(text: str, folder: Path) -> Any:
    """A run that is over: the log of a real one."""
    home = folder / "0007-k3f9"
    home.mkdir(exist_ok=True)
    prompts = [[{"role": "user", "content": text}]] * 3
    (home / "job.json").write_text(json.dumps({"id": "0007-k3f9", "name": text, "samples": {"prompts": prompts}}))
    shutil.copy(RECORDED, home / "events.jsonl")
    return LiveRun(home)


CARDS = {
    "tokens": Card("tokens", ".wb-tokens", _tokens, _encoded),
    "batch": Card("batch", ".wb-batch", _batch_traits, _batch, "2 documents"),
    "batch tokens": Card("tokens", ".wb-tokens", _tokens, lambda text, folder: _batch(text, folder).tokens),
    "pairs": Card("pairs", ".wb-pairs", _pairs, _pair_rows),
    "rollouts": Card("rollouts", ".wb-rollouts", _rollouts, lambda text, _folder: RecordedRollouts(text)),
    "picker": Card("picker", ".wb-pick", _picker),
    "template": Card("template", ".wb-xray", _template_traits, _template),
    "fit": Card("fit", ".wb-fit", _fit, _estimated),
    "run": Card("run", ".wb-run", lambda text: {"payload": run_payload(text), "inert": True}, recorded_run),
}
"""A card that lands is one more entry here."""

SHOWN = {name: card for name, card in CARDS.items() if card.noun is not None}
"""Cards that are the rich output of a noun."""
