"""Sharding in TypeScript against the one in Python, on thousands of random configurations, run by node."""

import json
import random
import shutil
import subprocess
from dataclasses import replace

import pytest

from tests.memory.test_memory_choices import ASK as SLIDE
from tests.memory.test_memory_choices import a_recipe, run_node
from tests.memory.test_memory_twin import ROOT, a_model, as_twin, some_settings
from workbench.api import comm
from workbench.api.memory import estimate_recipe
from workbench.memory.sharded import evaluate
from workbench.memory.sharding_packed import STORAGES
from workbench.memory.sharding_values import OFFLOADS

CONFIGURATIONS = 2500
ASK = """
const { evaluate } = require(process.argv[2]);
let text = '';
process.stdin.on('data', piece => { text += piece; }).on('end', () => {
  const asked = JSON.parse(text);
  const answer = ([shapes, settings]) => {
    try { return evaluate(shapes, settings); } catch (error) { return { error: error.message }; }
  };
  process.stdout.write(JSON.stringify(asked.map(answer)));
});
"""


def answers(folder, asked):
    """What the twin says to each pair of shapes and settings."""
    esbuild = ROOT / "node_modules" / ".bin" / "esbuild"
    if not esbuild.exists() or shutil.which("node") is None:
        pytest.skip("the front end's packages are not installed; run jlpm install")
    twin, script = folder / "sharding.cjs", folder / "ask.cjs"
    options = ["--bundle", "--format=cjs", "--platform=node", f"--outfile={twin}", "--log-level=warning"]
    subprocess.run([str(esbuild), "labextension/src/memory/sharding.ts", *options], cwd=ROOT, check=True, timeout=120)
    script.write_text(ASK)
    pairs = [(shapes.to_dict(), settings.to_dict()) for shapes, settings in asked]
    call = ["node", str(script), str(twin)]
    done = subprocess.run(call, input=json.dumps(pairs), capture_output=True, text=True, check=True, timeout=300)
    return json.loads(done.stdout)


def spread(rng, settings):
    """The same settings over some devices."""
    strategy = rng.choice(list(OFFLOADS))
    world = 1 if strategy == "none" and rng.random() < 0.5 else rng.choice([1, 2, 3, 8, 17, 64, 1000, 4096])
    found = replace(settings, sharding=strategy, world=world, offload=rng.choice(OFFLOADS[strategy]))
    if strategy != "fsdp" or found.quantisation == "none":
        return replace(found, bnb_4bit_quant_storage=rng.choice(list(STORAGES)))
    fitting = "bfloat16" if found.compute_bytes == 2 else "float32"
    return replace(found, quantisation="nf4", bnb_4bit_quant_storage=rng.choice(["uint8", fitting]))


def test_twin_of_sharding_is_equal_to_the_byte_and_to_the_word(tmp_path):
    rng = random.Random(11)
    asked = []
    for _ in range(CONFIGURATIONS):
        shapes = a_model(rng)
        asked.append((shapes, spread(rng, some_settings(rng, shapes))))
    for (shapes, settings), found in zip(asked, answers(tmp_path, asked), strict=True):
        assert found == as_twin(evaluate(shapes, settings)), (shapes, settings)


def test_twin_refuses_what_python_refuses(tmp_path):
    rng = random.Random(3)
    shapes = a_model(rng)
    settings = replace(some_settings(rng, shapes), sharding="fsdp", world=8, quantisation="none", adapter="lora")
    wrong = [
        replace(settings, sharding="zero4"),
        replace(settings, world=0),
        replace(settings, offload="optimizer"),
        replace(settings, quantisation="int8"),
        replace(settings, quantisation="nf4", bnb_4bit_quant_storage="float32", autocast=True),
    ]
    assert all("error" in found for found in answers(tmp_path, [(shapes, each) for each in wrong]))


def test_a_moved_slider_of_gpus_shows_what_python_says_of_the_code_below(tmp_path):
    rng = random.Random(2)
    asked, wanted = [], []
    for before in ({}, {"world": 4}, {"world": 4, "sharding": "zero3", "offload": "parameters"}):
        for world in (1, 2, 8, 64):
            recipe = a_recipe(rng)
            if recipe.quantised == "int8":
                recipe = recipe.with_(quantisation="none")  # not cut by fsdp, to which the slider goes
            with comm.alone():
                tried = estimate_recipe(recipe, 900, **before).payload()["tried"]
            asked.append({"tried": {**tried, "longest": 900}, "change": {"world": world}, "room": 24 * 2**30})
            after = (
                {"sharding": "fsdp", **before, "world": world}
                if before.get("world") is None
                else {**before, "world": world}
            )
            if recipe.quantised == "nf4" and not before:
                after["bnb_4bit_quant_storage"] = "float32" if recipe.precision == "float32" else "bfloat16"
            alone = {} if world == 1 else after
            wanted.append((estimate_recipe(recipe, 900, card_gib=24, **alone), before, world))
    for said, (made, before, world) in zip(run_node(tmp_path, SLIDE, asked), wanted, strict=True):
        assert (said["live"], said["shown"]) == (made.estimate.hard_minimum, made.nvidia_smi_bytes)
        assert ("world=" in said["code"]) == (world != before.get("world", 1))
        assert ("sharding='fsdp'" in said["code"]) == (not before and world > 1)


def test_a_slider_of_gpus_cuts_four_bit_weights_and_says_how(tmp_path):
    rng = random.Random(4)
    recipe = a_recipe(rng).with_(adapter="lora", quantisation="none", precision="auto")
    given = {"adapter": "qlora"}
    packed = {"bnb_4bit_quant_storage": "bfloat16"}
    with comm.alone():
        tried = {**estimate_recipe(recipe, 900, **given).payload()["tried"], "longest": 900}
    asked = [{"tried": tried, "change": {"world": world}, "room": 24 * 2**30} for world in (2, 8)]
    for said, world in zip(run_node(tmp_path, SLIDE, asked), (2, 8), strict=True):
        made = estimate_recipe(recipe, 900, world=world, sharding="fsdp", **given, **packed)
        assert (said["live"], said["shown"]) == (made.estimate.hard_minimum, made.nvidia_smi_bytes)
        assert "bnb_4bit_quant_storage='bfloat16'" in said["code"]
