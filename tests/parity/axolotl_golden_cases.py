"""Cases small enough to be kept: the embedded tokenizer, templates of the registry, a few rows each.

The parity run stores axolotl's answers in tests/golden/axolotl_masks.json; `make test` compares ours with them.
"""

from dataclasses import replace

from axolotl_case import Case
from axolotl_cases import ALL

from workbench.templates.registry import find

TOKENIZER = "tiny-llama"
ROWS = 4
REGISTRY = {
    "bundled:chatml": "chatml",
    "bundled:gemma": "gemma",
    "bundled:phi_3": "phi3",
    "bundled:qwen_25": "qwen2_5",
    "bundled:qwen3": "qwen3",
}
"""A bundled template of axolotl's -> a template of the same family that is there without axolotl."""


def _small(case: Case) -> Case | None:
    """The case with the embedded tokenizer; None where it needs a template or marks that are not there."""
    other = case.config.get("chat_template") == "tokenizer_default" or "eot_tokens" in case.config
    if other or case.axolotl_type == "messages.chat" or case.axolotl_type.startswith("bradley_terry"):
        return None
    if not (case.template or "").startswith("bundled:"):
        return replace(case, tokenizer=TOKENIZER)
    if case.template not in REGISTRY:
        return None
    name = REGISTRY[case.template]
    config = {**case.config, "chat_template": "jinja", "chat_template_jinja": find(name).source}
    return replace(case, tokenizer=TOKENIZER, template=name, config=config)


_MADE = [small for case in ALL if (small := _small(case)) is not None]
GOLDEN = {case.name: case for case in _MADE}
"""By name; cases that differ in their tokenizer only are one."""
