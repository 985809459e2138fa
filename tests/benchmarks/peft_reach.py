"""What patterns of an adapter reach: the closed form against the objects that PEFT builds on the meta device.

    python -m tests.benchmarks.peft_reach --configs 500 --seed 1

Random LoRA configs on the families of tests/memory/test_memory_families.py; prints those that differ, and a summary.
"""

import argparse
import random
import warnings
from copy import deepcopy
from dataclasses import replace
from typing import Any

from tests.memory.test_memory_families import CONFIGS, built
from workbench.errors import WorkbenchError
from workbench.memory.architecture import from_config
from workbench.memory.places import places_of
from workbench.memory.reach import resolved
from workbench.memory.settings import AnalyticSettings, wanted_fields
from workbench.memory.shapes import Architecture
from workbench.memory.statics import copied_bytes, gradient_bytes, trained_parameters

PATTERNS = (
    r".*\.(q|v|o)_proj",
    r".*layers\.[01]\..*_proj",
    r"model\.(language_model\.)?layers\.\d+\.mlp\.(gate|up|down)_proj",
    r".*attn.*(proj|qkv|dense)",
    "all-linear",
)
CHOICES: dict[str, tuple[float, tuple[Any, ...]]] = {
    "exclude_modules": (0.3, (["q_proj"], r".*layers\.1\..*", ["mlp.down_proj"], ["fc1", "o_proj"])),
    "rank_pattern": (0.4, ({"q_proj": 3}, {r"layers\.0\..*": 7, "down_proj": 2}, {r"^model\.layers\.2\..*proj": 6})),
    "modules_to_save": (0.3, (["embed_tokens"], ["lm_head"], ["embed_tokens", "lm_head"], ["norm"])),
    "bias": (0.3, ("all", "lora_only")),
    "trainable_token_indices": (0.2, ([1, 2, 5], {"embed_tokens": [3]})),
    "ensure_weight_tying": (0.2, (True,)),
}

Sizes = tuple[int, int, int]
"""Elements that train, bytes that are added to the model, bytes of gradients."""


def some_config(rng: random.Random, shapes: Architecture) -> dict[str, Any]:
    """Fields of a LoRA config that PEFT might take for a model."""
    linear = [place for place in places_of(shapes) if place.kind == "linear"]
    words = sorted({place.path.rsplit(".", 1)[-1] for place in linear}) + ["gate", "w1", "w2", "w3"] * bool(
        shapes.experts
    )
    endings = [
        ".".join(rng.choice(linear).path.replace("{}", str(rng.randrange(3))).split(".")[-rng.randrange(1, 4) :])
        for _ in range(rng.randrange(1, 4))
    ]
    made: dict[str, Any] = {"r": rng.randrange(1, 12)}
    made["target_modules"] = rng.choice([*PATTERNS, endings, endings, rng.sample(words, min(len(words), 2))])
    if isinstance(made["target_modules"], list) and rng.random() < 0.4:
        made["layers_to_transform"] = rng.choice([0, [1], [0, 2]])
        if rng.random() < 0.5:
            made["layers_pattern"] = rng.choice(["layers", ["layers", "blocks"]])
    made |= {name: rng.choice(values) for name, (share, values) in CHOICES.items() if rng.random() < share}
    if "embed_tokens" in made.get("modules_to_save", ()):
        made.pop("trainable_token_indices", None)
    made["use_dora" if rng.random() < 0.5 else "lora_bias"] = rng.random() < 0.3
    if shapes.experts and rng.random() < 0.3:
        made["target_parameters"] = rng.choice([["experts.gate_up_proj"], ["mlp.experts.down_proj", "gate.weight"]])
    return made


def of_the_formula(name: str, config: dict[str, Any]) -> Sizes:
    """The closed form's sizes; images reach a vision tower, so that what trains there counts."""
    shapes = replace(from_config(CONFIGS[name]), vision=None)  # PEFT counts layers too whose output nothing reads
    adapter = "dora" if config.get("use_dora") else "lora"
    settings = AnalyticSettings(adapter=adapter, rank=config["r"], images=1, **wanted_fields(config))
    settings = resolved(shapes, settings)
    added = 4 * shapes.adapter_parameters(settings) + copied_bytes(settings)
    return trained_parameters(shapes, settings), added, gradient_bytes(shapes, settings)


def built_by_peft(name: str, config: dict[str, Any]) -> Sizes:
    """The sizes of what PEFT builds."""
    from peft import LoraConfig, get_peft_model

    made = built(CONFIGS[name])
    before = {id(parameter) for parameter in made.parameters()}
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        made = get_peft_model(made, LoraConfig(task_type="CAUSAL_LM", **deepcopy(config)))
    trained = [parameter for parameter in made.parameters() if parameter.requires_grad]
    added = [parameter for parameter in made.parameters() if id(parameter) not in before]
    added += [buffer for name, buffer in made.named_buffers() if "trainable_tokens_original" in name]

    def size(tensors: list[Any]) -> int:
        return sum(tensor.numel() * tensor.element_size() for tensor in tensors)

    return sum(parameter.numel() for parameter in trained), size(added), size(trained)


def _answer(of: Any, name: str, config: dict[str, Any]) -> Sizes | str:
    try:
        return of(name, config)
    except (WorkbenchError, ValueError, TypeError, AttributeError, KeyError) as error:
        return f"{type(error).__name__}: {str(error).splitlines()[0][:120]}"


def main() -> None:
    """Compare, and print what differs."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--configs", type=int, default=300)
    parser.add_argument("--seed", type=int, default=1)
    options = parser.parse_args()
    rng = random.Random(options.seed)
    equal = refused = only_ours = different = 0
    for _ in range(options.configs):
        name = rng.choice(list(CONFIGS))
        config = some_config(rng, from_config(CONFIGS[name]))
        ours, theirs = _answer(of_the_formula, name, config), _answer(built_by_peft, name, config)
        if isinstance(ours, str):
            refused, only_ours = refused + isinstance(theirs, str), only_ours + (not isinstance(theirs, str))
            continue
        equal += ours == theirs
        different += ours != theirs
        if ours != theirs:
            print(f"{name} {config}\n  formula {ours}\n  PEFT    {theirs}")
    print(f"{equal} equal, {different} different, {refused} refused by both, {only_ours} refused by the formula alone")


if __name__ == "__main__":
    main()
