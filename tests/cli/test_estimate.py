"""`workbench estimate` as a user calls it: files, cards, lengths, and what nobody should ask."""

import json

import pytest
import yaml

from workbench.cli import main

KEYS = {
    "live_bytes", "reserved_bytes", "nvidia_smi_bytes", "by_component", "phases", "verdict", "assumptions", "seconds"
}  # fmt: skip
OURS = {"model": "meta-llama/Llama-3.2-1B", "r": 8, "per_device_train_batch_size": 2, "max_length": 1024}
AXOLOTL = {
    "base_model": "meta-llama/Llama-3.2-1B",
    "adapter": "lora",
    "sequence_len": 2048,
    "micro_batch_size": 2,
    "lora_r": 16,
    "lora_target_linear": True,
    "bf16": True,
    "flash_attention": True,
    "gradient_checkpointing": True,
    "cut_cross_entropy": True,
}


@pytest.fixture
def written(tmp_path):
    def write(values, name="recipe.yaml"):
        path = tmp_path / name
        path.write_text(values if isinstance(values, str) else yaml.safe_dump(values))
        return str(path)

    return write


def asked(capsys, *arguments):
    status = main(["estimate", *arguments, "--json"])
    out = capsys.readouterr()
    return status, json.loads(out.out or out.err)


@pytest.mark.parametrize("values", [OURS, AXOLOTL], ids=["ours", "axolotl"])
def test_the_documented_members_are_there_and_add_up(values, written, capsys):
    status, made = asked(capsys, written(values), "--gpu", "4090")
    assert status == 0
    assert set(made) >= KEYS
    assert made["verdict"] == "fits"
    assert made["live_bytes"] <= made["reserved_bytes"] < made["nvidia_smi_bytes"] < made["gpu"]["bytes"]
    assert sum(made["by_component"].values()) == made["live_bytes"] == max(p["live_bytes"] for p in made["phases"])
    assert all(sum(phase["by_component"].values()) == phase["live_bytes"] for phase in made["phases"])
    assert made["fits_up_to"]["batch"]["fits"] >= 2
    assert 0 < made["seconds"] < 60


def test_status_and_words_follow_the_card(written, capsys):
    path = written({**OURS, "model": "meta-llama/Llama-3.1-8B"})
    status, made = asked(capsys, path, "--gpu", "t4")
    assert (status, made["verdict"]) == (1, "out of memory")
    assert "usable" in made["reason"]
    assert made["remedies"]["single"][0]["saving_bytes"] > 0
    assert asked(capsys, path, "--gpu", "b200")[1]["verdict"] == "fits"
    status, made = asked(capsys, path)
    assert (status, made["verdict"], made["gpu"]) == (0, None, None)
    assert made["fits_on"]


def test_the_text_says_it_in_words(written, capsys):
    assert main(["estimate", written({**OURS, "model": "meta-llama/Llama-3.1-8B"}), "--gpu", "t4"]) == 1
    text = capsys.readouterr().out
    for part in ("out of memory", "one change each", "Gradient checkpointing", "taken for granted", "T4"):
        assert part in text


def test_length_and_batch_replace_what_the_file_says(written, capsys):
    path = written(OURS)
    whole = asked(capsys, path)[1]
    assert whole["batch"] == {"rows": 2, "length": 1024, "trained": None}
    other = asked(capsys, path, "--length", "4096", "--batch", "3")[1]
    assert other["batch"] == {"rows": 3, "length": 4096, "trained": None}
    packed = asked(capsys, written({**AXOLOTL, "sample_packing": True}), "--length", "512")[1]
    assert packed["batch"] == {"rows": 1, "length": 1024, "trained": None}


def test_a_file_of_lengths_stands_in_for_the_data(written, capsys):
    lengths = written("length,count\n100,900\n700,100\n", "lengths.csv")
    made = asked(capsys, written({**OURS, "max_length": None}), "--lengths", lengths, "--gpu", "4GB")[1]
    assert made["batch"]["length"] == 700
    costs = [remedy["cost"] for remedy in made["remedies"]["single"]]
    assert any(cost.startswith("cuts ") and cost.endswith("of the rows") for cost in costs)


def test_no_key_of_an_axolotl_config_is_dropped(written, capsys):
    notes = " ".join(asked(capsys, written(AXOLOTL))[1]["assumptions"])
    assert "cut_cross_entropy" in notes
    assert "sequence_len" in notes


@pytest.mark.parametrize("adapter", ["lora", "none", "full", {"peft_type": "LORA", "r": 4}, "rslora"])
def test_adapters_are_words_or_peft_configs(adapter, written, capsys):
    status, made = asked(capsys, written({**OURS, "adapter": adapter}))
    assert status == 0
    assert ("adapter" in made["by_component"]) == (adapter not in ("none", "full"))


def test_an_adapter_is_set_over_the_files_own(written, capsys):
    """`--set` replaces what the file says of the adapter, an axolotl config's quantisation too."""
    qlora = written({**AXOLOTL, "adapter": "qlora", "load_in_4bit": True, "peft_use_dora": True}, "axolotl.yaml")
    ours = written(OURS)

    def weights(path, *sets):
        status, made = asked(capsys, path, *(part for text in sets for part in ("--set", text)))
        assert status == 0, made
        return made["by_component"]["weights"], made["by_component"].get("adapter", 0), made["assumptions"]

    four, dora, _ = weights(qlora)
    plain, lora, _ = weights(qlora, "adapter=lora")
    assert four < 0.5 * plain and lora < 2 * dora
    assert weights(qlora, "adapter=none")[1] == 0
    assert weights(ours, "adapter=qlora")[0] < weights(ours)[0]
    assert weights(ours, "quantisation=nf4")[0] < weights(ours, "adapter=qlora")[0]  # the rest is not float32
    wide, narrow = (weights(ours, f'adapter={{"peft_type": "LORA", "r": {r}}}') for r in (64, 8))
    assert wide[1] == 8 * narrow[1] and "r of the recipe is not read" in " ".join(wide[2])


def test_a_bare_config_needs_no_weights(written, tmp_path, capsys):
    (tmp_path / "bare.json").write_text(
        json.dumps(
            {
                "model_type": "llama", "hidden_size": 64, "num_hidden_layers": 2, "num_attention_heads": 4,
                "intermediate_size": 96, "vocab_size": 128,
            }
        )
    )  # fmt: skip
    for name in (str(tmp_path / "bare.json"), "bare.json"):  # or beside the recipe
        status, made = asked(capsys, written({**OURS, "model": name}))
        assert status == 0
        assert made["by_component"]["weights"] < 2**20


def test_kinds_of_a_trace_add_up_and_a_rank_of_many_has_less(written, tmp_path, capsys):
    path = written({**OURS, "model": "tiny-llama", "adapter": "full"})
    _, alone = asked(capsys, path, "--method", "trace")
    _, rank = asked(capsys, path, "--method", "trace", "--world", "8", "--sharding", "fsdp")
    for made in (alone, rank):
        assert sum(made["by_component"].values()) == made["live_bytes"]
    assert rank["by_component"]["optimizer"] * 7 < alone["by_component"]["optimizer"]
    assert rank["live_bytes"] < alone["live_bytes"]


def test_enormous_numbers_are_answered(written, capsys):
    path = written(OURS)
    for arguments in (("--length", "1000000000"), ("--batch", "1000000"), ("--set", "r=1000000")):
        status, made = asked(capsys, path, *arguments, "--gpu", "4090")
        assert (status, made["verdict"]) == (1, "out of memory")


WRONG = {
    "no such file": (None, [], "WB406"),
    "no mapping": ("- 1\n", [], "WB406"),
    "no YAML": ("a: [", [], "WB406"),
    "binary": ("\x00\x01", [], "WB406"),
    "an unknown field": ({**OURS, "lora_rank": 3}, [], "WB401"),
    "an adapter that is no word": ({**OURS, "adapter": "galore"}, [], "WB402"),
    "an adapter that is a number": ({**OURS, "adapter": 7}, [], "WB402"),
    "an adapter only a trace knows": ({**OURS, "adapter": {"peft_type": "IA3"}}, [], "WB810"),
    "a rank of zero": ({**OURS, "adapter": {"peft_type": "LORA", "r": 0}}, [], "WB402"),
    "a negative rank": ({**OURS, "r": -3}, [], "WB402"),
    "no length": ({"model": "meta-llama/Llama-3.2-1B"}, [], "WB404"),
    "length zero": (OURS, ["--length", "0"], "WB4"),
    "a negative length": (OURS, ["--length", "-5"], "WB4"),
    "batch zero": (OURS, ["--batch", "0"], "WB402"),
    "a negative batch": (AXOLOTL, ["--batch", "-1"], "WB402"),
    "a card of nothing": (OURS, ["--gpu", "0GB"], "WB806"),
    "a card that is no number": (OURS, ["--card-gib", "nan"], "WB806"),
    "a card that nobody built": (OURS, ["--gpu", "rtx 9999"], "WB816"),
    "two cards": (OURS, ["--gpu", "t4", "--card-gib", "3"], "WB816"),
    "a world of nobody": (OURS, ["--world", "0"], "WB820"),
    "a negative world": (OURS, ["--world", "-2"], "WB820"),
    "lengths that are none": (OURS, ["--lengths", "/nonexistent"], "WB818"),
    "a model that is nowhere": ({**OURS, "model": "nobody/has-this"}, [], "WB804"),
    "an option that does not exist": (OURS, ["--plan", "atention=sdpa"], "WB815"),
    "a batch that no trace can make": (OURS, ["--length", "1000000000", "--method", "trace"], "WB806"),
    "a method that does not exist": (OURS, ["--plan", "task=ppo"], "WB810"),
    "an evaluation of fewer rows than none": (OURS, ["--plan", "per_device_eval_batch_size=-1"], "WB815"),
    "samples in words": (OURS, ["--plan", "samples=some"], "WB815"),
    "a sample without a prompt": (OURS, ["--plan", "sample_prompt=0"], "WB815"),
    "an option without a value": (OURS, ["--plan", "attention"], "WB407"),
    "a type that does not exist": (OURS, ["--plan", "dtype=int3"], "WB815"),
    "an optimiser that does not exist": ({**OURS, "optim": "lion9"}, [], "WB803"),
    "an axolotl batch in words": ({**AXOLOTL, "micro_batch_size": "two"}, [], "WB402"),
}


@pytest.mark.parametrize("name", WRONG)
def test_what_cannot_be_answered_says_why_and_what_to_do(name, written, capsys):
    values, arguments, code = WRONG[name]
    path = "/nonexistent.yaml" if values is None else written(values)
    status, told = asked(capsys, path, *arguments)
    assert status == 2, told
    assert told["code"].startswith(code), told
    assert told["error"]


def test_what_a_method_generates_is_said_and_shows_as_a_phase(written, capsys):
    made = asked(capsys, written({**OURS, "method": "grpo"}))[1]
    assert any("answers are generated at once" in sentence for sentence in made["assumptions"])
    assert "generate" in [phase["phase"] for phase in made["phases"]]


def test_lengths_need_a_recipe(tmp_path, capsys):
    rows = tmp_path / "chats.jsonl"
    rows.write_text("{}\n")
    assert asked(capsys, str(rows), "--length", "5")[1]["code"] == "WB819"
    with pytest.raises(SystemExit) as left:
        main(["estimate", "x.yaml", "--length", "many"])
    assert left.value.code == 2
