"""What a trace says, and the process that makes it."""

import csv
import json
import os

import pytest

from workbench.errors import ModelError, RecipeError, RunError
from workbench.memory.alloc_conf import MIB, Settings
from workbench.memory.architecture import of_model, read_config
from workbench.memory.plan import Plan
from workbench.memory.presets import PRESETS
from workbench.memory.settings import AnalyticSettings
from workbench.memory.trace import Trace, layer_name
from workbench.memory.traced import assumptions_of, estimate_of
from workbench.recipes import Recipe
from workbench.training.tracing import TRACER, Tracer, trace_plan

TINY = read_config("tiny-llama")


def plan(recipe=None, batches=((64, 48),), **changes):
    recipe = recipe or Recipe(per_device_train_batch_size=2)
    return Plan.of(recipe, TINY, [list(batch) for batch in batches], **changes)


def test_categories_phases_and_owner_of_a_log():
    made = [(100 * MIB, "setup", "", "s"), (30 * MIB, "forward", "model.layers.3.mlp", "aten.mul")]
    made += [(20 * MIB, "forward", "lm_head", "aten.mm"), (10 * MIB, "forward", "model.layers.0.mlp", "aten.add")]
    made += [(40 * MIB, "backward", "", "aten.mm")]
    events = [(1, 1), (2, 1), (4, 1), (4, -1), (3, 1), (5, 1), (3, -1), (2, -1), (5, -1)]
    events = [(key, sign * made[key - 1][0]) for key, sign in events]
    phases = ["setup", *["forward"] * 4, *["backward"] * 4]
    found = Trace(plan(), events, phases, made, {1: "weights", 5: "gradients"})
    assert found.peak.bytes == 190 * MIB
    assert found.peak.parts == {
        "weights": 100 * MIB,
        "gradients": 40 * MIB,
        "saved activations": 30 * MIB,
        "logits and loss": 20 * MIB,
    }
    assert found.peak.modules == {"layers.*.mlp": 30 * MIB}
    assert found.category(4) == "forward temporaries"
    assert [moment.phase for moment in found.moments] == ["setup", "forward", "backward"]
    assert max(size for _, size in found.curve()) == 190 * MIB
    assert found.reserved >= found.live >= 190 * MIB
    assert found.live <= found.least <= found.reserved + 8 * MIB


def test_names_of_modules_are_the_same_for_all_layers():
    name = "base_model.model.model.layers.17.self_attn.q_proj.lora_A.default"
    assert layer_name(name) == "layers.*.self_attn.q_proj.lora_A.default"
    assert layer_name("model.layers.2.mlp.experts.7.w1") == "layers.*.mlp.experts.*.w1"
    assert layer_name("lm_head") == "lm_head"


def test_a_plan_trains_what_the_recipe_says():
    lora = Plan.of(Recipe(gradient_accumulation_steps=8, r=4, target_modules=("q_proj",)), TINY, [[9, 9]])
    assert (lora.dtype, lora.autocast, lora.micro_batches, lora.padded) == ("bfloat16", True, 2, False)
    assert lora.adapter == {
        "peft_type": "LORA",
        "r": 4,
        "lora_alpha": 32,
        "lora_dropout": 0.0,
        "target_modules": ["q_proj"],
    }
    full = Plan.of(Recipe(adapter="none"), TINY, [[9, 5]])
    assert (full.dtype, full.adapter, full.padded) == ("float32", None, True)
    assert Plan.of(Recipe(), TINY, [[4]], device="cpu").autocast is False
    assert Recipe(adapter="none").peft is None
    assert Plan(**json.loads(json.dumps(lora.to_dict()))).to_dict() == lora.to_dict()


def test_what_is_not_traced_is_said():
    for changes in ({"method": "ppo"}, {"attention": "flex_attention"}, {"generator": "vllm"}):
        with pytest.raises(RecipeError, match="WB810"):
            plan(**changes)
    with pytest.raises(RecipeError, match="WB806"):
        plan(batches=[[1]])


def at_setup(trace):
    """Parts when all is on the device and no step has run."""
    return next(moment.parts for moment in trace.moments if moment.phase == "setup")


@pytest.mark.training
def test_statics_are_those_of_the_real_objects():
    found = trace_plan(plan(Recipe(per_device_train_batch_size=2, r=8)))
    parts = at_setup(found)
    architecture = of_model("tiny-llama")
    adapter = 4 * architecture.adapter_parameters(AnalyticSettings(rank=8))
    sizes = [size for key, (size, *_) in enumerate(found.made, 1) if found.named.get(key) == "adapter"]
    assert sum(sizes) == adapter
    weights = [size for key, (size, *_) in enumerate(found.made, 1) if found.named.get(key) == "weights"]
    assert sum(weights) == 2 * architecture.total + 4 * TINY["head_dim"] // 2 * 2  # and two rotary buffers
    assert parts["weights"] >= sum(weights)
    gradients = [size for key, (size, *_) in enumerate(found.made, 1) if found.named.get(key) == "gradients"]
    assert sum(gradients) == 2 * adapter  # one set a step
    state = [size for key, (size, *_) in enumerate(found.made, 1) if found.named.get(key) == "optimizer state"]
    assert sum(state) == 2 * adapter


@pytest.mark.training
@pytest.mark.parametrize(
    "changes",
    [
        {"attention": "flash_attention_2"},
        {"attention": "eager"},
        {"packed": True, "documents": 16},
        {"adapter": {"peft_type": "LORA", "r": 4, "target_modules": "all-linear", "use_dora": True}},
        {"adapter": {"peft_type": "IA3", "target_modules": ["q_proj"], "feedforward_modules": []}},
        {"method": "dpo"},
        {"method": "kto"},
        {"method": "reward"},
        {"loop": "plain", "autocast": False},
    ],
    ids=["flash", "eager", "packed", "dora", "ia3", "dpo", "kto", "reward", "plain loop"],
)
def test_every_kind_of_step_is_traced(changes):
    found = trace_plan(plan(**changes))
    assert found.reserved >= found.live > 0
    assert {"forward", "backward", "optimizer"} <= {moment.phase for moment in found.moments}
    assert found.events[-1][1] != 0
    held = set()
    for key, size in found.events:
        held.add(key) if size > 0 else held.remove(key)
    gone = {found.category(key) for key in held}
    assert "saved activations" not in gone or changes.get("loop") == "plain"


@pytest.mark.training
@pytest.mark.parametrize(
    ("peft_type", "fields", "note"),
    [
        ("SHIRA", {"r": 4}, ""),
        ("WAVEFT", {"n_frequency": 50}, ""),
        ("FROD", {}, ""),
        ("TINYLORA", {"r": 2}, ""),
        ("BONE", {"r": 8}, "traced as MISS"),
        ("LORA", {"r": 4, "init_lora_weights": "pissa"}, "reads weights"),
        ("OFT", {"r": 4, "peft_version": "0.19.2", "of_a_later_peft": 1}, "of_a_later_peft"),
    ],
)
def test_adapters_whose_making_reads_weights_are_traced(peft_type, fields, note):
    """Their shapes are PEFT's own: trained bytes against the count in the method's definition, two modules a layer."""
    adapter = {"peft_type": peft_type, "target_modules": ["q_proj", "o_proj"], **fields}
    found = trace_plan(plan(adapter=adapter, loop="plain", autocast=False))
    trained = sum(size for key, (size, *_) in enumerate(found.made, 1) if found.named.get(key) == "gradients") // 2
    layers, hidden = TINY["num_hidden_layers"], TINY["hidden_size"]
    if peft_type == "SHIRA":
        assert trained == 4 * layers * 2 * 4 * (hidden + hidden)
    if peft_type == "WAVEFT":
        assert trained == 4 * layers * 2 * 50
    if peft_type == "LORA":
        assert trained == 4 * layers * 2 * 4 * (hidden + hidden)
    assert found.live > 0
    assert "adapter" in at_setup(found)
    assert note in " ".join(found.notes)
    assert set(found.notes) <= set(assumptions_of(found))


FAMILY = {
    "hidden_size": 64,
    "intermediate_size": 128,
    "num_attention_heads": 4,
    "num_key_value_heads": 2,
    "vocab_size": 512,
    "num_hidden_layers": 2,
    "head_dim": 16,
    "pad_token_id": 0,
}
VISION = {"hidden_size": 32, "intermediate_size": 64, "num_attention_heads": 2, "num_hidden_layers": 1}
VISION |= {"image_size": 28, "patch_size": 14, "model_type": "clip_vision_model"}


@pytest.mark.training
@pytest.mark.parametrize(
    "config",
    [
        {"model_type": "gemma2", **FAMILY},
        {"model_type": "qwen3_moe", "num_experts": 4, "num_experts_per_tok": 2, "moe_intermediate_size": 32, **FAMILY},
        {"model_type": "llava", "text_config": {"model_type": "llama", **FAMILY}, "vision_config": VISION},
    ],
    ids=lambda config: config["model_type"],
)
def test_other_families_are_traced(config):
    recipe = Recipe(adapter="none", per_device_train_batch_size=2)
    found = trace_plan(Plan.of(recipe, config, [[32, 24]]))
    assert {"forward", "backward", "optimizer"} <= {moment.phase for moment in found.moments}
    eager = config["model_type"] == "gemma2"
    assert any("eager is traced" in note for note in found.notes) == eager


@pytest.mark.training
def test_an_engine_beside_the_trainer_holds_its_share_until_it_sleeps():
    share = 2**30
    lora = {"peft_type": "LORA", "r": 4, "target_modules": ["q_proj"]}
    fields = {"method": "grpo", "adapter": lora, "prompt": 16, "generator": "vllm", "vllm_bytes": share}
    awake = {moment.phase: moment for moment in trace_plan(plan(**fields)).moments}
    asleep = {moment.phase: moment for moment in trace_plan(plan(**fields, vllm_sleeps=True)).moments}
    assert {"generate", "score", "forward", "backward", "optimizer"} <= set(awake)
    for phase in ("score", "forward", "backward", "optimizer"):
        assert awake[phase].bytes - asleep[phase].bytes == share
    assert asleep["generate"].parts["generation"] >= share


@pytest.mark.training
def test_values_that_trl_refuses_together_are_said():
    with pytest.raises(RecipeError, match=r"divisible by num_generations.*WB810"):
        TRACER.ask(plan(method="grpo", arguments={"num_generations": 3}))
    with pytest.raises(RecipeError, match=r"needs a package.*apollo_torch.*WB812"):
        TRACER.ask(plan(Recipe(optim="apollo_adamw")))
    with pytest.raises(RecipeError, match=r"Images of 'llama' are not traced.*WB810"):
        TRACER.ask(plan(images=1))


@pytest.mark.training
def test_a_model_that_is_no_decoder_is_said():
    with pytest.raises(ModelError, match=r"'t5' is no decoder.*WB801"):
        TRACER.ask(Plan({"model_type": "t5", "d_model": 64}, Recipe().to_dict(), [[8]]))
    with pytest.raises(RunError, match=r"task_ids.*peft/tuners/poly.*plain.*WB814"):
        TRACER.ask(plan(adapter={"peft_type": "POLY", "r": 4, "n_tasks": 2, "target_modules": ["q_proj"]}))


@pytest.mark.training
def test_optimisers_differ_as_their_states_do():
    def state(optim):
        found = trace_plan(plan(Recipe(adapter="none", per_device_train_batch_size=2, optim=optim)))
        made = enumerate(found.made, 1)
        return sum(size for key, (size, *_) in made if found.named.get(key) == "optimizer state"), found

    total = 4 * of_model("tiny-llama").total
    assert state("adamw_torch")[0] == 2 * total
    assert state("sgd")[0] == 0
    assert 0 < state("adafactor")[0] < total // 10
    fused, found = state("adamw_torch_fused")
    assert 2 * total <= fused < 2 * total + 4096
    foreach = state("adamw_torch")[1]
    temporaries = next(moment for moment in foreach.moments if moment.phase == "optimizer").parts
    assert temporaries["optimizer temporaries"] > 0.99 * total  # foreach makes one more list of the weights' size
    updated = next(moment for moment in found.moments if moment.phase == "optimizer").parts
    assert updated.get("optimizer temporaries", 0) < 0.01 * total  # only the norms of clipping


@pytest.mark.training
def test_quantised_weights_are_the_size_bitsandbytes_makes_them():
    pytest.importorskip("bitsandbytes")
    architecture = of_model("tiny-llama")
    four, eight = (at_setup(trace_plan(plan(quantisation=kind)))["weights"] for kind in ("nf4", "int8"))
    rest = 2 * (architecture.total - architecture.linear_parameters)
    blocks = architecture.linear_parameters / 64
    assert four == pytest.approx(rest + architecture.linear_parameters / 2 + blocks, rel=0.05)
    assert eight == pytest.approx(rest + architecture.linear_parameters, rel=0.03)


@pytest.mark.training
def test_errors_come_back_as_errors():
    with pytest.raises(ModelError, match="WB801"):
        TRACER.ask(Plan({"model_type": "no-such"}, Recipe().to_dict(), [[8]]))
    with pytest.raises(RecipeError, match="WB812"):
        TRACER.ask(plan(adapter={"peft_type": "NOPE"}))
    with pytest.raises(RecipeError, match=r"no field 'rank'.*WB812"):
        TRACER.ask(plan(adapter={"peft_type": "LORA", "rank": 8}))
    with pytest.raises(RunError, match="WB814"):
        TRACER.ask(plan(adapter={"peft_type": "LORA", "target_modules": ["no_such_module"]}))
    assert trace_plan(plan()).live > 0  # and the process still answers


def test_a_process_that_dies_says_its_last_words(monkeypatch):
    monkeypatch.setenv("PYTHONPATH", "/nowhere")
    monkeypatch.setattr("sys.executable", "/bin/false")
    tracer = Tracer()
    with pytest.raises(RunError, match="WB813"):
        tracer.ask(plan())
    tracer.close()


@pytest.mark.training
def test_a_traced_estimate_has_the_analytic_ones_shape():
    from workbench.api.memory import estimate_recipe

    recipe = Recipe(per_device_train_batch_size=2)
    made = estimate_recipe(recipe, 64, method="trace", card_gib=24)
    assert made.estimate.kind == "traced"
    assert made.trace is not None
    values = json.loads(json.dumps(made.to_dict()))
    names = {"live_bytes", "reserved_bytes", "nvidia_smi_bytes", "by_component", "phases", "assumptions", "seconds"}
    assert names <= set(values)
    assert values["live_bytes"] <= values["reserved_bytes"] < values["nvidia_smi_bytes"]
    assert sum(values["by_component"].values()) == values["hard_minimum_bytes"]
    assert values["verdict"] == "fits"
    assert names <= set(estimate_recipe(recipe, 64).to_dict())
    assert "weights" in made._repr_html_()
    assert estimate_of(made.trace).peak.bytes == made.trace.peak.bytes
    expandable = made.trace.replay(Settings(expandable_segments=True))
    assert expandable.peak_active >= made.trace.peak.bytes
    with pytest.raises(RecipeError, match=r"'lora'.*WB815"):
        estimate_recipe(recipe, 64, method="trace", lora=4)


LONGEST = 684
"""Tokens of the longest padded batch of PEFT's comparison, which is not published; docs/memory.md says how found."""
ROWS = ("lora/llama-3.2-3B-rank32", "lora/llama-3.2-3B-rank32-dora", "full-finetuning", "ia3/llama-3.2-3B-all", "ln_")


@pytest.mark.shared
@pytest.mark.training
@pytest.mark.parametrize("name", ROWS if not os.environ.get("WORKBENCH_ALL_ROWS") else ("",))
def test_published_runs_reserve_what_the_replay_says(shared, name, capsys):
    with open(shared / "testdata" / "memory" / "peft_measured.csv", encoding="utf-8") as file:
        rows = [row for row in csv.DictReader(file) if row["experiment"].startswith(name)]
    for row in rows[: None if not name else 1]:
        error = published(row)
        with capsys.disabled():
            print(f"\n{row['experiment']:50s} {error if isinstance(error, str) else f'{error:+.2%}'}", end="")
        if name:
            assert abs(error) < 0.01


def published(row):
    """Relative error of the replay against one published run; text where it cannot be traced."""
    adapter = json.loads(row["peft_config"] or "{}")
    recipe = Recipe(per_device_train_batch_size=4, gradient_checkpointing=row["gc"] == "True")
    batches = [[150] * 4, [LONGEST] * 4]
    model = PRESETS["meta-llama/Llama-3.2-3B"]
    fields = {"adapter": adapter or None, "autocast": False, "loop": "plain", "empties_cache": True}
    try:
        answer = TRACER.ask(Plan(model, recipe.to_dict(), batches, **fields))
    except (RunError, RecipeError) as error:
        return str(error)
    found = Trace.from_dict(Plan(model, recipe.to_dict(), batches, **fields), answer)
    return found.reserved / int(row["mem_max"]) - 1


def recipe_file(folder, **fields):
    import yaml

    (folder / "bare.json").write_text(json.dumps(TINY), encoding="utf-8")
    path = folder / "recipe.yaml"
    values = {"model": str(folder / "bare.json"), "per_device_train_batch_size": 2, **fields}
    path.write_text(yaml.safe_dump(values), encoding="utf-8")
    return path


@pytest.mark.training
def test_a_recipe_file_needs_no_data_and_no_weights(tmp_path):
    from workbench.api.estimate_file import estimate_file

    lora = {"peft_type": "LORA", "r": 4, "target_modules": "all-linear", "use_dora": True}
    made = estimate_file(recipe_file(tmp_path, adapter=lora), 64, method="trace")
    assert made.trace.plan.adapter == lora
    word = estimate_file(recipe_file(tmp_path, adapter="dora", r=4), 64, method="trace")
    assert word.trace.live == made.trace.live
    full = estimate_file(recipe_file(tmp_path, adapter="full"), 64, method="trace")
    assert "adapter" not in full.trace.peak.parts
    with pytest.raises(RecipeError, match=r"'galore'.*WB402"):
        estimate_file(recipe_file(tmp_path, adapter="galore"), 64, method="trace")
    three = {"peft_type": "IA3", "target_modules": ["k_proj"], "feedforward_modules": []}
    other = estimate_file(recipe_file(tmp_path, adapter=three), 64, method="trace")
    shown = other.payload()
    assert (shown["tried"], shown["kind"]) == (None, "traced") and "adapter IA3" in shown["untried"]
    assert other.trace.plan.adapter == three and "IA3 adapter" in shown["subtitle"]
    assert shown["made"]["live"] == other.trace.live


def test_words_for_adapters():
    four = Plan.of(Recipe(r=4), TINY, [[8]], adapter="qlora")
    assert (four.quantisation, four.float32_rest, four.adapter["r"]) == ("nf4", True, 4)
    assert Plan.of(Recipe(), TINY, [[8]], adapter="rslora").adapter["use_rslora"]
    assert Plan.of(Recipe(), TINY, [[8]], adapter="none").dtype == "float32"


@pytest.mark.training
def test_the_command_prints_the_figures_of_a_trace(tmp_path, capsys):
    from workbench.cli import main

    path = recipe_file(tmp_path)
    assert main(["estimate", str(path), "--length", "64", "--batch", "3", "--method", "trace", "--json"]) == 0
    traced_values = json.loads(capsys.readouterr().out)
    assert (traced_values["kind"], traced_values["batch"]["rows"]) == ("traced", 3)
    assert main(["estimate", str(path), "--length", "64", "--json"]) == 0
    assert json.loads(capsys.readouterr().out)["kind"] == "analytic"
    assert main(["estimate", str(path), "--length", "64", "--method", "trace", "--plan", "task=ppo"]) == 2
    assert "WB810" in capsys.readouterr().err


@pytest.mark.training
@pytest.mark.parametrize(
    "changes", [{}, {"attention": "eager", "loop": "plain", "autocast": False}, {"method": "dpo"}], ids=str
)
def test_remembered_shapes_change_nothing_about_the_log(changes, monkeypatch):
    from workbench.training.traced.shapes import ShapeMemory
    from workbench.training.traced.steps import record

    remembered = record(plan(**changes))
    monkeypatch.setattr(ShapeMemory, "run", lambda self, func, args, kwargs: func(*args, **kwargs))
    found = record(plan(**changes))
    assert [size for _, size in remembered.events] == [size for _, size in found.events]
