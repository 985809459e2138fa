"""What the page's sliders compute, against Python's estimate of the same recipe, run by node."""

import json
import random
import shutil
import subprocess
from pathlib import Path

import pytest

from workbench.api import comm
from workbench.api.memory import estimate_recipe
from workbench.memory.lengths import Lengths
from workbench.memory.presets import PRESETS
from workbench.recipes import Recipe

ROOT = Path(__file__).resolve().parents[2]
ASK = """
import { choiceOf, codeOf, withAdapter, withWorld } from './fitChoice';
import { estimatorOf } from './fitEstimate';
import { shownBytes, verdictOf } from './fitModel';
import { readFileSync } from 'node:fs';
const asked = JSON.parse(readFileSync(0, 'utf8'));
const answers = asked.map(({ tried, change, room }) => {
  const start = choiceOf(tried);
  const { adapter, world, sharding, ...rest } = change;
  const adapted = adapter === undefined ? {} : withAdapter(start, adapter, tried);
  const shared = sharding === undefined ? {} : { sharding };
  const spread = world === undefined ? {} : { ...withWorld(world, tried), ...shared };
  const choice = { ...start, ...rest, ...adapted, ...spread };
  const made = estimatorOf(tried)(choice);
  const code = codeOf(start, choice, {}, null);
  return { live: made.live, shown: shownBytes(made), word: verdictOf(made, room), code };
});
process.stdout.write(JSON.stringify(answers));
"""
FIELDS = {
    "batch": "per_device_train_batch_size",
    "accumulation": "gradient_accumulation_steps",
    "length": "max_length",
    "rank": "r",
    "adapter": "adapter",
    "checkpointing": "gradient_checkpointing",
    "optim": "optim",
}
"""What the page calls a field of the recipe."""


def run_node(folder, script, asked):
    """What a script that imports the front end's memory layer answers."""
    esbuild = ROOT / "node_modules" / ".bin" / "esbuild"
    if not esbuild.exists() or shutil.which("node") is None:
        pytest.skip("the front end's packages are not installed; run jlpm install")
    made = folder / "ask.mjs"
    options = ["--bundle", "--format=esm", "--platform=node", "--loader=ts", f"--outfile={made}", "--log-level=warning"]
    where = ROOT / "labextension" / "src" / "memory"
    subprocess.run([str(esbuild), *options], input=script, text=True, cwd=where, check=True, timeout=120)
    done = subprocess.run(
        ["node", str(made)], input=json.dumps(asked), capture_output=True, text=True, check=True, timeout=120
    )
    return json.loads(done.stdout)


MAPPING = {"peft_type": "LORA", "r": 64, "target_modules": "all-linear", "use_rslora": True, "bias": "none"}
ADAPTERS = ["lora", "lora", "none", "none", "qlora", "rslora", MAPPING]


def a_recipe(rng):
    packed = rng.random() < 0.3
    adapter = rng.choice(ADAPTERS)
    over = "none" if adapter in ("none", "qlora") else rng.choice(["none", "none", "none", "nf4", "int8"])
    return Recipe(
        model=rng.choice(list(PRESETS)),
        adapter=adapter,
        quantisation=over,
        r=rng.choice([4, 16, 64]),
        packing="bfd" if packed else "none",
        max_length=rng.choice([512, 2048]) if packed else rng.choice([None, 700, 2048]),
        per_device_train_batch_size=rng.choice([1, 2, 8]),
        gradient_accumulation_steps=rng.choice([1, 4]),
        gradient_checkpointing=rng.random() < 0.5,
        precision=rng.choice(["auto", "float32", "bfloat16"]),
    )


def a_method(rng):
    """Options that say how it is trained, with what only some methods have."""
    arguments = {
        "beta": rng.choice([0.0, 0.04]),
        "steps_per_generation": rng.choice([1, 4, 6]),
        "num_generations": rng.choice([2, 8]),
        "precompute_ref_log_probs": rng.random() < 0.5,
    }
    said = {name: arguments[name] for name in rng.sample(list(arguments), rng.randrange(0, 4))}
    engine = {"generator": "vllm", "vllm_bytes": 2**33, "vllm_sleeps": rng.random() < 0.5}
    more = engine if rng.random() < 0.2 else {}
    between = {"samples": 1, "per_device_eval_batch_size": rng.choice([0, 4])}
    return {"task": rng.choice(["sft", "sft", "dpo", "grpo", "rloo", "orpo"]), "arguments": said, **more, **between}


def a_change(rng, recipe):
    some = {
        "batch": rng.choice([1, 3, 16]),
        "accumulation": rng.choice([1, 8]),
        "length": rng.choice([256, 1024]),
        "rank": rng.choice([8, 128]),
        "adapter": rng.choice(["lora", "none"]),
        "checkpointing": rng.random() < 0.5,
        "optim": rng.choice(["adamw_torch", "adamw_8bit", "sgd"]),
    }
    found = {name: some[name] for name in rng.sample(list(some), rng.randrange(0, 5))}
    if recipe.quantised != "none" and rng.random() < 0.5:
        found["quantisation"] = "none"  # the switch of 4-bit weights goes off
    if rng.random() < 0.3 and found.get("optim") != "adamw_8bit" and recipe.quantised == "none":
        found |= {"world": rng.choice([2, 8, 24]), "sharding": rng.choice(["ddp", "fsdp", "zero1", "zero2", "zero3"])}
    return found


SEEK = """
import { changedArguments, changedFields, choiceOf } from './fitChoice';
import { estimatorOf } from './fitEstimate';
import { remediesOf, togetherOf } from './remedies';
import { readFileSync } from 'node:fs';
const word = found => (found === 'no' ? 'out of memory' : found);
const answers = JSON.parse(readFileSync(0, 'utf8')).map(({ tried, room }) => {
  const now = choiceOf(tried);
  const ask = estimatorOf(tried);
  const single = remediesOf(now, tried, ask, room).map(item => {
    const said = [...changedFields(now, item.choice), ...changedArguments(now, item.choice)];
    const code = said.map(([name, value]) => name + '=' + value).join(', ');
    return [item.name, item.saved, item.live, item.reserved, word(item.word), code];
  });
  const together = room === null ? null : togetherOf(now, tried, ask, room);
  return { single, together: together?.names ?? [], live: together?.remedy.live ?? null };
});
process.stdout.write(JSON.stringify(answers));
"""


def test_the_page_proposes_the_remedies_that_python_proposes(tmp_path):
    rng = random.Random(8)
    asked, wanted = [], []
    for _ in range(70):
        recipe, longest = a_recipe(rng), rng.randrange(200, 4000)
        recipe = recipe.with_(optim=rng.choice(["adamw_torch", "adamw_torch_fused", "adamw_8bit", "sgd"]))
        room = rng.choice([None, 8, 16, 24, 48])
        with comm.alone():
            made = estimate_recipe(recipe, Lengths.of([longest, longest // 2]), card_gib=room, **a_method(rng))
            asked.append({"tried": made.payload()["tried"], "room": made.card})
        wanted.append(made.remedies())
        for item in wanted[-1].all:
            line = item.code.splitlines()[0].removeprefix("recipe = ")
            changed = eval(line, {"recipe": _Written(recipe)})
            assert changed != recipe  # what is said can be launched: the recipe takes it
            if changed is not None and item.name in ("quantisation", "rank", "adapter"):
                assert estimate_recipe(changed, longest).live_bytes > 0
    found = run_node(tmp_path, SEEK, asked)
    for said, remedies in zip(found, wanted, strict=True):
        assert said["single"] == [
            [item.name, item.saving, item.live, item.reserved, item.word, _arguments(item.code)]
            for item in remedies.all
            if item.name != "allocator"  # a setting of the process, not of the run: nothing to try in the page
        ]
        if remedies.together:
            assert said["together"] == [item.name for item in remedies.together]
            assert said["live"] == remedies.after.live
    named = {remedy.name for item in wanted for remedy in item.single}
    assert {"answers", "engine sleeps", "reference before"} <= named
    assert sum(len(item.single) for item in wanted) > 200 and sum(bool(item.together) for item in wanted) > 3


def _arguments(code: str) -> str:
    """What the lines of a remedy change: the arguments of both calls."""
    calls = [line.partition("(")[2].removesuffix(")") for line in code.splitlines()]
    return ", ".join(call for call in calls if call)


def test_a_moved_slider_shows_what_python_says_of_the_code_below(tmp_path):
    rng = random.Random(5)
    asked, wanted = [], []
    for _ in range(400):
        recipe, longest = a_recipe(rng), rng.randrange(64, 3000)
        change, room = a_change(rng, recipe), rng.choice([12, 24, 80]) * 2**30
        device = "cuda" if "world" in change else rng.choice(["cuda", "cpu"])
        with comm.alone():
            tried = estimate_recipe(recipe, longest, device=device).payload()["tried"]
        # the payload of rows that are known: the longest is not yet cut
        asked.append({"tried": {**tried, "longest": longest}, "change": change, "room": room})
        spread = {name: change[name] for name in ("world", "sharding") if name in change}
        changed = changed_recipe(recipe, {name: value for name, value in change.items() if name not in spread})
        made = estimate_recipe(changed, longest, device=device, card_gib=room / 2**30, **spread)
        wanted.append((made, changed, recipe))
    for said, (made, changed, recipe) in zip(run_node(tmp_path, ASK, asked), wanted, strict=True):
        assert (said["live"], said["shown"]) == (made.estimate.hard_minimum, made.nvidia_smi_bytes)
        assert said["word"] == {"out of memory": "no"}.get(made.verdict.word, made.verdict.word)
        same = eval(said["code"].splitlines()[0].removeprefix("recipe = "), {"recipe": _Written(recipe)})
        assert same == (changed if changed != recipe else None)


def changed_recipe(recipe, change):
    """What the page's switches and sliders mean: LoRA off and on, its rank, 4-bit weights off."""
    change = dict(change)
    lora, rank, bits = (change.pop(name, None) for name in ("adapter", "rank", "quantisation"))
    changed = recipe.with_(**{FIELDS[name]: value for name, value in change.items()})
    if lora == "none":
        changed = changed.with_(adapter="none", quantisation="none")
    elif lora and recipe.full:
        changed = changed.with_(adapter="lora")
    elif bits:
        changed = changed.with_(adapter="lora" if recipe.adapter == "qlora" else recipe.adapter, quantisation="none")
    if rank and isinstance(changed.adapter, dict):
        return changed.with_(adapter={**changed.adapter, "r": rank})
    return changed.with_(r=rank) if rank and not isinstance(recipe.adapter, dict) else changed


class _Written:
    """What the line of code is run on: `with_` is the recipe's, `estimate` says nothing."""

    def __init__(self, recipe):
        self.with_ = recipe.with_

    def estimate(self, **_spread):
        """The line of a recipe that nobody changed."""
