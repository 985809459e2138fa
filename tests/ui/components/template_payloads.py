"""Payloads of the template card, made by the package itself: real templates, real renderings, no kernel."""

from typing import Any

import workbench as wb
from workbench.api.render import look

THINKING = """\
{%- for message in messages %}
  {%- if message.role == 'assistant' %}
    {%- set content = message.content %}
    {%- if '</think>' in content and not loop.last %}
      {%- set content = content.split('</think>')[-1] | trim %}
    {%- endif %}
    {{- '<|im_start|>assistant\\n' + content }}
    {{- '<|im_end|>\\n' }}
  {%- else %}
    {{- '<|im_start|>' + message.role + '\\n' }}
    {{- message.content + '<|im_end|>\\n' }}
  {%- endif %}
{%- endfor %}
{%- if add_generation_prompt %}
  {{- '<|im_start|>assistant\\n' }}
{%- endif %}"""
"""The mockup's template: answers keep their thinking only in the last turn."""


def template_payload(
    conversation: Any = None, *, source: str = THINKING, prompt: bool = False, tokens: bool = True, **members: Any
) -> dict[str, Any]:
    """What the card gets from the kernel; `members` replace those of the payload."""
    chat = wb.template(source, tokenizer="tiny-llama" if tokens else None)
    said = wb.samples.thinking if conversation is None else conversation
    return look(chat, said, prompt, {}).payload() | members


def template_answer(asked: dict[str, Any], *, source: str = THINKING, tokens: bool = True) -> dict[str, Any]:
    """What the kernel would answer to a question of the card."""
    from workbench.api.comm import answered

    chat = wb.template(source, tokenizer="tiny-llama" if tokens else None)
    return answered(look(chat, wb.samples.thinking, False, {}), asked)
