"""Write axolotl.json: what axolotl's own classes make of small rows. Run by axolotl's own interpreter:

    $AXOLOTL_PYTHON tests/golden/make_axolotl_goldens.py

The tokenizers are those of tests/tokens/tiny_tokenizer.py, so the goldens need no download.
"""

import json
import os
import sys
from importlib.metadata import version
from pathlib import Path

HERE = Path(__file__).resolve().parent
sys.path.insert(0, str(HERE.parents[1]))
os.environ.update(AXOLOTL_DO_NOT_TRACK="1", CUDA_VISIBLE_DEVICES="", HF_HUB_OFFLINE="1")

from tests.tokens.tiny_tokenizer import metaspace_tokenizer, tiny_tokenizer  # noqa: E402

CHATML = (
    "{% for m in messages %}{{ '<|im_start|>' + m.role + '\n' + m.content + '<|im_end|>\n' }}{% endfor %}"
    "{% if add_generation_prompt %}{{ '<|im_start|>assistant\n' }}{% endif %}"
)
LLAMA3 = (
    "{{ bos_token }}{% for m in messages %}{{ '<|start_header_id|>' + m.role + '<|end_header_id|>\n\n'"
    " + m.content | trim + '<|eot_id|>' }}{% endfor %}"
    "{% if add_generation_prompt %}{{ '<|start_header_id|>assistant<|end_header_id|>\n\n' }}{% endif %}"
)
MISTRAL = (
    "{{ bos_token }}{% for m in messages %}{% if m.role == 'user' %}{{ '[INST] ' + m.content + ' [/INST]' }}"
    "{% else %}{{ m.content + eos_token }}{% endif %}{% endfor %}"
)
"""Templates whose stop token is EOS and that write nothing before an answer: where axolotl's rule and ours agree."""

SEGMENTS = [
    {"label": True, "text": "<s>Hello\n"},
    {"label": True, "text": "hi there!. "},
    {"label": False, "text": "goodbye "},
    {"label": True, "text": "farewell</s>"},
]
STEPS = {"prompt": "Which?", "completions": ["9.8 is.", "So 9.8."], "labels": [True, False]}
TEXT = "on the lo and on"
ALPACA = [
    {"instruction": "Say hi", "input": "", "output": "Hello there"},
    {"instruction": "Say hi", "input": "very well", "output": "hi\n"},
    {"instruction": "Say", "input": "", "output": "goodbye</s>"},
    {"instruction": "Say", "input": "", "output": ""},
    {"instruction": "a" * 90, "input": "", "output": "hi there " * 12},
]
PACKED = [
    {"input_ids": [5, 6, 7], "labels": [-100, 6, 7], "attention_mask": [1, 1, 1], "position_ids": [0, 1, 2]},
    {"input_ids": [8, 9], "labels": [8, 9], "attention_mask": [1, 1], "position_ids": [0, 1]},
]
TOKENIZERS = {
    "bytes": lambda: tiny_tokenizer("<s>", "</s>", bos="<s>", eos="</s>", adds_bos=True),
    "bytes without BOS": lambda: tiny_tokenizer("</s>", eos="</s>"),
    "metaspace": metaspace_tokenizer,
}
OPTIONS = [
    *(
        {"train_on_eos": ends, "train_on_inputs": inputs}
        for ends in ("turn", "all", "last", "none")
        for inputs in (0, 1)
    ),
    {"roles_to_train": ["user"]},
    {"roles_to_train": ["user", "assistant"], "train_on_eos": "last"},
    {"train_on_eos": "none", "train_on_eot": "turn"},
    {"train_on_eos": "turn", "train_on_eot": "all"},
]
TALK = [
    {"role": "user", "content": "Hi"},
    {"role": "assistant", "content": "How can I help you?"},
    {"role": "user", "content": "Can you add 3+5?"},
    {"role": "assistant", "content": "The answer is 8."},
]
DETAIL = [
    {"begin_offset": 0, "end_offset": 8, "train": False},
    {"begin_offset": 9, "end_offset": 18, "train": True},
    {"begin_offset": 19, "end_offset": 30, "train": False},
]
TALKS = [
    TALK,
    [{**TALK[0], "train": True}, {**TALK[1], "train": False}, *TALK[2:]],
    [TALK[0], {"role": "assistant", "content": "I'm doing very well, thank you!", "train_detail": DETAIL}],
    [*TALK[:3]],
]
TEMPLATES = {
    "chatml": (CHATML, {"specials": ["<|im_start|>", "<|im_end|>"], "eos": "<|im_end|>", "bos": None}),
    "llama3": (LLAMA3, {"specials": ["<|start_header_id|>", "<|end_header_id|>"], "eos": "<|eot_id|>", "bos": "<s>"}),
    "mistral": (MISTRAL, {"specials": ["[INST]", "[/INST]"], "eos": "</s>", "bos": "<s>"}),
}
LENGTHS = {"long": 8192, "short": 64}


def plain(row):
    """Ids and labels of a row as lists."""
    return {key: [int(value) for value in row[key]] for key in ("input_ids", "labels")}


def rows_of(tokenizer):
    """Every kind of row for one tokenizer."""
    from axolotl.prompt_strategies.completion import CompletionPrompter, CompletionPromptTokenizingStrategy
    from axolotl.prompt_strategies.input_output import RawInputOutputPrompter, RawInputOutputStrategy
    from axolotl.prompt_strategies.stepwise_supervised import StepwiseSupervisedPromptTokenizingStrategy
    from axolotl.prompt_tokenizers import AlpacaPromptTokenizingStrategy
    from axolotl.prompters import AlpacaPrompter, PromptStyle

    segments = RawInputOutputStrategy(RawInputOutputPrompter(), tokenizer, False, 8192)
    chunks = CompletionPromptTokenizingStrategy(CompletionPrompter(), tokenizer, False, 4, max_length=256)
    made = {
        "segments": plain(segments.tokenize_prompt({"segments": SEGMENTS})),
        "steps": plain(StepwiseSupervisedPromptTokenizingStrategy(tokenizer).tokenize_prompt(STEPS)),
        "text": chunks.tokenize_prompt({"text": [TEXT]})["input_ids"],
    }
    for name, length in LENGTHS.items():
        style = AlpacaPrompter(PromptStyle.INSTRUCT.value)
        alpaca = AlpacaPromptTokenizingStrategy(style, tokenizer, False, length)
        made[f"alpaca {name}"] = [plain(alpaca.tokenize_prompt(row)) for row in ALPACA]
    return made


def masks():
    """Ids and labels of a talk under options, for the templates of tests/tokens/test_mask.py."""
    from axolotl.prompt_strategies.chat_template import ChatTemplatePrompter, ChatTemplateStrategy

    made = []
    for name, (template, tokens) in TEMPLATES.items():
        tokenizer = tiny_tokenizer(*tokens["specials"], eos=tokens["eos"], bos=tokens["bos"])
        for options in OPTIONS:
            prompter = ChatTemplatePrompter(
                tokenizer,
                chat_template=template,
                message_property_mappings={"role": "role", "content": "content"},
                message_field_training="train",
                message_field_training_detail="train_detail",
                field_messages="messages",
            )
            given = {"roles_to_train": ["assistant"], "train_on_eos": "turn", "train_on_inputs": False, **options}
            strategy = ChatTemplateStrategy(prompter, tokenizer, sequence_len=8192, **given)
            for index, messages in enumerate(TALKS):
                row = strategy.tokenize_prompt({"messages": [dict(message) for message in messages]})
                made.append({"template": name, "options": options, "talk": index, **plain(row)})
    return made


def packing(tokenizer):
    """One packed batch of axolotl's collator, padded to 8."""
    from axolotl.utils.collators.batching import V2BatchSamplerDataCollatorForSeq2Seq

    tokenizer.pad_token = tokenizer.eos_token
    collate = V2BatchSamplerDataCollatorForSeq2Seq(tokenizer, pad_to_multiple_of=8, return_tensors="pt")
    return {key: value.tolist() for key, value in collate([[dict(row) for row in PACKED]]).items()}


def main():
    """Run everything and write it down."""
    made = {"axolotl": version("axolotl"), "licence": "values computed by axolotl (Apache-2.0); no text of it"}
    made["rows"] = {name: rows_of(make()) for name, make in TOKENIZERS.items()}
    made["talks"], made["masks"] = TALKS, masks()
    made["packed"] = packing(TOKENIZERS["bytes"]())
    (HERE / "axolotl.json").write_text(json.dumps(made, separators=(",", ":")) + "\n", encoding="utf-8")


if __name__ == "__main__":
    main()
