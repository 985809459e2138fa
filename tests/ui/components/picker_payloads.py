"""States for the picker, built by hand: the wire format of docs/wire.md and nothing else."""

from typing import Any

from payloads import finding


def picker_state() -> dict[str, Any]:
    """A table of questions and answers, detected as alpaca, with three rows that do not fit."""
    bars = "10 165 281 367 259 223 177 127 107 78 50 38 32 20 15 11 7 6 4 2 2 2 3 2 0 3 2 1 1 0 0 4"
    counts = [int(bar) for bar in bars.split()]
    values = [64 * i + 1 for i, count in enumerate(counts) for _ in range(count)]
    over = sum(length > 1024 for length in values)
    return {
        "turn": 0,
        "source": {"title": "kitchen.csv", "rows": 2000, "columns": 5, "bytes": 1_100_000, "read": "all"},
        "type": "alpaca",
        "types": [
            {
                "name": "alpaca",
                "label": "instruction, optional input, and output",
                "rows": 1999,
                "total": 2000,
                "evidence": [
                    {"text": "`answer` is text in 1,999 of 2,000 rows", "role": "output"},
                    {"text": "`question` is text in 2,000 of 2,000 rows", "role": "instruction"},
                    {"text": "`context` is text in 2,000 of 2,000 rows", "role": "input"},
                ],
                "missing": [],
                "loses": [],
            },
            {
                "name": "prompt_completion",
                "label": "a prompt and its completion",
                "rows": 1999,
                "total": 2000,
                "evidence": [],
                "missing": ["`completion` as text"],
                "loses": ["context"],
            },
            {"name": "text", "label": "plain text", "rows": 0, "total": 0, "evidence": [], "missing": [], "loses": []},
        ],
        "chosen_by": "detected",
        "fit": {"rows": 1999, "total": 2000},
        "question": None,
        "notices": [],
        "columns": [
            {"name": "question", "kind": "text", "role": "instruction"},
            {"name": "context", "kind": "text or empty", "role": "input"},
            {"name": "answer", "kind": "text", "role": "output"},
            {"name": "topic", "kind": "12 values", "role": None},
            {"name": "id", "kind": "all different", "role": None},
        ],
        "roles": [
            {"name": "instruction", "required": True},
            {"name": "output", "required": True},
            {"name": "input", "required": False},
            {"name": "system", "required": False},
        ],
        "absent": [],
        "preview": PREVIEW,
        "row_numbers": [0, 1, 2, 3, 4],
        "misfits": {"rows": [misfit(1204), misfit(1310), misfit(1999)], "total": 3, "looked": 2000},
        "shown_row": None,
        "left_out": [],
        "speakers": {"roles": [], "found": []},
        "options": [],
        "lengths": {
            "values": values,
            "edges": [64 * i for i in range(33)],
            "counts": counts,
            "scale": "linear",
            "rows": len(values),
            "long": "cut",
        },
        "max_length": 1024,
        "cut": {"rows": over, "share": over / len(values)},
        "template": {
            "name": "qwen2.5",
            "groups": [
                {"of": "tokenizer", "names": ["qwen2.5"]},
                {"of": "type", "names": ["alpaca"]},
                {"of": "shipped", "names": ["chatml", "llama3"]},
            ],
            "refusal": None,
        },
        "rendered": {
            "row": 0,
            "desirable": None,
            "parts": [
                {
                    "name": "row",
                    "pieces": [
                        piece("<|im_start|>user\nHow do I keep hollandaise …<|im_end|>\n<|im_start|>assistant\n"),
                        piece("Keep it below 65 °C and add the bu…<|im_end|>", trained=True),
                    ],
                }
            ],
        },
        "code": 'data = wb.data("kitchen.csv", type="alpaca")\nenc = data.encode(chat, max_length=1024)',
    }


PREVIEW: list[list[Any]] = [
    [
        "How do I keep hollandaise from splitting?",
        "",
        "Keep it below 65 °C and add the butter slowly.",
        "sauces",
        "q-0001",
    ],
    [
        "Convert the recipe to metric.",
        "2 cups flour, 1 stick butter",
        "240 g flour, 113 g butter.",
        "units",
        "q-0002",
    ],
    ["Why does bread need salt?", "", "Salt slows the yeast and strengthens the gluten.", "baking", "q-0003"],
    ['<img src=x onerror="window.__pwned=4">', None, "<script>window.__pwned=5</script>", "menus", "q-0004"],
    ["What can replace eggs in a cake?", "for 2 eggs", "Half a cup of apple purée.", "baking", "q-0005"],
]


def piece(text: str, *, trained: bool = False, differs: bool = False) -> dict[str, Any]:
    """A stretch of a rendered row."""
    return {"text": text, "trained": trained, "differs": differs}


def misfit(row_number: int) -> dict[str, Any]:
    """A row whose answer is null."""
    found = finding("WB521", "error", "`answer` is null.", "answer", "Fill it in, or drop the row.")
    values = [
        {"name": "question", "cell": f"Is raw flour safe, {row_number}?", "bad": False},
        {"name": "context", "cell": "", "bad": False},
        {"name": "answer", "cell": None, "bad": True},
    ]
    return {"row": row_number, "finding": found | {"row": row_number}, "values": values}


def chat_state() -> dict[str, Any]:
    """Conversations in which a customer speaks, whom nobody knows."""
    said = [{"role": "customer", "text": "It broke."}, {"role": "gpt", "text": "<b>Sorry</b> to hear that."}]
    return picker_state() | {
        "type": "sharegpt",
        "columns": [{"name": "talk", "kind": "messages", "role": "conversations"}],
        "roles": [{"name": "conversations", "required": True}],
        "preview": [[{"said": said, "more": 4}]],
        "row_numbers": [0],
        "speakers": {
            "roles": ["user", "assistant", "system"],
            "found": [
                {"spelling": "customer", "count": 1204, "role": None, "known": False},
                {"spelling": "gpt", "count": 1190, "role": "assistant", "known": True},
            ],
        },
        "options": [
            {"name": "train_on", "kind": "choice", "value": "assistant", "choices": ["assistant", "all"]},
            {"name": "split_thinking", "kind": "flag", "value": False, "choices": []},
            {"name": "default_system_message", "kind": "text", "value": None, "choices": []},
        ],
    }


def pair_state() -> dict[str, Any]:
    """A preference row: shared prompt, chosen, rejected."""
    parts = [
        {"name": "prompt", "pieces": [piece("<|im_start|>user\n2+2?<|im_end|>\n<|im_start|>assistant\n")]},
        {"name": "chosen", "pieces": [piece("It is ", trained=True), piece("4", trained=True, differs=True)]},
        {"name": "rejected", "pieces": [piece("It is ", trained=True), piece("5", trained=True, differs=True)]},
    ]
    return picker_state() | {"type": "dpo", "rendered": {"row": 0, "desirable": None, "parts": parts}}
