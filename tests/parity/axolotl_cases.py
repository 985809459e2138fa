"""What is compared with axolotl: one case is rows of one shape under one axolotl type, template and tokenizer.

    CASES["alpaca:chat / qwen2.5"].job(...)   what axolotl is asked
    CASES["alpaca:chat / qwen2.5"].data_keywords, .encode_keywords   what the workbench is asked
"""

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

TOKENIZERS = ("qwen2.5", "mistral-v1", "phi-3-mini", "titan-tiny")


@dataclass(frozen=True)
class Case:
    """One comparison.

    Attributes:
        axolotl: The data set's keys in axolotl's config; `type` is what the tables call it.
        shape: Which rows (`axolotl_rows.SHAPES`).
        tokenizer: Folder name in the test data, or a copy with further tokens (`axolotl_tokenizers.COPIES`).
        type: Our dataset type.
        template: Ours: a registry name, `bundled:NAME` for the text of axolotl's own, None for the tokenizer's.
        config: Top-level keys of axolotl's config.
        forced: Keys of the data set that axolotl's transforms read and its config validation drops, put in behind it.
        data, encode: Keywords of `wb.data` and of `encode`.
        kind: How the rows are compared: `ids` for tokens and labels, `texts` for prompt and answers as text, `pairs` for
            the tokens of two answers.
        note: Told apart from a case with the same type, template and tokenizer by this.
    """

    axolotl: Mapping[str, Any]
    shape: str
    tokenizer: str
    type: str
    template: str | None = None
    config: Mapping[str, Any] = field(default_factory=dict)
    forced: Mapping[str, Any] = field(default_factory=dict)
    data: Mapping[str, Any] = field(default_factory=dict)
    encode: Mapping[str, Any] = field(default_factory=dict)
    kind: str = "ids"
    note: str = ""

    @property
    def axolotl_type(self) -> str:
        """Axolotl's name, with `rl` where it is set."""
        kind = self.axolotl.get("type")
        name = "a mapping" if isinstance(kind, Mapping) else kind or "empty"
        return f"{self.config['rl']}: {name}" if "rl" in self.config else name

    @property
    def name(self) -> str:
        """Unique among the cases."""
        template = "inline" if "{%" in (self.template or "") else (self.template or "").removeprefix("bundled:")
        parts = (self.axolotl_type, template, self.tokenizer, self.note)
        return " / ".join(part for part in parts if part)


WHOLE = ("reflection", "sharegpt")
"""Our types of rows that axolotl does not tokenize in prompt and answer, though it writes their prompts itself."""


def _prompted() -> list[Case]:
    """Types that write a prompt of their own and tokenize it apart from the answer."""
    table = (
        ("alpaca", "instruct", "alpaca", "alpaca"),
        ("alpaca:chat", "instruct", "alpaca", "alpaca_chat"),
        ("alpaca:chatml", "instruct", "alpaca", "alpaca_chatml"),
        ("alpaca:phi", "instruct", "alpaca", "alpaca_phi"),
        ("alpaca_chat.load", "instruct", "alpaca", "alpaca_chat"),
        ("alpaca_chat.load_concise", "instruct", "alpaca", "alpaca_concise"),
        ("alpaca_chat.load_qa", "qa", "alpaca", "alpaca_concise"),
        ("alpaca_chat.load_camel_ai", "camel", "alpaca", "alpaca_concise"),
        ("alpaca_chat.load_no_prompt", "instruct", "alpaca", "alpaca_w_system"),
        ("alpaca_instruct.load", "instruct", "alpaca", "alpaca"),
        ("alpaca_instruct.load_no_prompt", "instruct", "alpaca", "alpaca_instruct_w_system"),
        ("alpaca_w_system.load", "instruct_system", "alpaca", "alpaca_w_system"),
        ("alpaca_w_system.load_chat", "instruct_system", "alpaca", "alpaca_w_system"),
        ("alpaca_w_system.load_instruct", "instruct_system", "alpaca", "alpaca_instruct_w_system"),
        ("alpaca_w_system.load_open_orca", "orca", "alpaca", "open_orca"),
        ("alpaca_w_system.load_open_orca_chatml", "orca", "alpaca", "open_orca_chatml"),
        ("gpteacher", "instruct_response", "alpaca", "alpaca"),
        ("oasst", "oasst", "alpaca", "alpaca"),
        ("jeopardy", "jeopardy", "jeopardy", "alpaca"),
        ("reflection", "reflection", "reflection", "alpaca_instruct_w_system"),
        ("reflection:instruct", "reflection", "reflection", "reflection"),
        ("explainchoice", "choice", "choice", "alpaca_choice"),
        ("concisechoice", "choice_explained", "choice", "alpaca_choice_concise"),
        ("summarizetldr", "summary", "summarize", "summarize"),
        ("context_qa.load", "article_qa", "context_qa", "context_qa"),
        ("context_qa.load_v2", "context_qa", "context_qa", "context_qa_v2"),
        ("context_qa.load_404", "context_404", "context_404", "context_qa"),
        ("creative_acr.load_answer", "creative", "creative_answer", "creative_answer"),
        ("creative_acr.load_critique", "critique", "creative_critique", "alpaca_w_system"),
        ("creative_acr.load_revise", "revise", "creative_critique", "alpaca_w_system"),
        ("metharme", "metharme", "metharme", None),
        ("pygmalion", "pygmalion", "sharegpt", "pygmalion"),
        ("orcamini", "orca", "alpaca", "orcamini"),
    )
    return [
        Case({"type": axolotl}, shape, tokenizer, ours, template, encode={} if ours in WHOLE else {"pieces": "separate"})
        for axolotl, shape, ours, template in table
        for tokenizer in TOKENIZERS
    ]


USER_DEFINED = {
    "field_instruction": "instruction",
    "field_input": "input",
    "field_output": "output",
    "field_system": "system",
    "format": "[INST] {instruction} ({input}) [/INST]",
    "no_input_format": "[INST] {instruction} [/INST]",
    "system_format": "<<{system}>>\n",
}


def _plain() -> list[Case]:
    """Types without a template."""
    separate = {"pieces": "separate"}
    out: list[Case] = []
    for tokenizer in TOKENIZERS:
        out += [
            Case({"type": "completion"}, "text", tokenizer, "text"),
            Case(
                {"type": "completion"},
                "text",
                tokenizer,
                "text",
                config={"sequence_len": 16},
                encode={"max_length": 16},
                note="16 tokens",
            ),
            Case({}, "token_ids", tokenizer, "pretokenized"),
            Case({"type": "input_output"}, "segments", tokenizer, "input_output", encode=separate),
            Case(
                {"type": "input_output"},
                "segments",
                tokenizer,
                "input_output",
                config={"train_on_inputs": True},
                encode={**separate, "train_on_inputs": True},
                note="train_on_inputs",
            ),
            Case(
                {"type": USER_DEFINED},
                "instruct_system",
                tokenizer,
                "user_defined",
                data={"type": USER_DEFINED},
                encode=separate,
            ),
            Case({"type": "stepwise_supervised"}, "steps", tokenizer, "prm", encode=separate),
            Case(
                {"type": "stepwise_supervised", "step_separator": " <step>\n", "train_on_last_step_only": True},
                "steps",
                tokenizer,
                "prm",
                encode=separate,
                note="options dropped",
            ),
            Case(
                {"type": "stepwise_supervised"},
                "steps",
                tokenizer,
                "prm",
                forced={"step_separator": " <step>\n", "train_on_last_step_only": True},
                data={"step_separator": " <step>\n", "train_on_last_step_only": True},
                encode=separate,
                note="last step only",
            ),
        ]
    return out


CHATS = (
    ("chatml", "qwen2.5"),
    ("chatml", "phi-3-mini+chatml"),
    ("chatml", "tiny-llama"),
    ("llama3", "qwen2.5+llama3"),
    ("mistral_v1", "mistral-v1"),
    ("mistral_v2v3", "mistral-v1"),
    ("mistral_v3_tekken", "qwen2.5+mistral"),
    ("mistral_v7_tekken", "qwen2.5+mistral"),
    ("gemma", "metaspace+gemma"),
    ("gemma3", "metaspace+gemma"),
    ("phi_3", "phi-3-mini"),
    ("phi_35", "phi-3-mini"),
    ("qwen_25", "qwen2.5"),
    ("qwen3", "qwen2.5"),
    ("qwen3_5", "qwen2.5"),
    ("tokenizer_default", "qwen2.5"),
    ("tokenizer_default", "mistral-v1"),
    ("tokenizer_default", "phi-3-mini"),
    ("tokenizer_default", "titan-tiny"),
)
"""Template and tokenizer pairs that plain conversations are compared with."""
NO_SYSTEM = ("gemma", "gemma3", "mistral_v1", "mistral_v2v3", "mistral_v3_tekken")
"""Templates that refuse a system message or move it into the user's."""
MAPPED = {"field_messages": "conversations", "message_property_mappings": {"role": "from", "content": "value"}}


TWO_ENDS = (
    "{% for message in messages %}{{ '<|im_start|>' + message.role + '\\n' + message.content"
    " + '<|im_end|><|endoftext|>\\n' }}{% endfor %}"
    "{% if add_generation_prompt %}{{ '<|im_start|>assistant\\n' }}{% endif %}"
)
"""Ends every turn with two special tokens."""
LLAMA3X = (
    "{{ '<|begin_of_text|>' }}{% for message in messages %}{{ '<|start_header_id|>' + message.role"
    " + '<|end_header_id|>\\n\\n' + message.content + '<|eot_id|>' }}{% endfor %}"
    "{% if add_generation_prompt %}{{ '<|start_header_id|>assistant<|end_header_id|>\\n\\n' }}{% endif %}"
)
"""What `messages.chat` writes with llama3: contents as they are, which the bundled template strips."""


ZEPHYR = (
    "{{ '<|system|>\\n</s>\\n' }}{% for message in messages %}{% if message.role == 'user' %}"
    "{{ '<|user|>\\n' + message.content + '</s>\\n' }}{% else %}{{ '<|assistant|>\\n' + message.content }}{% endif %}"
    "{% endfor %}{% if add_generation_prompt %}{{ '<|assistant|>\\n' }}{% endif %}"
)
"""What `zephyr.nectar` writes: no token ends the answer."""


def chat(template: str, tokenizer: str, shape: str, **more: Any) -> Case:
    """A `chat_template` case with axolotl's bundled template, or the tokenizer's own."""
    ours = None if template == "tokenizer_default" else f"bundled:{template}"
    keys = dict(more.pop("axolotl", {}))
    config = {"chat_template": template, **more.pop("config", {})}
    return Case({"type": "chat_template", **keys}, shape, tokenizer, more.pop("type", "messages"), ours, config, **more)


def _chats() -> list[Case]:
    out: list[Case] = []
    for template, tokenizer in CHATS:
        shape = "no_system" if template in NO_SYSTEM else "messages"
        out.append(chat(template, tokenizer, shape))
    for template, tokenizer in (("chatml", "qwen2.5"), ("llama3", "qwen2.5+llama3"), ("phi_3", "phi-3-mini")):
        out.append(chat(template, tokenizer, "sharegpt", type="sharegpt", axolotl=MAPPED, note="sharegpt"))
    return out


def _masks() -> list[Case]:
    """Every option of `chat_template` that decides what is trained."""
    out: list[Case] = []
    for template, tokenizer, eot in (
        ("chatml", "qwen2.5", "<|im_end|>"),
        ("llama3", "qwen2.5+llama3", "<|eot_id|>"),
        ("phi_3", "phi-3-mini", "<|end|>"),
        ("gemma", "metaspace+gemma", "<end_of_turn>"),
    ):
        shape = "no_system" if template in NO_SYSTEM else "messages"
        given = {"eot_tokens": [eot]}
        out.append(chat(template, tokenizer, shape, config=given, encode=given, note=f"eot_tokens {eot}"))
        for when in ("all", "last", "none"):
            said = {"train_on_eos": when}
            out.append(
                chat(template, tokenizer, shape, axolotl=said, config=given, encode=said, note=f"train_on_eos {when}")
            )
        inputs = {"train_on_inputs": True}
        out.append(
            chat(template, tokenizer, shape, config={**inputs, **given}, encode=inputs, note="train_on_inputs")
        )
        roles = {"roles_to_train": ["user"]}
        out.append(chat(template, tokenizer, shape, axolotl=roles, config=given, encode=roles, note="roles_to_train"))
    for when in ("all", "turn", "last", "none"):
        for eos in ("turn", "none"):
            said = {"train_on_eot": when, "train_on_eos": eos}
            eot = {"eot_tokens": ["<|endoftext|>"]}
            out.append(
                Case(
                    {"type": "chat_template", **said},
                    "messages",
                    "qwen2.5",
                    "messages",
                    TWO_ENDS,
                    {"chat_template": "jinja", "chat_template_jinja": TWO_ENDS, **eot},
                    encode={**said, **eot},
                    note=f"two ends, train_on_eot {when}, train_on_eos {eos}",
                )
            )
    return out


def _row_options() -> list[Case]:
    """Options of `chat_template` that decide how rows are read."""
    drop = {"drop_system_message": True}
    split = {"split_thinking": True}
    roles = {"roles": {"user": ["human"], "assistant": ["gpt"], "system": ["system"]}}
    spelled = {"data": {"roles": {"human": "user", "gpt": "assistant", "system": "system"}}}
    return [
        chat("chatml", "qwen2.5", "messages", axolotl=drop, data=drop, note="drop_system_message"),
        chat("chatml", "qwen2.5", "sharegpt", type="sharegpt", axolotl={**MAPPED, **roles}, **spelled, note="roles"),
        chat("chatml", "qwen2.5", "flags", axolotl={"message_field_training": "train"}, note="training flags"),
        chat("llama3", "qwen2.5+llama3", "flags", axolotl={"message_field_training": "train"}, note="training flags"),
        chat("chatml", "qwen2.5", "weights", axolotl={"message_field_training": "weight"}, note="weights"),
        *(
            chat(template, tokenizer, "spans", axolotl={"message_field_training_detail": "train_detail"}, note="spans")
            for template, tokenizer in (("chatml", "qwen2.5"), ("chatml", "phi-3-mini+chatml"), ("phi_3", "phi-3-mini"))
        ),
        chat("chatml", "qwen2.5", "parts", note="content parts"),
        chat("chatml", "phi-3-mini+chatml", "parts", note="content parts"),
        chat("qwen_25", "qwen2.5", "tools", note="tools"),
        chat(
            "qwen_25",
            "qwen2.5",
            "tools_elsewhere",
            axolotl={"field_tools": "functions"},
            data={"columns": {"tools": "functions"}},
            note="field_tools",
        ),
        chat("tokenizer_default", "qwen2.5", "tools", note="tools"),
        chat("qwen3", "qwen2.5", "tools", note="tools"),
        chat("qwen3", "qwen2.5", "reasoning", note="reasoning_content"),
        chat("qwen3", "qwen2.5", "thinking", axolotl=split, data=split, note="split_thinking"),
        chat("qwen3", "qwen2.5", "thinking", note="raw tags"),
        chat("qwen3_5", "qwen2.5", "reasoning", note="reasoning_content"),
        chat("chatml", "qwen2.5", "thinking", note="raw tags"),
    ]


def _messages_chat() -> list[Case]:
    kind = {"type": "messages.chat"}
    return [
        Case(kind, shape, tokenizer, "messages", template, {"chat_template": name}, note=shape)
        for template, name, tokenizer in (
            ("bundled:chatml", "chatml", "qwen2.5"),
            (LLAMA3X, "llama3", "qwen2.5+llama3"),
        )
        for shape in ("messages", "weights")
    ]


def _judged() -> list[Case]:
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
    wording = {"prompt_format": "Q: {prompt}\nS: {system}\n", "chosen_format": "{chosen}!", "rejected_format": "{rejected}?"}
    out.append(_judged_case("dpo", dict(wording), "pair", "qwen2.5", None, data={**wording, "text_as": "text"}))
    answer = {"prompt_format": "Q: {prompt}\nA:", "completion_format": " {completion}"}
    out.append(_judged_case("kto", dict(answer), "unpaired", "qwen2.5", None, "kto", data={**answer, "text_as": "text"}))
    return out


def _judged_case(
    rl: str, kind: Any, shape: str, tokenizer: str, template: str | None, type: str = "dpo", **more: Any
) -> Case:
    config = {"rl": rl, **more.pop("config", {})}
    if rl == "kto":
        config["remove_unused_columns"] = False
    return Case({"type": kind}, shape, tokenizer, type, template, config, kind="texts", note=shape, **more)


def _rewards() -> list[Case]:
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


ALL = (*_prompted(), *_plain(), *_chats(), *_masks(), *_row_options(), *_messages_chat(), *_judged(), *_rewards())
CASES: dict[str, Case] = {case.name: case for case in ALL}
assert len(CASES) == len(ALL), "two cases of one name"

NOT_COMPARED = {
    "_synthetic.load": "draws random ids and reads no rows",
    "pretrain.load": "streamed under pretraining_dataset, in windows that overlap",
    "llama2_chat.load": "pads every row to sequence_len and masks most rows whole (tokenization mismatch)",
    "bradley_terry.llama3.icr": "cannot be named: the loader looks for `load` in its module",
    **{
        f"ebft.{name}": "rl: ebft has no counterpart here"
        for name in (
            "ebft_chat_multiturn.transform",
            "ebft_chat_multiturn.transform_all_turns",
            "ebft_chat_multiturn.transform_last_turn",
            "ebft_opencode.transform",
            "ebft_pretrain.transform",
            "ebft_reasoning.transform",
            "ebft_reasoning.transform_answer_only",
            "ebft_reasoning.transform_split_thinking",
            "ebft_reasoning.transform_strided",
            "ebft_strided_chat.transform",
            "ebft_strided_structured.transform",
        )
    },
}
"""Functions of axolotl's that a type can name, or seems to, and that no case compares; a test holds the list complete."""
REFUSED = {
    "sharegpt": ({"type": "sharegpt"}, {}, "sharegpt"),
    "alpaca:load_no_prompt": ({"type": "alpaca:load_no_prompt"}, {}, "instruct"),
    "bradley_terry.llama3": ({"type": "bradley_terry.llama3"}, {"reward_model": True}, "bradley_terry"),
    "dpo: chatml.argilla": ({"type": "chatml.argilla"}, {"rl": "dpo"}, "pair_instruction"),
    "dpo: llama3.argilla": ({"type": "llama3.argilla"}, {"rl": "dpo"}, "pair_instruction"),
    "phi_4": ({"type": "chat_template"}, {"chat_template": "phi_4"}, "messages"),
}
"""Types and templates that are documented, shipped or well known, and that axolotl 0.19.0 refuses."""


def function_of(case: Case) -> str | None:
    """The function of axolotl's that a case reaches, as its oracle names it; None where the type is empty."""
    kind, rl = case.axolotl.get("type"), case.config.get("rl")
    if rl:
        return f"{rl}.user_defined.default" if isinstance(kind, Mapping) else f"{rl}.{kind}" if kind else None
    if isinstance(kind, Mapping):
        return "user_defined.load"
    if not kind:
        return None
    base = str(kind).split(":")[0]
    return base if base in HANDLERS or ".load" in base else f"{base}.load"


HANDLERS = "alpaca explainchoice concisechoice summarizetldr jeopardy oasst gpteacher reflection".split()
