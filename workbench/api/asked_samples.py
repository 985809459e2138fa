"""Prompts of a run as options of its estimate: how many, how long the longest is, and how long answers may be."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any

from workbench.api.run import job_samples
from workbench.templates.render import render_plain
from workbench.templates.traced import conversation_of
from workbench.tokens.encode import encode

if TYPE_CHECKING:
    from workbench.api.recipe import BoundRecipe


def with_counted_samples(bound: BoundRecipe, options: Mapping[str, Any]) -> dict[str, Any]:
    """The options with `samples` as a number, where it is prompts as `recipe.launch` takes them.

    `sample_prompt` becomes the tokens of the longest prompt, through the run's own template, unless it was said.

    Raises:
        TemplateError: Where the template refuses a prompt.
    """
    samples = options.get("samples")
    if isinstance(samples, str) or not isinstance(samples, Sequence):
        return dict(options)
    prompts = [_text(bound, messages) for messages in job_samples(samples)]
    plain = bound.enc.setting.template is None
    lengths = [len(found.input_ids) for found in encode(prompts, bound.enc.setting.tokenizer, add_special_tokens=plain)]
    longest = {"sample_prompt": max(1, *lengths)} if lengths else {}
    return {**longest, **options, "samples": len(prompts)}


def _text(bound: BoundRecipe, messages: list[dict[str, Any]]) -> str:
    """What the sampler renders (workbench.training.sample): through the template, or the bare text without one."""
    template = bound.enc.setting.template
    if template is None:
        return "".join(str(message.get("content", "")) for message in messages)
    return render_plain(conversation_of(messages, None), template, add_generation_prompt=True)
