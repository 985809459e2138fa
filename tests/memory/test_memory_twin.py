"""The closed form in TypeScript against the one in Python, on thousands of random configurations, run by node."""

import json
import random
import shutil
import subprocess
from dataclasses import replace
from pathlib import Path

import pytest

from tests.memory.test_memory_families import CONFIGS
from workbench.memory.analytic import evaluate
from workbench.memory.architecture import from_config
from workbench.memory.families import FAMILIES
from workbench.memory.kernels import WORDS
from workbench.memory.optimizers import OPTIMIZERS
from workbench.memory.presets import PRESETS
from workbench.memory.reach import resolved
from workbench.memory.settings import AnalyticSettings
from workbench.memory.wanted import wanted_of

ROOT = Path(__file__).resolve().parents[2]
CONFIGURATIONS = 6000
ASK = """
const { estimate } = require(process.argv[2]);
let text = '';
process.stdin.on('data', piece => { text += piece; }).on('end', () => {
  const asked = JSON.parse(text);
  process.stdout.write(JSON.stringify(asked.map(([shapes, settings]) => estimate(shapes, settings))));
});
"""


def bundled(folder):
    """The twin as one file for node."""
    esbuild = ROOT / "node_modules" / ".bin" / "esbuild"
    if not esbuild.exists() or shutil.which("node") is None:
        pytest.skip("the front end's packages are not installed; run jlpm install")
    made = folder / "analytic.cjs"
    options = ["--bundle", "--format=cjs", "--platform=node", f"--outfile={made}", "--log-level=warning"]
    subprocess.run([str(esbuild), "labextension/src/memory/analytic.ts", *options], cwd=ROOT, check=True, timeout=120)
    return made


def answers(folder, asked):
    """What the twin says to each pair of shapes and settings."""
    twin, script = bundled(folder), folder / "ask.cjs"
    script.write_text(ASK)
    pairs = [(shapes.to_dict(), settings.to_dict()) for shapes, settings in asked]
    done = subprocess.run(
        ["node", str(script), str(twin)],
        input=json.dumps(pairs),
        capture_output=True,
        text=True,
        check=True,
        timeout=300,
    )
    return json.loads(done.stdout)


def a_model(rng):
    """The shapes of a known model, or of one that nobody has."""
    if rng.random() < 0.3:
        return from_config(PRESETS[rng.choice(list(PRESETS))])
    heads = rng.choice([2, 8, 14, 32])
    family = rng.choice([name for name in FAMILIES if "vl" not in name])
    if rng.random() < 0.1:
        return from_config(SEEING[rng.choice(sorted(SEEING))])
    return from_config(
        {
            "model_type": family,
            "hidden_size": heads * rng.choice([16, 64, 120]),
            "intermediate_size": rng.randrange(32, 20_000),
            "num_hidden_layers": rng.randrange(1, 81),
            "num_attention_heads": heads,
            "num_key_value_heads": rng.choice([1, 2, heads]),
            "vocab_size": rng.randrange(100, 260_000),
            "tie_word_embeddings": rng.random() < 0.5,
            "num_local_experts": rng.choice([4, 8]),
            "num_experts": rng.choice([16, 60]),
            "num_experts_per_tok": rng.choice([2, 4]),
            "moe_intermediate_size": rng.randrange(16, 2000),
            "shared_expert_intermediate_size": rng.randrange(16, 2000),
            "decoder_sparse_step": rng.choice([1, 2]),
            "attention_bias": rng.random() < 0.3,
            "mlp_bias": rng.random() < 0.3,
            "sliding_window": rng.choice([None, 16, 4096]),
            "use_sliding_window": rng.random() < 0.5,
        }
    )


WANTED = (
    {"target_modules": r".*\.(q_proj|qkv_proj|o_proj|dense)", "bias": "all"},
    {"target_modules": ["self_attn.o_proj", "dense"], "layers_to_transform": [0]},
    {"target_modules": r".*layers\.\d*[13579]\.self_attn\..*(proj|dense)|.*layers\.0\.self_attn\..*(proj|dense)"},
    {"target_modules": "all-linear", "modules_to_save": ["embed_tokens", "lm_head"], "rank_pattern": {"o_proj": 3}},
    {"target_modules": ["down_proj", "fc2", "q_proj", "qkv_proj"], "rank_pattern": {r"layers\.0\..*": 40}},
    {"target_modules": ["embed_tokens", "v_proj", "qkv_proj"], "bias": "lora_only", "exclude_modules": ["layers.0"]},
)


SEEING = {name: config for name, config in CONFIGS.items() if "vision_config" in config}


def some_wanted(rng, shapes):
    """Patterns for an adapter, or none."""
    config = rng.choice(WANTED) if rng.random() < 0.2 else None
    if config is None or (shapes.experts and "down_proj" in config["target_modules"]):
        return None
    return wanted_of({**config, "lora_bias": not shapes.experts and rng.random() < 0.2})


def some_settings(rng, shapes):
    rows, length = rng.choice([1, 2, 3, 8, 64]), rng.randrange(1, 40_000)
    names = sorted({word for item in shapes.modules for word in item.targets[1:]})
    made = AnalyticSettings(
        wanted=some_wanted(rng, shapes),
        images=rng.choice([0, 1, 2]) if shapes.vision else 0,
        image_tokens=rng.choice([0, 100]),
        rows=rows,
        length=length,
        scored=rng.choice([rows * length, max(1, rows * length // 3)]),
        adapter=rng.choice(["none", "lora", "lora" if shapes.experts else "dora"]),
        rank=rng.randrange(1, 300),
        targets=rng.choice(["all-linear", tuple(rng.sample(names, rng.randrange(1, len(names))))]),
        method=rng.choice(["sft", "sft", "dpo", "kto", "reward", "grpo", "rloo", "orpo", "cpo"]),
        quantisation=rng.choice(["none", "none", "nf4", "int8"]),
        float32_rest=rng.random() < 0.5,
        dropout=shapes.experts is None and rng.random() < 0.3,
        checkpointing=rng.random() < 0.5,
        accumulation=rng.choice([1, 4]),
        optim=rng.choice(list(OPTIMIZERS)),
        device=rng.choice(["cuda", "cuda", "cpu"]),
        attention=rng.choice(["sdpa", "eager", "flash_attention_2"]),
        loss=rng.choice(["fused", "logits"]),
        weight_bytes=rng.choice([2, 4]),
        autocast=rng.random() < 0.5,
        packed=rng.random() < 0.2,
        masked=rng.random() < 0.5,
        outputs_kept=rng.random() < 0.2,
        kernels=tuple(rng.sample(sorted(WORDS), rng.choice([0, 0, 1, 2, 3]))),
        activation_offloading=rng.random() < 0.2,
        **between_steps(rng, length),
    )
    refused = shapes.experts and made.wanted is not None and made.dropout
    refused = refused or (
        made.wanted is not None and made.wanted.lora_bias and made.wanted.targets[0] == "embed_tokens"
    )
    return resolved(shapes, replace(made, wanted=None) if refused else made)


def between_steps(rng, length):
    return {
        "prompt": rng.choice([0, 1, length // 3, 2 * length]),
        "steps_per_generation": rng.choice([0, 1, 3, 8]),
        "num_iterations": rng.choice([1, 1, 2]),
        "beta": rng.choice([None, 0.0, 0.04]),
        "generator": rng.choice(["transformers", "transformers", "vllm"]),
        "vllm_bytes": rng.randrange(1, 2**36),
        "vllm_sleeps": rng.random() < 0.5,
        "per_device_eval_batch_size": rng.choice([0, 1, 8]),
        "samples": rng.choice([0, 0, 2]),
        "sample_prompt": rng.randrange(1, 3000),
        "sample_tokens": rng.randrange(1, 3000),
        "precomputed": rng.random() < 0.3,
        "packed_row": rng.choice([0, 0, length]),
    }


def as_twin(found):
    """An estimate as the twin writes it."""
    peaks = [{"name": peak.name, "parts": dict(peak.parts), "bytes": peak.bytes} for peak in found.peaks]
    parts = [
        {name: getattr(part, name) for name in ("name", "bytes", "formula", "source")} | {"inputs": dict(part.inputs)}
        for part in found.parts
    ]
    return {
        "parts": parts,
        "peaks": peaks,
        "peak": next(peak for peak in peaks if peak["name"] == found.peak.name),
        "live": found.hard_minimum,
        "reserved": [found.reserved.low, found.reserved.high],
        "context": [found.context.low, found.context.high],
        "byKind": found.by_kind(),
    }


def test_twin_in_typescript_is_equal_to_the_byte_and_to_the_word(tmp_path):
    rng = random.Random(5)
    asked = []
    for _ in range(CONFIGURATIONS):
        shapes = a_model(rng)
        asked.append((shapes, some_settings(rng, shapes)))
    for (shapes, settings), said in zip(asked, answers(tmp_path, asked), strict=True):
        assert as_twin(evaluate(shapes, settings)) == said, (shapes.to_dict(), settings.to_dict())


def test_twin_refuses_what_python_refuses(tmp_path):
    shapes = from_config(PRESETS["Qwen/Qwen3-0.6B"])
    for settings in (AnalyticSettings(optim="lion"), AnalyticSettings(targets=("c_attn",))):
        with pytest.raises(subprocess.CalledProcessError) as error:
            answers(tmp_path, [(shapes, settings)])
        assert "lion" in error.value.stderr or "c_attn" in error.value.stderr
