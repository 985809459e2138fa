"""What is written, what is refused, and which form the rows take."""

import json
from dataclasses import fields, replace

import pytest
import yaml
from export_cases import CHATML, CHATS, facts_of

from workbench.errors import ExportError
from workbench.exports.axolotl import to_axolotl
from workbench.exports.export import TARGETS, export
from workbench.exports.fields import AXOLOTL, TRL
from workbench.exports.rows import why_tokens
from workbench.exports.trl import to_trl
from workbench.recipes import Recipe
from workbench.types import IGNORE


def lines(path):
    return [json.loads(line) for line in path.read_text(encoding="utf-8").split("\n") if line]


@pytest.mark.parametrize("target", TARGETS)
def test_every_recipe_field_is_in_the_table(target):
    assert set(TARGETS[target]) == {field.name for field in fields(Recipe)}
    assert all(entry.key or entry.derived for entry in TARGETS[target].values())


CHANGES = {
    "revision": "abc",
    "trust_remote_code": True,
    "adapter": "none",
    "r": 7,
    "lora_alpha": 9,
    "lora_dropout": 0.25,
    "target_modules": ("q_proj",),
    "quantisation": "int8",
    "max_length": 33,
    "packing": "bfd",
    "learning_rate": 3e-6,
    "lr_scheduler_type": "linear",
    "warmup_steps": 5,
    "weight_decay": 0.125,
    "max_grad_norm": 0.5,
    "optim": "adamw_torch_fused",
    "epochs": 2.5,
    "max_steps": 17,
    "per_device_train_batch_size": 3,
    "gradient_accumulation_steps": 6,
    "gradient_checkpointing": True,
    "precision": "bfloat16",
    "seed": 11,
    "logging_steps": 4,
    "save_steps": 21,
}
ELSEWHERE = {"model", "method", "data", "template", "tokenizer", "train_on", "mask", "chat_template_kwargs"}
"""Fields carried by the facts or by the rows; they have tests of their own below."""


@pytest.mark.parametrize("field", CHANGES)
@pytest.mark.parametrize("target", TARGETS)
def test_changing_a_field_changes_the_keys_the_table_names(target, field, model):
    assert set(CHANGES) | ELSEWHERE == {field.name for field in fields(Recipe)}
    base = Recipe(max_length=64)
    changed = base.with_(**{field: CHANGES[field]})
    facts = facts_of(model, CHATS, "messages", base)

    def values(recipe):
        return to_trl(recipe, facts)[0] if target == "trl" else to_axolotl(recipe, facts, "rows")[0]

    before, after = values(base), values(changed)
    keys = {key for key in {*before, *after} if before.get(key) != after.get(key)}
    named = {key.strip() for key in TARGETS[target][field].key.split(",")}
    if target == "trl" and field == "max_length":
        assert not keys  # the rows are cut; the key is for bins
        packed = [values(recipe.with_(packing="bfd"))["max_length"] for recipe in (base, changed)]
        assert packed == [64, 33]
        return
    assert keys & named, f"{field} changed {keys or 'nothing'}"
    allowed = {"packing": {"max_length"}, "precision": {"bf16", "fp16"}}.get(field, set())
    if field == "adapter":
        allowed = {key for key in before if key.startswith("lora_") or key == "use_peft"}
    assert keys <= named | allowed


def test_axolotl_gets_messages_and_the_template_to_the_character(model, tmp_path):
    facts = facts_of(model, CHATS, "messages", Recipe())
    report = export(Recipe(), facts, "axolotl", tmp_path)
    values = yaml.safe_load(report.files[0].read_text(encoding="utf-8"))
    assert report.form == "rows"
    assert lines(report.files[1]) == CHATS
    assert values["chat_template_jinja"] == CHATML
    assert values["sequence_len"] == facts.longest
    dataset = values["datasets"][0]
    assert (dataset["type"], dataset["roles_to_train"]) == ("chat_template", ["assistant"])
    assert (dataset["train_on_eos"], dataset["train_on_eot"]) == ("turn", "turn")
    assert (tmp_path / dataset["path"]).samefile(report.files[1])
    assert report.command == ("axolotl", "train", "axolotl.yaml")


def test_only_the_last_answer_is_flagged_for_last_assistant(model, tmp_path):
    recipe = Recipe(train_on="last_assistant")
    report = export(recipe, facts_of(model, CHATS, "messages", recipe), "axolotl", tmp_path)
    values = yaml.safe_load(report.files[0].read_text(encoding="utf-8"))
    assert values["datasets"][0]["message_field_training"] == "train"
    flags = [[message["train"] for message in row["messages"]] for row in lines(report.files[1])]
    assert flags == [[False, False, False, False, True], [False, True], [False, True]]


def test_a_stop_token_that_is_not_eos_is_named(model, tmp_path):
    template = tmp_path / "other.jinja"
    template.write_text(CHATML.replace("<|im_end|>", "<|endoftext|>"), encoding="utf-8")
    facts = facts_of(model, CHATS, "messages", Recipe(), template=str(template))
    values, _ = to_axolotl(Recipe(), facts, "rows")
    assert values["eot_tokens"] == ["<|endoftext|>"]
    assert values["datasets"][0]["train_on_eos"] == "none"
    assert values["datasets"][0]["train_on_eot"] == "turn"


@pytest.mark.parametrize(
    ("recipe", "rows", "template", "why"),
    [
        (Recipe(train_on="all"), CHATS, None, "train_on='all'"),
        (
            Recipe(),
            CHATS,
            CHATML.replace(
                "{{ message.content }}", "{% if message.role == 'assistant' %}~{% endif %}{{ message.content }}"
            ),
            "'~', which the template writes, is trained",
        ),
        (
            Recipe(),
            [{"messages": [{"role": "user", "content": "a"}, {"role": "assistant", "content": "b", "name": "c"}]}],
            CHATML,
            "has name",
        ),
        (
            Recipe(),
            [{"messages": [{"role": "user", "content": "a"}, {"role": "assistant", "content": " [[dummy_message]]"}]}],
            None,
            "axolotl looks for messages with",
        ),
        (
            Recipe(),
            [{"messages": [{"role": "user", "content": "a"}, {"role": "assistant", "tool_calls": [{"name": "f"}]}]}],
            CHATML.replace("{{ message.content }}", "{{ message.content or message.tool_calls[0].function.name }}"),
            "no plain text content",
        ),
    ],
)
def test_chats_that_axolotl_would_mask_differently_are_written_as_tokens(recipe, rows, template, why, model, tmp_path):
    path = None
    if template:
        path = tmp_path / "t.jinja"
        path.write_text(template, encoding="utf-8")
    facts = facts_of(model, rows, "messages", recipe, template=path and str(path))
    assert why in (why_tokens(recipe, facts) or "")
    report = export(recipe, facts, "axolotl", tmp_path / "out")
    assert report.form == "tokens"
    assert why in report.notes[0]
    with pytest.raises(ExportError, match="WB706"):
        export(recipe, facts, "axolotl", tmp_path / "rows", form="rows")


@pytest.mark.parametrize("target", TARGETS)
def test_token_rows_are_our_ids_and_labels(target, model, tmp_path):
    facts = facts_of(model, CHATS, "messages", Recipe())
    report = export(Recipe(), facts, target, tmp_path, form="tokens")
    rows = lines(report.files[1])
    assert [tuple(row["input_ids"]) for row in rows] == [example.input_ids for example in facts.tokenized]
    assert [tuple(row["labels"]) for row in rows] == [example.labels for example in facts.tokenized]
    assert any(IGNORE in row["labels"] for row in rows)
    assert ("attention_mask" in rows[0]) == (target == "axolotl")


def test_segments_that_encode_alike_in_pieces_stay_readable(model, tmp_path):
    rows = [
        {"segments": [{"label": False, "text": "<|im_start|>Hi\n"}, {"label": True, "text": "hello there<|im_end|>"}]}
    ]
    report = export(Recipe(), facts_of(model, rows, "input_output", Recipe()), "axolotl", tmp_path)
    assert report.form == "rows"
    assert lines(report.files[1]) == rows
    assert yaml.safe_load(report.files[0].read_text())["datasets"][0]["type"] == "input_output"


def test_segments_that_encode_otherwise_in_pieces_are_written_as_tokens(model, tmp_path):
    rows = [{"segments": [{"label": False, "text": "hel"}, {"label": True, "text": "lo<|im_end|>"}]}]
    report = export(Recipe(), facts_of(model, rows, "input_output", Recipe()), "axolotl", tmp_path)
    assert report.form == "tokens"
    assert "pieces of row 0" in report.notes[0]


def test_prompt_and_completion_become_segments_with_eos(model, tmp_path):
    rows = [{"prompt": "Hi\n", "completion": "hello"}]
    report = export(Recipe(), facts_of(model, rows, "prompt_completion", Recipe()), "axolotl", tmp_path)
    segments = [{"label": False, "text": "Hi\n"}, {"label": True, "text": "hello<|im_end|>"}]
    assert lines(report.files[1]) == [{"segments": segments}]


def test_cut_text_is_written_as_tokens_because_axolotl_would_split_it(model, tmp_path):
    recipe = Recipe(max_length=4)
    report = export(recipe, facts_of(model, [{"text": "a long text"}], "text", recipe), "axolotl", tmp_path)
    assert report.form == "tokens"
    lengths = [len(row["input_ids"]) for row in lines(report.files[1])]
    assert lengths[0] == 4 and len(lengths) > 1 and sum(lengths) > 4  # what is behind the cut goes on in a next row


def test_all_refused_fields_are_named_at_once(model, tmp_path):
    recipe = Recipe(optim="nadamw", lr_scheduler_type="wave", warmup_steps=1)
    facts = facts_of(model, CHATS, "messages", Recipe())
    with pytest.raises(ExportError, match="WB701") as caught:
        export(recipe, facts, "axolotl", tmp_path / "a")
    assert all(name in caught.value.message for name in ("optim", "lr_scheduler_type", "warmup_steps"))
    assert not (tmp_path / "a").exists()
    with pytest.raises(ExportError, match="WB701") as caught:
        export(recipe, replace(facts, tokenizer="someone/else"), "trl", tmp_path / "t")
    named = caught.value.message.split("(")[0]
    assert named == "trl sft cannot express optim, lr_scheduler_type, tokenizer "
    assert not (tmp_path / "t").exists()


def test_a_field_is_refused_only_where_the_table_says_so():
    for table, refused in (
        (AXOLOTL, {"optim", "lr_scheduler_type", "warmup_steps", "adapter"}),
        (TRL, {"optim", "lr_scheduler_type", "tokenizer", "adapter"}),
    ):
        assert {name for name, entry in table.items() if entry.limit} == refused


@pytest.mark.parametrize(
    ("target", "form", "code"),
    [("llamafactory", None, "WB705"), ("axolotl", "text", "WB705"), ("trl", "rows", "WB706")],
)
def test_unknown_target_and_form_are_refused(target, form, code, model, tmp_path):
    with pytest.raises(ExportError, match=code):
        export(Recipe(), facts_of(model, CHATS, "messages", Recipe()), target, tmp_path, form=form)


def test_rows_and_tokens_that_do_not_belong_together_are_refused(model):
    facts = facts_of(model, CHATS, "messages", Recipe())
    for changes in ({"examples": facts.examples[:-1]}, {"examples": (), "tokenized": ()}):
        with pytest.raises(ExportError, match="WB702"):
            replace(facts, **changes)


def test_a_folder_that_cannot_be_written_is_an_export_error(model, tmp_path):
    (tmp_path / "file").write_text("x")
    with pytest.raises(ExportError, match="WB707"):
        export(Recipe(), facts_of(model, CHATS, "messages", Recipe()), "trl", tmp_path / "file")


def test_exporting_twice_gives_the_same_bytes(model, tmp_path):
    facts = facts_of(model, CHATS, "messages", Recipe())
    first = export(Recipe(), facts, "axolotl", tmp_path / "a")
    second = export(Recipe(), facts, "axolotl", tmp_path / "b")
    assert [path.read_bytes() for path in first.files] == [path.read_bytes() for path in second.files]


@pytest.mark.parametrize(
    ("recipe", "device", "dtype", "bf16"),
    [
        (Recipe(), "cuda", "bfloat16", True),
        (Recipe(), "cpu", "float32", False),
        (Recipe(adapter="none"), "cuda", "float32", True),
        (Recipe(precision="float32"), "cuda", "float32", False),
    ],
)
def test_trl_precision_is_what_our_trainer_uses(recipe, device, dtype, bf16, model):
    values, _ = to_trl(recipe, facts_of(model, CHATS, "messages", recipe, device=device))
    assert (values["dtype"], values["bf16"], values.get("use_cpu", False)) == (dtype, bf16, device == "cpu")


def parsed(path):
    """The three argument objects `trl sft --config` makes of a file."""
    from trl import ModelConfig, ScriptArguments, SFTConfig, TrlParser

    return TrlParser((ScriptArguments, SFTConfig, ModelConfig)).parse_args_and_config(["--config", str(path)])


@pytest.mark.training
@pytest.mark.parametrize(
    "recipe", [Recipe(), Recipe(packing="bfd", max_length=64), Recipe(adapter="none", train_on="last_assistant")]
)
def test_what_trl_trains_is_what_was_previewed(recipe, model, tmp_path, monkeypatch):
    from datasets import load_dataset
    from trl import SFTTrainer, get_peft_config

    from workbench.tokens.pack import TrainRow, pack

    facts = facts_of(model, CHATS * 3, "messages", recipe)
    report = export(recipe, facts, "trl", tmp_path)
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("HF_HOME", str(tmp_path / "cache"))
    script, arguments, model_arguments = parsed(report.files[0].name)
    data = load_dataset(script.dataset_name, cache_dir=str(tmp_path / "cache"))["train"]
    trainer = SFTTrainer(
        model=model_arguments.model_name_or_path,
        args=arguments,
        train_dataset=data,
        peft_config=get_peft_config(model_arguments),
    )
    ours = [TrainRow(one.input_ids, one.labels, ((one.row, len(one.input_ids)),)) for one in facts.tokenized]
    if recipe.packing == "bfd":
        ours = pack(ours, recipe.max_length)
    theirs = [(list(row["input_ids"]), list(row["labels"])) for row in trainer.train_dataset]
    assert theirs == [(list(row.input_ids), list(row.labels)) for row in ours]
    assert trainer.processing_class.chat_template == CHATML
    assert (trainer.args.learning_rate, trainer.args.seed) == (recipe.learning_rate, recipe.seed)
    assert hasattr(trainer.model, "peft_config") == (recipe.adapter == "lora")


@pytest.mark.training
def test_trl_sft_trains_with_the_exported_file(model, tmp_path):
    import os
    import subprocess
    import sys

    recipe = Recipe(max_steps=2, per_device_train_batch_size=2, r=4, learning_rate=1e-5)
    report = export(recipe, facts_of(model, CHATS, "messages", recipe), "trl", tmp_path)
    program = "from trl.cli import main; main()"
    environment = {
        **os.environ,
        "HF_HOME": str(tmp_path / "home"),
        "HF_HUB_OFFLINE": "1",
        "TRL_EXPERIMENTAL_SILENCE": "1",
    }
    done = subprocess.run(
        [sys.executable, "-c", program, *report.command[1:]],
        cwd=tmp_path,
        env=environment,
        capture_output=True,
        text=True,
        timeout=280,
        check=False,
    )
    assert done.returncode == 0, done.stderr[-3000:]
    assert (tmp_path / "out" / "adapter_model.safetensors").is_file()
    assert (tmp_path / "out" / "chat_template.jinja").read_text(encoding="utf-8") == CHATML
