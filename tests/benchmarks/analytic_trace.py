"""The closed form against the trace of the real step: live bytes at the peak, over families, methods and settings.

    python -m tests.benchmarks.analytic_trace [--sample N] > tests/memory/analytic_trace.csv

Widths are those of real models, layers are few, so that a trace takes a second; two models are whole. Figures go to
standard output as CSV, their summary to standard error.
"""

import argparse
import csv
import json
import statistics
import sys
from typing import Any

from workbench.memory.analytic import evaluate
from workbench.memory.architecture import from_config, read_config
from workbench.memory.plan import Plan
from workbench.memory.settings import AnalyticSettings
from workbench.recipes import Recipe
from workbench.training.tracing import trace_plan


def decoder(family: str, hidden: int, inner: int, heads: tuple[int, int], **more: Any) -> dict[str, Any]:
    """Values of a config.json with few layers."""
    values = {"model_type": family, "hidden_size": hidden, "intermediate_size": inner, "num_hidden_layers": 3}
    return {**values, "num_attention_heads": heads[0], "num_key_value_heads": heads[1], **more}


MODELS: dict[str, dict[str, Any]] = {
    "llama 1B": decoder("llama", 2048, 8192, (32, 8), head_dim=64, vocab_size=128256, tie_word_embeddings=True),
    "llama 8B": decoder("llama", 4096, 14336, (32, 8), vocab_size=128256),
    "mistral 7B": decoder("mistral", 4096, 14336, (32, 8), vocab_size=32000),
    "qwen2 1.5B": decoder("qwen2", 1536, 8960, (12, 2), vocab_size=151936, tie_word_embeddings=True),
    "qwen3 0.6B": decoder("qwen3", 1024, 3072, (16, 8), head_dim=128, vocab_size=151936, tie_word_embeddings=True),
    "gemma 2B": decoder("gemma", 2048, 16384, (8, 1), head_dim=256, vocab_size=256000),
    "gemma3 1B": decoder("gemma3_text", 1152, 6912, (4, 1), head_dim=256, vocab_size=262144),
    "phi 2": decoder("phi", 2560, 10240, (32, 32), vocab_size=51200),
    "phi3 mini": decoder("phi3", 3072, 8192, (32, 32), vocab_size=32064),
    "smollm3 3B": decoder("smollm3", 2048, 11008, (16, 4), vocab_size=128256),
    "olmo2 1B": decoder("olmo2", 2048, 8192, (16, 16), vocab_size=100352),
    "olmo3 7B": decoder("olmo3", 4096, 11008, (32, 32), vocab_size=100278),
    "exaone4 1.2B": decoder(
        "exaone4", 2048, 4096, (32, 8), head_dim=64, vocab_size=102400, tie_word_embeddings=True
    ),
    "starcoder2 3B": decoder("starcoder2", 3072, 12288, (24, 2), vocab_size=49152, use_bias=True),
    "granite 2B": decoder("granite", 2048, 8192, (32, 8), vocab_size=49155, tie_word_embeddings=True),
    "mixtral-like": decoder(
        "mixtral", 1024, 3584, (16, 4), vocab_size=32000, num_local_experts=8, num_experts_per_tok=2
    ),
    "qwen3-moe-like": decoder(
        "qwen3_moe", 2048, 6144, (32, 4), head_dim=128, vocab_size=151936, num_experts=32, num_experts_per_tok=8,
        moe_intermediate_size=768,
    ),
    "qwen2-moe-like": decoder(
        "qwen2_moe", 2048, 5632, (16, 16), vocab_size=151936, num_experts=12, num_experts_per_tok=4,
        moe_intermediate_size=1408, shared_expert_intermediate_size=5632,
    ),
}  # fmt: skip
CLIP = {"hidden_size": 1024, "intermediate_size": 4096, "num_attention_heads": 16, "image_size": 336, "patch_size": 14}
SIGLIP = {
    "hidden_size": 1152,
    "intermediate_size": 4304,
    "num_attention_heads": 16,
    "image_size": 896,
    "patch_size": 14,
}
QWEN = {"num_heads": 16, "patch_size": 14, "spatial_merge_size": 2, "temporal_patch_size": 2}
MROPE = {"vocab_size": 151936, "rope_scaling": {"type": "mrope", "mrope_section": [16, 24, 24]}}
VISION: dict[str, dict[str, Any]] = {
    "llava 7B": {
        "model_type": "llava",
        "image_token_index": 32000,
        "text_config": decoder("llama", 4096, 11008, (32, 32), vocab_size=32064),
        "vision_config": {"model_type": "clip_vision_model", "num_hidden_layers": 6, **CLIP},
    },
    "gemma3 4B": {
        "model_type": "gemma3",
        "mm_tokens_per_image": 256,
        "text_config": decoder("gemma3_text", 2560, 10240, (8, 4), head_dim=256, vocab_size=262208),
        "vision_config": {
            "model_type": "siglip_vision_model", "num_hidden_layers": 6, "vision_use_head": False, **SIGLIP
        },
    },
    "qwen2-vl 2B": {
        **decoder("qwen2_vl", 1536, 8960, (12, 2), tie_word_embeddings=True, **MROPE),
        "vision_config": {**QWEN, "depth": 6, "embed_dim": 1280, "hidden_size": 1536, "mlp_ratio": 4},
    },
    "qwen2.5-vl 3B": {
        **decoder("qwen2_5_vl", 2048, 11008, (16, 2), tie_word_embeddings=True, **MROPE),
        "vision_config": {
            **QWEN, "depth": 8, "hidden_size": 1280, "intermediate_size": 3420, "out_hidden_size": 2048,
            "window_size": 112, "fullatt_block_indexes": [3, 7],
        },
    },
}  # fmt: skip
"""Vision models with few layers in decoder and tower."""
MODELS |= VISION

FUSED = {"optim": "adamw_torch_fused"}
CHECKPOINTED = {**FUSED, "gradient_checkpointing": True}
FULL = {"adapter": "none"}
DORA = {"adapter": {"peft_type": "LORA", "r": 16, "use_dora": True, "target_modules": "all-linear"}}
QLORA = {"quantisation": "nf4", "float32_rest": True}
SHAPES = ([[1024, 1000]], [[2048]])
VARIANTS: tuple[tuple[dict[str, Any], dict[str, Any]], ...] = (
    ({}, QLORA),
    ({}, {"quantisation": "nf4"}),
    ({}, {"quantisation": "int8", "float32_rest": True}),
    ({}, DORA),
    ({}, {"method": "dpo"}),
    ({}, {"method": "kto"}),
    ({}, {"method": "reward"}),
    (FULL, {"method": "dpo"}),
    (FULL, {"method": "kto"}),
    (FULL, {"method": "reward"}),
    ({}, {"attention": "eager"}),
    (FULL, {"attention": "eager"}),
    ({}, {"attention": "flash_attention_2"}),
    ({}, {"autocast": False}),
    (FULL, {"autocast": False}),
    ({}, {"loop": "plain", "autocast": False}),
    ({"lora_dropout": 0.1}, {}),
    ({"r": 128}, {}),
    ({"target_modules": ["q_proj", "v_proj"]}, {}),
    ({**FULL, "gradient_accumulation_steps": 2}, {}),
    ({"packing": "bfd"}, {"attention": "flash_attention_2"}),
    ({**FULL, "packing": "bfd"}, {"attention": "flash_attention_2"}),
)
PATTERNS: tuple[dict[str, Any], ...] = (
    {"target_modules": ["q_proj", "v_proj"], "layers_to_transform": [1, 2]},
    {"target_modules": r".*layers\.2\.(self_attn|mlp)\..*_proj"},
    {"target_modules": ["down_proj"]},
    {"target_modules": ["o_proj"]},
    {"target_modules": ["gate_proj", "up_proj"]},
    {"target_modules": "all-linear", "rank_pattern": {"down_proj": 64}, "lora_bias": True},
    {"target_modules": "all-linear", "modules_to_save": ["embed_tokens"]},
    {"target_modules": "all-linear", "modules_to_save": ["lm_head"]},
    {"target_modules": "all-linear", "modules_to_save": ["embed_tokens", "lm_head"]},
    {"target_modules": ["embed_tokens", "q_proj"]},
)
"""Fields of an adapter that say more than names."""
OPTIMIZERS = ("adamw_torch", "adamw_8bit", "paged_adamw_8bit", "adafactor", "sgd")

Case = tuple[str, dict[str, Any], list[list[int]], dict[str, Any]]


def cases() -> list[Case]:
    """Model, recipe fields, row lengths, further fields of a plan."""
    found: list[Case] = []
    for model in [name for name in MODELS if name not in VISION]:
        adapters = ({},) if "moe" in model or "mixtral" in model else ({}, FULL)
        for adapter in adapters:
            for base in (FUSED, CHECKPOINTED):
                found += [(model, {**base, **adapter}, shape, {}) for shape in SHAPES]
    for model in ("llama 1B", "mistral 7B", "qwen3 0.6B"):
        for recipe, changes in VARIANTS:
            for base in (FUSED, CHECKPOINTED):
                rows = [[3072]] if "packing" in recipe else SHAPES[0]
                found.append((model, {**base, **recipe}, rows, changes))
        if model != "qwen3 0.6B":
            patterns = [{"adapter": {"peft_type": "LORA", "r": 16, **pattern}} for pattern in PATTERNS]
            found += [(model, base, SHAPES[0], changes) for changes in patterns for base in (FUSED, CHECKPOINTED)]
        found += [(model, {"optim": optim, **FULL}, [[512]], {}) for optim in OPTIMIZERS]
    found += with_images()
    for base in (FUSED, CHECKPOINTED):
        found += [
            ("meta-llama/Llama-3.2-1B", {**base, "adapter": adapter}, [[2048, 2000]], {})
            for adapter in ("lora", "none")
        ]
        found += [("meta-llama/Llama-3.1-8B", base, [[2048]], changes) for changes in ({}, QLORA)]
    return found


def with_images() -> list[Case]:
    """Vision models with images in every row."""
    ways = [
        {**base, **targets}
        for targets in ({}, {"target_modules": r".*language_model.*_proj"}, FULL)
        for base in (FUSED, CHECKPOINTED)
    ]
    return [(model, way, SHAPES[0], {"images": count}) for model in VISION for way in ways for count in (1, 2)]


def compared(case: Case) -> tuple[int, int, str, str]:
    """Live bytes of trace and closed form, and their moments."""
    model, recipe, rows, changes = case
    config = MODELS.get(model) or read_config(model)
    made = Recipe.from_dict({"model": model, "per_device_train_batch_size": len(rows[-1]), **recipe})
    plan = Plan.of(made, config, rows, **changes)
    found = evaluate(from_config(config), AnalyticSettings.of_plan(plan))
    trace = trace_plan(plan)
    return trace.live, found.hard_minimum, trace.peak.phase, found.peak.name


def main() -> None:
    """Write the table."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--sample", type=int, default=1, help="take every Nth case")
    chosen = cases()[:: parser.parse_args().sample]
    out = csv.writer(sys.stdout, lineterminator="\n")
    out.writerow(
        ["model", "recipe", "rows", "plan", "trace_bytes", "analytic_bytes", "error", "trace_at", "formula_at"]
    )
    errors: list[float] = []
    for model, recipe, rows, changes in chosen:
        traced, formula, trace_at, formula_at = compared((model, recipe, rows, changes))
        errors.append(abs(formula / traced - 1))
        texts = [json.dumps(value) for value in (recipe, rows[-1], changes)]
        out.writerow([model, *texts, traced, formula, f"{formula / traced - 1:+.4%}", trace_at, formula_at])
        sys.stdout.flush()
    ordered = sorted(errors)
    tenth = ordered[int(0.9 * len(ordered))]
    print(
        f"{len(errors)} cases: median {statistics.median(errors):.2%}, 90 % below {tenth:.2%}, most {ordered[-1]:.2%}",
        file=sys.stderr,
    )


if __name__ == "__main__":
    main()
