"""What is compared with axolotl: one case is rows of one shape under one axolotl type, template and tokenizer.

CASES["alpaca:chat / qwen2.5"].job(...)   what axolotl is asked
CASES["alpaca:chat / qwen2.5"].data_keywords, .encode_keywords   what the workbench is asked
"""

from axolotl_case import LLAMA3X, TOKENIZERS, TWO_ENDS, Case, chat
from axolotl_judged import judged, rewards

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
        Case(
            {"type": axolotl}, shape, tokenizer, ours, template, encode={} if ours in WHOLE else {"pieces": "separate"}
        )
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
        out.append(chat(template, tokenizer, shape, config={**inputs, **given}, encode=inputs, note="train_on_inputs"))
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


ALL = (*_prompted(), *_plain(), *_chats(), *_masks(), *_row_options(), *_messages_chat(), *judged(), *rewards())
CASES: dict[str, Case] = {case.name: case for case in ALL}
assert len(CASES) == len(ALL), "two cases of one name"
