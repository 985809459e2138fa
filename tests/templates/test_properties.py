"""Properties of templates against somebody else: TRL's predicates and transformers, over every template at hand."""

import re
from collections.abc import Mapping
from importlib.metadata import version

import jinja2
import pytest

from tests.fuzz_scale import some_of
from tests.templates.conversations import our_templates, shared_templates, trl_templates
from workbench import tiny_llama
from workbench.errors import TemplateError
from workbench.templates import registry
from workbench.templates.abilities import stop
from workbench.templates.looks import Renderings
from workbench.templates.prefixes import prefix_pairs, prefix_preserving
from workbench.templates.properties import CHECKS, properties_from, properties_of, same_as_plain
from workbench.types import TemplateInfo

THINKING = "earlier answers lose their thinking, which TRL does not look at"
EMPTY = "only the last answer gets an empty <think> block, which TRL does not look at"
RETURN = "the last answer ends with <|return|>, earlier ones with <|end|>"
AFRESH = "a conversation that ends with an answer gets the opening of another one"
SYSTEM = "the system message stands in the last question"

STRICTER: Mapping[str, str] = {
    "trl/glm4moe": THINKING,
    "trl/glm4moe_training": THINKING,
    "trl/gptoss": RETURN,
    "trl/gptoss_training": RETURN,
    "trl/lfm2_2_5": THINKING,
    "trl/lfm2_2_5_v2": THINKING,
    "trl/lfm2_2_5_vl": THINKING,
    "trl/nemotron_3_5_lightning": THINKING,
    "trl/nemotron_3_5_lightning_training": THINKING,
    "trl/nemotron_3_nano": THINKING,
    "trl/nemotron_3_nano_training": THINKING,
    "trl/nemotron_3_super": THINKING,
    "trl/nemotron_3_super_training": THINKING,
    "trl/nemotron_3_ultra": THINKING,
    "trl/nemotron_3_ultra_training": THINKING,
    "trl/qwen3_5_nothink": EMPTY,
    "trl/qwen3_5_think": EMPTY,
    "trl/qwen3_6": EMPTY,
    "axolotl/command_a": AFRESH,
    "llama.cpp/GLM-4.6": THINKING,
    "llama.cpp/GLM-4.7-Flash": THINKING,
    "llama.cpp/Qwen-QwQ-32B": THINKING,
    "llama.cpp/StepFun3.5-Flash": EMPTY,
    "mistral-common/v2_spm": SYSTEM,
}
"""Templates that TRL's predicate calls prefix-preserving and ours does not: TRL looks at one tool call only."""

TAG = re.compile(r"<[|｜]?[^\s<>'\"{}]{1,40}[|｜]?>|\[[|｜][^\s\[\]]{1,40}[|｜]\]|\[/?[A-Z_]{2,20}\]")
REFUSED = (jinja2.TemplateError, TypeError, ValueError, LookupError)


def tokenizer_for(template: TemplateInfo):
    """The embedded tokenizer with everything the template writes that looks like a special token."""
    from transformers import AutoTokenizer

    tokenizer = AutoTokenizer.from_pretrained(tiny_llama.model_path())
    tokenizer.add_special_tokens(dict(template.special_tokens))
    tokenizer.add_tokens(sorted(set(TAG.findall(template.source))), special_tokens=True)
    tokenizer.chat_template = template.source
    return tokenizer


def theirs(predicate, template: TemplateInfo) -> bool | None:
    """What TRL says; None where its own conversation is refused."""
    try:
        return predicate(tokenizer_for(template))
    except REFUSED:
        return None


@pytest.fixture(params=["trl", pytest.param("shared", marks=pytest.mark.shared)])
def templates(request) -> dict[str, TemplateInfo]:
    return trl_templates() if request.param == "trl" else shared_templates(request.getfixturevalue("shared"))


def _tool_pairs_hold(template: TemplateInfo) -> bool | None:
    """Ours, over the tool call alone, which is the only conversation TRL looks at."""
    made = Renderings(template)
    for what, shorter, longer, tools, prompt in prefix_pairs():
        one, other = made.of(shorter, tools), made.of(longer, tools, prompt=prompt)
        if what == "tool_call" and not isinstance(one, TemplateError) and not isinstance(other, TemplateError):
            return str.__str__(other.rendered.text).startswith(str.__str__(one.rendered.text))
    return None


def test_prefix_preservation_agrees_with_trl_but_for_the_templates_listed(templates):
    from trl.chat_template_utils import is_chat_template_prefix_preserving

    looked, stricter, wrong = 0, set(), {}
    for name, template in templates.items():
        their = theirs(is_chat_template_prefix_preserving, template)
        if their is None:
            continue
        looked += 1
        ours = prefix_preserving(Renderings(template))
        if _tool_pairs_hold(template) not in (None, their):
            wrong[name] = (their, ours)
        if their and ours.state == "fails":
            stricter.add(name)
        if not their:
            assert ours.state == "fails", name
    assert wrong == {}
    assert looked >= 40
    known = {name for name in STRICTER if name in templates}
    if version("trl").startswith("1.16."):
        assert stricter == known


def test_a_trained_stop_token_agrees_with_trl_wherever_there_are_markers(templates):
    """Without markers TRL's mask is empty and it says no; ours comes from provenance, and is not compared."""
    from trl.chat_template_utils import is_chat_template_stop_token_trained

    looked = 0
    for name, template in templates.items():
        ours = stop(Renderings(template))
        their = theirs(is_chat_template_stop_token_trained, template)
        if "endgeneration" not in template.source:
            assert their is False, name
        elif ours.state != "unknown":
            looked += 1
            assert their == (ours.state == "holds"), (name, ours)
    assert looked >= (10 if "axolotl/chatml" in templates else 30)


def test_every_template_renders_as_transformers_does(templates):
    assert {same_as_plain(template).state for template in templates.values()} <= {"holds", "unknown"}


def test_a_counter_example_shows_two_texts_that_differ_where_it_says(templates):
    for name, template in some_of(templates, 3).items():
        for item in properties_of(template):
            counter = item.counter
            assert (counter is None) or item.state in ("fails", "lacks"), name
            if counter is not None and counter.at is not None:
                assert counter.first_text[: counter.at] == counter.second_text[: counter.at], (name, item.name)
                one, other = (text[counter.at : counter.at + 1] for text in (counter.first_text, counter.second_text))
                assert one != other, (name, item.name)
            if counter is not None and counter.line is not None:
                assert 1 <= counter.line <= len(template.source.splitlines()) + 1


SYSTEMLESS = (
    "{% if messages[0].role == 'system' %}{{ raise_exception('no system') }}{% endif %}"
    "{% for m in messages %}<|{{ m.role }}|>{{ m.content }}<|end|>{% endfor %}"
)
PLAIN = "{% for m in messages %}<|{{ m.role }}|>{{ m.content }}<|end|>{% endfor %}"


@pytest.mark.parametrize(
    ("source", "name", "state"),
    [
        (PLAIN, "stop", "holds"),
        (PLAIN.replace("<|end|>", ""), "stop", "fails"),
        (PLAIN.replace("<|end|>", "<|end|><|end|>"), "stop", "fails"),
        (PLAIN, "system", "holds"),
        (SYSTEMLESS, "system", "lacks"),
        ("{% for m in messages if m.role != 'system' %}{{ m.content }}</s>{% endfor %}", "system", "fails"),
        (PLAIN, "prompt_is_prefix", "lacks"),
        (PLAIN + "{% if add_generation_prompt %}<|assistant|>{% endif %}", "prompt_is_prefix", "holds"),
        (PLAIN + "{% if add_generation_prompt %}<|assistant|><think>{% endif %}", "prompt_is_prefix", "fails"),
        (PLAIN, "prefix_preserving", "holds"),
        (PLAIN + "<|endoftext|>", "prefix_preserving", "fails"),
        (PLAIN, "generation", "lacks"),
        (PLAIN.replace("{{ m.content }}", "{% generation %}{{ m.content }}{% endgeneration %}"), "stop", "fails"),
        (
            PLAIN.replace("{{ m.content }}<|end|>", "{% generation %}{{ m.content }}<|end|>{% endgeneration %}"),
            "stop",
            "holds",
        ),
        (PLAIN, "tools", "lacks"),
        ("{{ raise_exception('never') }}", "stop", "unknown"),
    ],
)
def test_each_property_is_seen_in_a_template_made_for_it(source, name, state):
    found = {item.name: item for item in properties_of(registry.info("t", source, ""))}
    assert found[name].state == state, found[name]


def test_failing_properties_come_first_and_survive_as_plain_values():
    from dataclasses import asdict

    found = properties_of(trl_templates()["trl/qwen3_5_think"])
    assert [item.state for item in found] == sorted(
        (item.state for item in found), key=["fails", "lacks", "unknown", "holds"].index
    )
    assert properties_from([asdict(item) for item in found]) == found
    assert len(found) == len(CHECKS)


def test_prompt_styles_that_we_ship_end_their_answers_and_keep_their_prefixes():
    for name, template in our_templates().items():
        found = {item.name: item for item in properties_of(template)}
        assert found["stop"].state == "holds", (name, found["stop"])
        assert found["prefix_preserving"].state == "holds", (name, found["prefix_preserving"])
