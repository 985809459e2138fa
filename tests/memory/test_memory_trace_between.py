"""Evaluation and samples between steps: the trace against the real trainer and sampler on the CPU, to the byte."""

import pytest
import real_steps
from real_steps import LiveBytes, traced, trainer

EVALUATED, PROMPT, ANSWER = 3, 21, 12


def tallest(live, between, name):
    """A wrapper that keeps the highest bytes seen while a function runs."""

    def around(function):
        def wrapped(*args, **kwargs):
            live.peak = live.now
            found = function(*args, **kwargs)
            between.setdefault(name, []).append(live.peak)
            return found

        return wrapped

    return around


def really_between(method, adapter, folder, samples=True, **arguments):
    """Highest bytes of the real evaluation and of every real sample of a run of two steps."""
    import torch
    from datasets import Dataset
    from transformers import BatchEncoding, TrainerCallback

    from workbench.training.sample import Request, Sampler

    torch.manual_seed(0)
    arguments |= {"eval_strategy": "steps", "eval_steps": 2, "per_device_eval_batch_size": EVALUATED}
    longest = [real_steps.rows(method)[0]] * 2 * EVALUATED
    if method == "kto":
        longest = [{**row, "label": index % 2 == 0} for index, row in enumerate(longest)]
    made = trainer(method, adapter, folder, eval_dataset=Dataset.from_list(longest), **arguments)
    live, between = LiveBytes(), {}
    made.evaluate = tallest(live, between, "evaluation")(made.evaluate)

    class Told(Sampler):
        def _encode(self, messages):
            return BatchEncoding({name: torch.full((1, PROMPT), 1) for name in ("input_ids", "attention_mask")})

    sampler = Told(
        made.model, made.processing_class, {"max_new_tokens": ANSWER}, None, lambda *a, **k: None, lambda: False
    )

    class Sampling(TrainerCallback):
        def on_step_end(self, args, state, control, **kwargs):
            if samples and state.global_step == 1:
                found = tallest(live, between, "sample")(sampler.run)(Request([], 1))
                assert found["tokens"] == ANSWER  # no answer ended early

    made.add_callback(Sampling())
    for module in (made.model, getattr(made, "ref_model", None)):
        for tensor in (*module.parameters(), *module.buffers()) if module is not None else ():
            live.see(tensor)
    with live.watch:
        made.train()
    return {name: max(found) for name, found in between.items()}


ASKED = {"per_device_eval_batch_size": EVALUATED, "samples": 1, "sample_prompt": PROMPT, "sample_tokens": ANSWER}


@pytest.mark.training
@pytest.mark.parametrize(
    ("method", "adapter", "checkpointing", "bf16"),
    [
        ("sft", True, True, True),
        ("reward", True, False, True),
        pytest.param("sft", False, False, False, marks=pytest.mark.bench),
        pytest.param("dpo", True, False, False, marks=pytest.mark.bench),
        pytest.param("kto", False, True, False, marks=pytest.mark.bench),
    ],
)
def test_evaluation_and_samples_are_the_real_ones_to_the_byte(method, adapter, checkpointing, bf16, tmp_path):
    asks = method != "reward"  # a model with one score writes no answer
    real = really_between(method, adapter, tmp_path, asks, bf16=bf16, gradient_checkpointing=checkpointing)
    changes = {**ASKED, "samples": int(asks), "checkpointing": checkpointing, "autocast": bf16}
    found = {moment.phase: moment.bytes for moment in traced(method, adapter, **changes).moments}
    print(method, real, {name: found[name] - size for name, size in real.items()})
    if method == "kto":  # a trace has no labels: every row counts as chosen and as rejected, an index and two sums
        real["evaluation"] += 12 * EVALUATED
    assert real == {name: found[name] for name in real}


PROMPTS = [
    "Who are you?",
    [{"role": "system", "content": "Rhyme."}, {"role": "user", "content": "Say it twice, please."}],
]


@pytest.mark.training
def test_prompts_of_a_launch_are_options_of_its_estimate():
    from transformers import AutoTokenizer

    from workbench.api.demo import demo_recipe
    from workbench.api.measure import prediction
    from workbench.errors import RecipeError, TemplateError
    from workbench.tiny_llama import model_path

    bound = demo_recipe("lora")
    made = bound.estimate(samples=PROMPTS, sample_tokens=9, device="cpu")
    tokenizer = AutoTokenizer.from_pretrained(str(model_path()))
    longest = tokenizer.apply_chat_template(
        PROMPTS[1], chat_template=bound.enc.setting.template.source, add_generation_prompt=True
    )["input_ids"]
    assert made.options == {"samples": 2, "sample_prompt": len(longest), "sample_tokens": 9}
    assert "samples=2" in made.code()
    with pytest.raises(RecipeError, match="'Who are you"):
        bound.estimate(samples="Who are you?")
    wrong = [[{"role": "user", "content": 3}]]
    with pytest.raises(TemplateError):
        bound.estimate(samples=wrong)
    assert prediction(bound, wrong) == prediction(bound)  # a run whose prompt fails goes on without it


@pytest.mark.training
def test_a_compiled_step_is_traced_plain_and_says_so():
    from workbench.api.memory import estimate_recipe
    from workbench.memory.trainer_yaml import read_trainer
    from workbench.recipes import Recipe

    recipe, arguments = Recipe(model="tiny-llama"), {"torch_compile": True}
    made = [estimate_recipe(recipe, 64, method=method, arguments=arguments) for method in ("trace", "analytic")]
    made.append(estimate_recipe(recipe, 64, method="trace"))
    said = [any("torch.compile" in sentence for sentence in one.assumptions) for one in made]
    assert said == [True, True, False]
    assert made[0].trace.live == made[2].trace.live
    read = read_trainer({"model_name_or_path": "tiny-llama", "torch_compile": True, "use_peft": True})
    assert [note for note in read.assumptions if "torch" in note] == [made[0].assumptions[-1]]


@pytest.mark.training
def test_a_family_that_trl_does_not_run_says_so_and_is_traced_without_its_head(monkeypatch):
    from workbench.errors import RunError

    config = {**real_steps.CONFIG, "model_type": "granitemoe", "num_local_experts": 2, "num_experts_per_tok": 1}
    monkeypatch.setattr(real_steps, "CONFIG", config)
    with pytest.raises(RunError, match=r"does not run this model.*num_experts.*loop='transformers'.*WB814"):
        traced("sft", False)
    assert traced("sft", False, loop="transformers").live > 0
