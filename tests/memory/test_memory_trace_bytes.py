"""The trace against TRL's own trainer on the CPU: the peak of every tensor alive, to the byte."""

import pytest
import real_steps
from real_steps import CONFIG, LENGTHS, LORA, TRAINERS, LiveBytes, model, really_live, traced

from workbench.memory.plan import Plan
from workbench.memory.trace import Trace
from workbench.recipes import Recipe
from workbench.training.tracing import TRACER


@pytest.mark.training
@pytest.mark.parametrize("checkpointing", [False, True], ids=["plain", "checkpointing"])
@pytest.mark.parametrize("adapter", [False, True], ids=["full", "lora"])
@pytest.mark.parametrize("method", TRAINERS)
def test_peak_is_the_real_one_to_the_byte(method, adapter, checkpointing, tmp_path):
    real = really_live(method, adapter, tmp_path, bf16=False, gradient_checkpointing=checkpointing)
    assert traced(method, adapter, checkpointing=checkpointing).live == real


@pytest.mark.training
@pytest.mark.parametrize("adapter", [False, True], ids=["full", "lora"])
@pytest.mark.parametrize("method", TRAINERS)
def test_so_it_is_under_bfloat16_autocast(method, adapter, tmp_path):
    real = really_live(method, adapter, tmp_path, bf16=True, gradient_checkpointing=False)
    assert traced(method, adapter, autocast=True).live == real


@pytest.mark.training
@pytest.mark.parametrize("method", ["sft", "reward"])
def test_so_it_is_with_reentrant_checkpointing(method, tmp_path):
    kind = {"use_reentrant": True}
    real = really_live(
        method, True, tmp_path, bf16=False, gradient_checkpointing=True, gradient_checkpointing_kwargs=kind
    )
    assert traced(method, True, checkpointing=True, reentrant=True).live == real


EXPERTS = {"num_experts": 4, "num_experts_per_tok": 2, "moe_intermediate_size": 48, "head_dim": 16}


@pytest.mark.training
@pytest.mark.parametrize(
    ("family", "fields", "adapter"),
    [("qwen3_moe", EXPERTS, False), ("gpt_oss", {"num_local_experts": 4, "head_dim": 16}, True), ("gemma2", {}, True)],
)
def test_so_it_is_for_other_families(family, fields, adapter, tmp_path, monkeypatch):
    config = {**CONFIG, "model_type": family, "pad_token_id": 0, **fields}
    monkeypatch.setattr(real_steps, "CONFIG", config)
    real = really_live("sft", adapter, tmp_path, bf16=False, gradient_checkpointing=adapter)
    assert traced("sft", adapter, checkpointing=adapter).live == real


PROMPT, ANSWER = 20, 12


def online_trainer(method, adapter, folder, live, **arguments):
    """TRL's GRPO or RLOO on the CPU, told the ids of its prompts; answers come from transformers' generate."""
    import torch
    import trl
    from peft import LoraConfig
    from transformers import AutoTokenizer

    from workbench.tiny_llama import model_path

    torch.manual_seed(0)
    kind = getattr(trl, f"{method}Trainer")
    generated = []

    class Told(kind):
        def _tokenize_prompts(self, prompts):
            return [[5] * PROMPT for _ in prompts], None, {}

        def _generate_single_turn(self, *args):
            live.peak = live.now
            found = super()._generate_single_turn(*args)
            generated.append(live.peak)
            ids = found[0] if isinstance(found, tuple) else found
            assert {len(row) for row in ids} == {ANSWER}  # no answer ended early
            return found

    from datasets import Dataset

    made = Told(
        model=model("sft"),
        reward_funcs=lambda completions, **_: [float(index % 2) for index in range(len(completions))],
        args=getattr(trl, f"{method}Config")(
            output_dir=str(folder),
            per_device_train_batch_size=4,
            num_generations=4,
            max_completion_length=ANSWER,
            max_steps=2,
            use_cpu=True,
            optim="adamw_torch",
            report_to="none",
            disable_tqdm=True,
            save_strategy="no",
            logging_steps=1,
            bf16=False,
            dataloader_pin_memory=False,
            **arguments,
        ),
        train_dataset=Dataset.from_list([{"prompt": "a"}] * 8),
        processing_class=AutoTokenizer.from_pretrained(str(model_path())),
        peft_config=LoraConfig(r=4, target_modules="all-linear", task_type="CAUSAL_LM") if adapter else None,
    )
    return made, generated


@pytest.mark.training
@pytest.mark.parametrize(
    ("method", "adapter", "checkpointing"), [("GRPO", True, False), ("GRPO", False, True), ("RLOO", True, True)]
)
def test_so_is_the_update_of_methods_that_generate_and_their_generation(method, adapter, checkpointing, tmp_path):
    live = LiveBytes()
    arguments = {"beta": 0.0, "gradient_checkpointing": checkpointing}
    made, generated = online_trainer(method, adapter, tmp_path, live, **arguments)
    for tensor in (*made.model.parameters(), *made.model.buffers()):
        live.see(tensor)
    updated = []
    step = made.training_step

    def stepped(*args, **kwargs):
        found = step(*args, **kwargs)
        updated.append(live.peak)
        return found

    made.training_step = stepped
    with live.watch:
        made.train()
    recipe = Recipe(per_device_train_batch_size=4, gradient_checkpointing=checkpointing)
    fields = {"device": "cpu", "attention": "eager", "dtype": "float32", "autocast": False, "prompt": PROMPT}
    plan = Plan(
        CONFIG,
        recipe.to_dict(),
        [[PROMPT + ANSWER] * 4],
        method=method.lower(),
        adapter=LORA if adapter else None,
        arguments={"beta": 0.0, "num_generations": 4},
        **fields,
    )
    found = Trace.from_dict(plan, TRACER.ask(plan))
    phases = {moment.phase: moment.bytes for moment in found.moments}
    assert found.live == max(*updated, live.peak)
    # copies of the prompts to the device, which a CPU does not make; in float32 the logits alone are 16 times that
    assert 0 <= phases["generate"] - max(generated) < 4096


def orpo_or_cpo(method, adapter, folder, **arguments):
    """TRL's trainer on the CPU with rows written out by hand."""
    from importlib import import_module

    from datasets import Dataset
    from peft import LoraConfig
    from transformers import AutoTokenizer

    from workbench.tiny_llama import model_path

    module = import_module(f"trl.experimental.{method.lower()}")

    def written(self, row, *_):
        half, length = row["length"] // 2, row["length"]
        found = {"prompt_input_ids": [5] * half, "prompt_attention_mask": [1] * half}
        for side in ("chosen", "rejected"):
            found |= {f"{side}_input_ids": [5] * length, f"{side}_attention_mask": [1] * length}
            found[f"{side}_labels"] = [-100] * half + [5] * (length - half)
        return found

    kind = type(f"{method}Trainer", (getattr(module, f"{method}Trainer"),), {"tokenize_row": written})
    made = [{"prompt": "a", "chosen": "a", "rejected": "a", "length": length} for length in (*LENGTHS, *LENGTHS)]
    config = getattr(module, f"{method}Config")(
        output_dir=str(folder),
        per_device_train_batch_size=2,
        max_steps=2,
        max_length=None,
        use_cpu=True,
        bf16=False,
        optim="adamw_torch",
        train_sampling_strategy="sequential",
        report_to="none",
        disable_tqdm=True,
        save_strategy="no",
        logging_steps=1,
        dataloader_pin_memory=False,
        remove_unused_columns=False,
        **arguments,
    )
    return kind(
        model=model("sft"),
        args=config,
        train_dataset=Dataset.from_list(made),
        processing_class=AutoTokenizer.from_pretrained(str(model_path())),
        peft_config=LoraConfig(r=4, target_modules="all-linear", task_type="CAUSAL_LM") if adapter else None,
    )


@pytest.mark.training
@pytest.mark.parametrize(("method", "adapter", "checkpointing"), [("ORPO", True, False), ("CPO", False, True)])
def test_so_are_the_experimental_preference_methods(method, adapter, checkpointing, tmp_path):
    made = orpo_or_cpo(method, adapter, tmp_path, gradient_checkpointing=checkpointing)
    live = LiveBytes()
    for tensor in (*made.model.parameters(), *made.model.buffers()):
        live.see(tensor)
    with live.watch:
        made.train()
    assert traced(method.lower(), adapter, checkpointing=checkpointing).live == live.peak


IMAGED = {
    "model_type": "llava",
    "image_token_index": 7,
    "text_config": {key: value for key, value in CONFIG.items() if key != "tie_word_embeddings"},
    "vision_config": {
        "model_type": "clip_vision_model",
        "hidden_size": 32,
        "intermediate_size": 64,
        "num_attention_heads": 2,
        "num_hidden_layers": 2,
        "image_size": 56,
        "patch_size": 14,
    },
}


@pytest.mark.training
def test_so_is_a_loop_over_rows_with_images():
    import torch
    from transformers import AutoConfig, AutoModelForImageTextToText

    values = {key: value for key, value in IMAGED.items() if key != "model_type"}
    config = AutoConfig.for_model("llava", **values)
    model = AutoModelForImageTextToText.from_config(config, attn_implementation="eager", dtype=torch.float32).train()
    optimizer = torch.optim.AdamW(model.parameters(), lr=1e-4)
    live, outputs, pixels = LiveBytes(), None, None
    for tensor in (*model.parameters(), *model.buffers()):
        live.see(tensor)
    with live.watch:
        for _ in range(2):
            batch = {name: torch.zeros((2, 48), dtype=torch.long) for name in ("input_ids", "attention_mask", "labels")}
            batch["attention_mask"][:] = 1
            optimizer.zero_grad()
            batch["input_ids"][:, :16] = 7  # 4 by 4 patches
            pixels = torch.empty((2, 3, 56, 56)).zero_()
            outputs = model(**batch, pixel_values=pixels, num_items_in_batch=1000)
            loss = outputs.loss
            loss.backward()
            torch.nn.utils.clip_grad_norm_(model.parameters(), 1.0)
            optimizer.step()
            del loss
    recipe = Recipe(adapter="none", per_device_train_batch_size=2)
    fields = {"device": "cpu", "attention": "eager", "dtype": "float32", "autocast": False, "loop": "plain"}
    plan = Plan(IMAGED, recipe.to_dict(), [[48, 48]], images=1, **fields)
    assert Trace.from_dict(plan, TRACER.ask(plan)).live == live.peak
