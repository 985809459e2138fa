"""Comparisons of preference, unpaired and reward types."""

from typing import Any

from axolotl_case import LLAMA3X, ZEPHYR, Case


def judged() -> list[Case]:
    """Preference types: axolotl writes texts, TRL tokenizes them later."""
    out: list[Case] = []
    for style, tokenizer, written in (
        ("chatml", "qwen2.5", "bundled:chatml"),
        ("llama3", "qwen2.5+llama3", LLAMA3X.replace("{{ '<|begin_of_text|>' }}", "")),
    ):
        for kind, shape in (
            ("default", "pair"),
            ("default", "pair_question"),
            ("default", "pair_instruction"),
            ("intel", "pair_question"),
            ("icr", "pair_input"),
            ("prompt_pairs", "pair"),
            ("ultra", "pair_ultra"),
            ("argilla_chat", "pair_chat"),
            ("argilla_chat", "pair_chats"),
        ):
            out.append(_judged_case("dpo", f"{style}.{kind}", shape, tokenizer, written))
        for kind, shape in (
            ("argilla", "unpaired_instruction"),
            ("argilla_chat", "unpaired_chat"),
            ("intel", "unpaired_question"),
            ("prompt_pairs", "unpaired"),
            ("ultra", "unpaired"),
        ):
            out.append(_judged_case("kto", f"{style}.{kind}", shape, tokenizer, written, "kto"))
    for template, tokenizer in (
        ("chatml", "qwen2.5"),
        ("llama3", "qwen2.5+llama3"),
        ("gemma", "metaspace+gemma"),
        ("phi_3", "phi-3-mini"),
        ("mistral_v1", "mistral-v1"),
        ("qwen_25", "qwen2.5"),
    ):
        for rl, kind, shape in (
            ("dpo", "chat_template.default", "pair_messages"),
            ("dpo", "chat_template.argilla_chat", "pair_chats"),
            ("orpo", "chat_template.argilla", "pair_chats"),
        ):
            said = {"chat_template": template}
            out.append(_judged_case(rl, kind, shape, tokenizer, f"bundled:{template}", config=said))
    out += [
        _judged_case("dpo", "zephyr.nectar", "nectar", "mistral-v1", ZEPHYR, "ranking"),
        _judged_case("dpo", "passthrough.default", "pair", "qwen2.5", None, data={"text_as": "text"}),
        _judged_case("dpo", "", "pair", "qwen2.5", None, data={"text_as": "text"}),
    ]
    wording = {
        "prompt_format": "Q: {prompt}\nS: {system}\n",
        "chosen_format": "{chosen}!",
        "rejected_format": "{rejected}?",
    }
    out.append(_judged_case("dpo", dict(wording), "pair", "qwen2.5", None, data={**wording, "text_as": "text"}))
    answer = {"prompt_format": "Q: {prompt}\nA:", "completion_format": " {completion}"}
    out.append(
        _judged_case("kto", dict(answer), "unpaired", "qwen2.5", None, "kto", data={**answer, "text_as": "text"})
    )
    return out


def _judged_case(
    rl: str, kind: Any, shape: str, tokenizer: str, template: str | None, type: str = "dpo", **more: Any
) -> Case:
    config = {"rl": rl, **more.pop("config", {})}
    if rl == "kto":
        config["remove_unused_columns"] = False
    return Case({"type": kind}, shape, tokenizer, type, template, config, kind="texts", note=shape, **more)


def rewards() -> list[Case]:
    """Pairs that axolotl tokenizes itself."""
    out: list[Case] = []
    for template, tokenizer in (("chatml", "qwen2.5"), ("llama3", "qwen2.5+llama3"), ("gemma", "metaspace+gemma")):
        said = {"chat_template": template, "reward_model": True}
        kind = {"type": "bradley_terry.chat_template"}
        shape = "bradley_terry"
        out.append(Case(kind, shape, tokenizer, "dpo", f"bundled:{template}", said, kind="pairs"))
        orpo = {"type": "orpo.chat_template"}
        said = {"chat_template": template}
        out.append(Case(orpo, "pair_chat", tokenizer, "dpo", f"bundled:{template}", said, kind="pairs"))
    return out
