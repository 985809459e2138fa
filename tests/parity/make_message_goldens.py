"""What axolotl makes of messages: roles, thinking split off, spans and parts. Run by axolotl's own interpreter.

    $AXOLOTL_PYTHON tests/parity/make_message_goldens.py tests/golden/axolotl_messages.json

axolotl's real chat template strategy tokenizes with one token a character, so that labels say which characters are
trained. A case is `{"name", "dataset": keys of the data set, "messages"}`; its answer adds `turns`, what its template
gets, and `trained`, the characters with a label, `|` between those that do not follow each other.
"""

import importlib.metadata
import json
import os
import sys
from itertools import groupby

os.dup2(2, 1)  # libraries print to stdout; nobody reads it here
os.environ.update(AXOLOTL_DO_NOT_TRACK="1", CUDA_VISIBLE_DEVICES="", HF_HUB_OFFLINE="1", AXOLOTL_LOG_LEVEL="ERROR")

EOS = "\ue001"
TEMPLATE = (
    "{% for m in messages %}{{ m.role }}:\ue002{% if m.reasoning_content is defined %}{{ m.reasoning_content }}\ue003"
    "{% endif %}{{ m.content }}\ue001{% endfor %}"
)
MARKS = "\ue002\ue003"
"""Characters of the template around what messages say; whether they have a label is no matter here."""
KEYS = {"message_field_training": "training", "message_field_training_detail": "train_detail"}
THINK = "<think>\nadd\n</think>\n\n4"


def user(text="q"):
    """A question."""
    return {"role": "user", "content": text}


def said(content, **more):
    """An answer."""
    return {"role": "assistant", "content": content, **more}


def span(begin, end, train=True):
    """An entry of train_detail."""
    return {"begin_offset": begin, "end_offset": end, "train": train}


def part(text, **flags):
    """A part of a content list."""
    return {"type": "text", "text": text, **flags}


WELL = "I'm doing very well, thank you!"
SPLIT = {"split_thinking": True}
CASES = {
    "span": ({}, [user(), said(WELL, train_detail=[span(0, 8, False), span(9, 18), span(19, 30, False)])]),
    "spans that leave text out": ({}, [user(), said(WELL, train_detail=[span(9, 18)])]),
    "spans out of order": ({}, [user(), said(WELL, train_detail=[span(19, 30), span(0, 8)])]),
    "spans that overlap and agree": ({}, [user(), said(WELL, train_detail=[span(0, 12), span(9, 18)])]),
    "span of one character": ({}, [user(), said(WELL, train_detail=[span(4, 4)])]),
    "span over all": ({}, [user(), said(WELL, train_detail=[span(0, 30)])]),
    "no spans in the list": ({}, [user(), said("a", train_detail=[]), user(), said("b")]),
    "span of a user": ({}, [user(WELL) | {"train_detail": [span(9, 18)]}, said("a")]),
    "span of a message that is switched off": ({}, [user(), said(WELL, training=False, train_detail=[span(9, 18)])]),
    "span behind characters beyond U+FFFF": ({}, [user(), said("👩 very well", train_detail=[span(2, 5)])]),
    "parts": ({}, [user(), said([part("Let me see.", train=False), part(" Four.", train=True)])]),
    "part with weight": ({}, [user(), said([part("Let me see.", weight=0), part(" Four.", weight=1)])]),
    "part without a flag": ({}, [user(), said([part("Let me see.", train=False), part(" Four.")])]),
    "parts without flags": ({}, [user(), said([part("Let me see."), part(" Four.")])]),
    "part with no text": ({}, [user(), said([part("", train=False), part("Four.", train=True)])]),
    "parts of a user": ({}, [user([part("a", train=True), part("b", train=False)]), said("c")]),
    "parts without flags beside spans": ({}, [user(), said([part("abc"), part("def")], train_detail=[span(2, 3)])]),
    "reasoning": ({}, [user(), said("Four.", reasoning_content="add")]),
    "reasoning in parts": (
        {},
        [user(), said("Four.", reasoning_content=[part("add", train=False), part(" up", train=True)])],
    ),
    "reasoning beside a span": ({}, [user(), said(WELL, reasoning_content="add", train_detail=[span(9, 18)])]),
    "reasoning and content in parts": (
        {},
        [
            user(),
            said(
                [part("Fo", train=False), part("ur.", train=True)],
                reasoning_content=[part("add", train=True), part(" up", train=False)],
            ),
        ],
    ),
    "thinking": (SPLIT, [user(), said(THINK)]),
    "thinking without white space": (SPLIT, [user(), said("<think>x</think>b"), user(), said("<think>y</think>d")]),
    "thinking behind white space": (SPLIT, [user(), said(" \n<think> a b </think> c ")]),
    "thinking of nothing": (SPLIT, [user(), said("<think>\n\n</think>\n\nb")]),
    "thinking only": (SPLIT, [user(), said("<think>a</think>"), user(), said("b")]),
    "reasoning tags": (SPLIT, [user(), said("<reasoning>a</reasoning>\nb")]),
    "thought tags": (SPLIT, [user(), said("<|begin_of_thought|>\na\n<|end_of_thought|>\nb")]),
    "solution tags": (
        SPLIT,
        [
            user(),
            said(
                "<|begin_of_thought|>\na\n<|end_of_thought|>\n\n<|begin_of_solution|>\n b\n<|end_of_solution|>\n"
            ),
        ],
    ),
    "thinking of a user": (SPLIT, [user(THINK), said("b")]),
    "thinking with a tag inside": (SPLIT, [user(), said("<think>a <think> b</think>c</think>d")]),
    "thinking of another role": (SPLIT, [{"role": "tool", "content": THINK}, said("b")]),
    "thinking that is not closed": (SPLIT, [user(), said("<think>a b")]),
    "thinking that is not split": ({}, [user(), said(THINK)]),
    "roles": (
        {"roles": {"user": ["customer"], "assistant": ["agent", "bot"]}},
        [{"role": "customer", "content": "a"}, {"role": "agent", "content": "b"}, {"role": "bot", "content": "c"}],
    ),
    "role that templates do not know": (
        {"roles": {"critic": ["judge"], "user": ["user"], "assistant": ["assistant"]}},
        [user(), {"role": "judge", "content": "b"}, said("c")],
    ),
    "system dropped": ({"drop_system_message": True}, [{"role": "system", "content": "s"}, user(), said("b")]),
    "system in the middle": (
        {"drop_system_message": True},
        [user(), {"role": "system", "content": "s"}, said("b")],
    ),
}  # fmt: skip


def tokenizer():
    """A fast tokenizer whose tokens are characters."""
    from tokenizers import Regex, Tokenizer, models, pre_tokenizers
    from transformers import PreTrainedTokenizerFast

    chars = sorted(set(json.dumps(CASES, ensure_ascii=False) + TEMPLATE + "\n") | set(map(chr, range(32, 127))))
    raw = Tokenizer(models.WordLevel({char: i for i, char in enumerate(chars)}, unk_token=" "))
    raw.pre_tokenizer = pre_tokenizers.Split(Regex("[\\s\\S]"), "isolated")
    return PreTrainedTokenizerFast(tokenizer_object=raw, eos_token=EOS, chat_template=TEMPLATE)


def answer(chars, dataset, messages):
    """What axolotl's strategy makes of one conversation."""
    from axolotl.prompt_strategies.chat_template import load
    from axolotl.utils.dict import DictDefault

    cfg = DictDefault({"train_on_inputs": False, "sequence_len": 10**6, "chat_template": "tokenizer_default"})
    strategy = load(chars, cfg, {**KEYS, "train_on_eos": "none", **dataset})
    turns = strategy.get_conversation_thread({"messages": json.loads(json.dumps(messages))})
    row = strategy.tokenize_prompt({"messages": json.loads(json.dumps(messages))})
    text = "".join(chars.convert_ids_to_tokens(row["input_ids"]))
    marked = [(char, label >= 0) for char, label in zip(text, row["labels"], strict=True) if char not in MARKS]
    trained = ["".join(char for char, _ in run) for flag, run in groupby(marked, lambda pair: pair[1]) if flag]
    seen = [{key: turn[key] for key in ("role", "content", "reasoning_content") if key in turn} for turn in turns]
    return {"turns": seen, "trained": "|".join(trained)}


def main(out):
    """Write the answers."""
    chars = tokenizer()
    cases = [
        {"name": name, "dataset": dataset, "messages": messages, **answer(chars, dataset, messages)}
        for name, (dataset, messages) in CASES.items()
    ]
    made = {"axolotl": importlib.metadata.version("axolotl"), "cases": cases}
    with open(out, "w", encoding="utf-8") as file:
        json.dump(made, file, indent=1, ensure_ascii=False)
        file.write("\n")


if __name__ == "__main__":
    main(*sys.argv[1:])
