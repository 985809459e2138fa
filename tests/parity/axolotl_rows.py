"""Rows for the comparison with axolotl: those of the shared test data, and generated ones with odd content.

generated("instruct", 200)  ->  [{"instruction": "…", "input": "…", "output": "…"}, …], the same in every run
"""

import json
import random
from pathlib import Path

ODD = (
    "[[1, 2], [3, 4]]",
    "Answer: [[7]]",
    "[[dummy_message]]",
    "]] [[",
    "zzdummymessagezz z",
    "  leading",
    "trailing  ",
    "\n\nlines\n\n",
    "tab\there",
    "😀 é漢字 日本語",
    "مرحبا e\u0301",
    "\u00a0nbsp\u00a0",
    "</think> done",
    "{braces} {{ jinja }} {% x %}",
    "{instruction} {input}",
    "1234567890 3.14159",
    "user\nassistant",
    "<|im_end|>",
    "a<|im_end|>b",
    "<|im_start|>user\nhi",
    "[INST] x [/INST]",
    "a</s>b",
    "<|eot_id|><end_of_turn>",
    "USER: x\nASSISTANT: y",
    "### Response:\nno",
    "'s don't \"quoted\"",
    "x" * 60,
    "code:\n```py\nprint('hi')\n```",
    "0",
    "-",
    ".",
)
WORDS = (
    "the sum of two and a cat sat on mats while 17 dogs ran, said Anna; why? Because it is. Hello! (yes) we can".split()
)


class Writer:
    """Draws texts from a seed of its own, so that one shape's rows do not depend on another's."""

    def __init__(self, seed):
        self.random = random.Random(seed)

    def plain(self):
        """A few words."""
        return " ".join(self.random.choice(WORDS) for _ in range(self.random.randint(1, 12)))

    def text(self):
        """A text, mostly odd in some way; never empty."""
        drawn = self.random.random()
        if drawn < 0.3:
            return self.plain()
        if drawn < 0.6:
            return self.random.choice(ODD)
        parts = [self.random.choice((self.plain(), self.random.choice(ODD))) for _ in range(self.random.randint(2, 3))]
        return self.random.choice((" ", "\n", "")).join(parts)

    def maybe(self):
        """A text, or none."""
        return self.text() if self.random.random() < 0.6 else ""

    def flag(self, chance=0.5):
        """Heads or tails."""
        return self.random.random() < chance

    def turns(self, most=4, system=0.3, answer=None):
        """(role, text) pairs that alternate and end with the assistant."""
        out = [("system", self.plain())] if self.flag(system) else []
        for _ in range(self.random.randint(1, most // 2)):
            out += [("user", self.text()), ("assistant", (answer or self.text)())]
        return out


def _columns(*names, optional=()):
    return lambda w: {name: w.maybe() if name in optional else w.text() for name in names}


def _choice(answer):
    return lambda w: {
        "question": w.text(),
        "choices": [w.text() for _ in range(w.random.randint(1, 4))],
        answer: w.text(),
    }


def _creative(w):
    scores = {name: w.random.randint(0, 10) for name in ("refusal", "creativity")}
    critiques = {name: {"explanation": w.text(), "improvements": w.plain()} for name in scores}
    return {
        "instruction": w.text(),
        "answer": w.text(),
        "scores": scores,
        "critiques": critiques,
        "revision": w.text(),
    }


def _metharme(w):
    system = f"<|system|>{w.plain()}" if w.flag() else ""
    return {"prompt": f"{system}<|user|>{w.text()}<|model|>", "generation": w.text()}


def _pygmalion(w):
    named = {"system": "system", "user": "human", "assistant": "bot"}
    return {"conversations": [{"role": named[role], "value": text} for role, text in w.turns()]}


def _segments(w):
    return {
        "segments": [{"label": w.flag(), "text": w.text()} for _ in range(w.random.randint(1, 5))]
        + [{"label": True, "text": w.text()}]
    }


def _messages(w):
    return {"messages": [{"role": role, "content": text} for role, text in w.turns()]}


def _no_system(w):
    return {"messages": [{"role": role, "content": text} for role, text in w.turns(system=0)]}


def _sharegpt(w):
    named = {"system": "system", "user": "human", "assistant": "gpt"}
    return {"conversations": [{"from": named[role], "value": text} for role, text in w.turns()]}


def _flags(w):
    return {
        "messages": [
            {"role": role, "content": text, **({"train": w.flag()} if w.flag(0.7) else {})}
            for role, text in w.turns(system=0)
        ]
    }


def _weights(w):
    return {"messages": [{"role": role, "content": text, "weight": int(w.flag())} for role, text in w.turns(system=0)]}


def _spans(w):
    """One span of whole words in the last answer, as axolotl writes them: the end is inclusive."""
    row = {"messages": [{"role": role, "content": text} for role, text in w.turns(system=0, answer=w.plain)]}
    text = row["messages"][-1]["content"]
    first, last = sorted((w.random.randrange(len(text)), w.random.randrange(len(text))))
    row["messages"][-1]["train_detail"] = [{"begin_offset": first, "end_offset": last, "train": w.flag(0.8)}]
    return row


def _parts(w):
    """Answers in parts that begin with a space, each trained or not."""
    row = _no_system(w)
    for message in row["messages"]:
        if message["role"] == "assistant":
            message["content"] = [
                {"type": "text", "text": (" " if i else "") + w.plain(), "train": w.flag()}
                for i in range(w.random.randint(1, 3))
            ]
        else:
            message["content"] = [{"type": "text", "text": message["content"]}]
    return row


def _reasoning(w):
    row = _no_system(w)
    for message in row["messages"]:
        if message["role"] == "assistant" and w.flag(0.8):
            message["reasoning_content"] = w.plain()
    return row


def _thinking(w):
    row = _no_system(w)
    for message in row["messages"]:
        if message["role"] == "assistant" and w.flag(0.8):
            message["content"] = f"<think>\n{w.plain()}\n</think>\n\n{w.plain()}"
    return row


def _tools(w):
    tool = {
        "type": "function",
        "function": {
            "name": "look_up",
            "description": w.plain(),
            "parameters": {"type": "object", "properties": {"what": {"type": "string"}}, "required": ["what"]},
        },
    }
    call = {"type": "function", "function": {"name": "look_up", "arguments": {"what": w.plain()}}}
    return {
        "tools": [tool],
        "messages": [
            {"role": "user", "content": w.text()},
            {"role": "assistant", "content": "", "tool_calls": [call]},
            {"role": "tool", "name": "look_up", "content": w.text()},
            {"role": "assistant", "content": w.text()},
        ],
    }


def _tools_elsewhere(w):
    row = _tools(w)
    return {"functions": row["tools"], "messages": row["messages"]}


def _token_ids(w):
    ids = [w.random.randrange(5, 2000) for _ in range(w.random.randint(1, 30))]
    labels = [token if w.flag(0.6) else -100 for token in ids[1:]]
    return {"input_ids": ids, "attention_mask": [1] * len(ids), "labels": [ids[0], *labels]}


def _steps(w):
    count = w.random.randint(1, 4)
    return {
        "prompt": w.text(),
        "completions": [w.text() for _ in range(count)],
        "labels": [w.flag() for _ in range(count)],
    }


def _pair(**columns):
    """A prompt, a chosen and a rejected answer that differ, in columns of the given names."""

    def made(w):
        row = {columns.get("prompt", "prompt"): w.text(), "system": w.maybe()}
        row[columns.get("chosen", "chosen")] = w.text()
        row[columns.get("rejected", "rejected")] = w.text() + " not"
        return row

    return made


def _pair_chats(most, system=0.0):
    def made(w):
        *before, (_, text) = w.turns(most=most, system=system)
        said = [{"role": role, "content": part} for role, part in before]
        return {
            "chosen": [*said, {"role": "assistant", "content": text}],
            "rejected": [*said, {"role": "assistant", "content": text + " not"}],
        }

    return made


def _ultra(w):
    row = _pair_chats(2)(w)
    return {"prompt": row["chosen"][0]["content"], "system": w.maybe(), **row}


def _pair_messages(w):
    row = _pair_chats(4)(w)
    return {"messages": row["chosen"][:-1], "chosen": row["chosen"][-1], "rejected": row["rejected"][-1]}


def _nectar(w):
    ranks = w.random.sample(range(1, 5), 4)
    return {"prompt": w.text(), "answers": [{"answer": f"{w.text()} {rank}", "rank": rank} for rank in ranks]}


def _unpaired(prompt):
    return lambda w: {prompt: w.text(), "system": w.maybe(), "completion": w.text(), "label": w.flag()}


def _unpaired_chat(w):
    return {"completion": [{"role": role, "content": text} for role, text in w.turns(system=0)], "label": w.flag()}


SHAPES = {
    "instruct": _columns("instruction", "input", "output", optional=("input",)),
    "instruct_system": _columns("instruction", "input", "output", "system", optional=("input",)),
    "instruct_response": _columns("instruction", "input", "response", optional=("input",)),
    "qa": _columns("question", "answer"),
    "camel": _columns("message_1", "message_2"),
    "orca": _columns("system_prompt", "question", "response"),
    "oasst": _columns("INSTRUCTION", "RESPONSE"),
    "jeopardy": _columns("question", "category", "answer"),
    "reflection": _columns("instruction", "input", "output", "reflection", "corrected", optional=("input",)),
    "choice": _choice("solution"),
    "choice_explained": _choice("explanation"),
    "summary": _columns("article", "summary"),
    "article_qa": _columns("article", "question", "answer"),
    "context_qa": _columns("context", "question", "answer"),
    "context_404": _columns("article", "unanswerable_question"),
    "creative": _creative,
    "critique": lambda w: {name: value for name, value in _creative(w).items() if name != "revision"},
    "revise": _creative,
    "metharme": _metharme,
    "pygmalion": _pygmalion,
    "text": _columns("text"),
    "segments": _segments,
    "messages": _messages,
    "no_system": _no_system,
    "sharegpt": _sharegpt,
    "flags": _flags,
    "weights": _weights,
    "spans": _spans,
    "parts": _parts,
    "reasoning": _reasoning,
    "thinking": _thinking,
    "tools": _tools,
    "tools_elsewhere": _tools_elsewhere,
    "token_ids": _token_ids,
    "steps": _steps,
    "pair": _pair(),
    "pair_question": _pair(prompt="question"),
    "pair_input": _pair(prompt="input"),
    "pair_instruction": _pair(prompt="instruction", chosen="chosen_response", rejected="rejected_response"),
    "pair_ultra": _ultra,
    "pair_chat": _pair_chats(2),
    "pair_chats": _pair_chats(6),
    "pair_messages": _pair_messages,
    "nectar": _nectar,
    "unpaired": _unpaired("prompt"),
    "unpaired_question": _unpaired("question"),
    "unpaired_instruction": _unpaired("instruction"),
    "unpaired_chat": _unpaired_chat,
    "bradley_terry": lambda w: {"system": w.maybe(), "input": w.text(), "chosen": w.text(), "rejected": w.text() + "."},
}


def generated(shape, count=200):
    """Rows of a shape; the same ones every time."""
    writer = Writer(f"axolotl parity {shape}")
    return [SHAPES[shape](writer) for _ in range(count)]


FILES = {
    "instruct": ("alpaca/axolotl_alpaca.json", "alpaca/identity_alpaca.json", "oumi/alpaca_format.json"),
    "instruct_context": ("dolly/dolly_fixture.json",),
    "qa": ("gsm8k/gsm8k_train.jsonl", "messages/torchtitan_sft.json"),
    "text": ("completion/c4_demo.jsonl",),
    "segments": ("template_free/axolotl_input_output.jsonl",),
    "messages": ("messages/tinker_conversations.jsonl",),
    "sharegpt": ("sharegpt/fastchat_dummy.json", "sharegpt/axolotl_conversation.json"),
    "steps": ("prm/trl_stepwise.jsonl",),
    "pair_question": ("dpo/intel_orca_format.jsonl",),
    "pair_chats": ("dpo/chat_preferences.jsonl",),
}


def shared_rows(shape, testdata: Path):
    """Every row of the shared test data that has the shape."""
    out = []
    for name in FILES.get(shape, ()):
        path = testdata / "datasets" / name
        text = path.read_text(encoding="utf-8")
        lines = [line for line in text.splitlines() if line.strip()]
        out += [json.loads(line) for line in lines] if path.suffix == ".jsonl" else json.loads(text)
    return out
