"""Payloads for the viewer, built by hand: no tokenizer, no file, the wire format of docs/wire.md and nothing else."""

import re
from typing import Any

REASONS = {
    "assistant": 'These characters come from an assistant message, and train_on="assistant" trains those.',
    "stop": "The token that ends an answer is trained, so that the model learns to stop.",
    "header": "The inference prompt supplies it, so it is not trained.",
    "after_stop": "It stands after the stop token and is never generated.",
    "other_role": 'It is not the assistant\'s, and train_on="assistant" trains answers only.',
    "padding": "Padding is never trained.",
}
TEMPLATE = [
    "{%- for message in messages %}",
    "{{- '<|im_start|>' + message.role + '\\n' }}",
    "{{- message.content + '<|im_end|>' + '\\n' }}",
    "{%- endfor %}",
]
PIECE = re.compile(r" ?[^\W_]+|\n+| {2,}(?=\S)| ?[^\w\s]+|\s|_", re.UNICODE)

Token = dict[str, Any]


def _token(text: str, **members: Any) -> Token:
    base: Token = {
        "text": text,
        "bytes": None,
        "trained": 0,
        "special": 0,
        "reason": "other_role",
        "field": None,
        "line": 2,
    }
    return base | members


def _content(text: str, field: str, trained: bool) -> list[Token]:
    reason = "assistant" if trained else "other_role"
    tokens = []
    for piece in PIECE.findall(text):
        if ord(piece[-1]) > 0xFFFF:
            raw = piece.encode()
            parts = [("", raw[:-2].hex(" ")), ("", raw[-2:-1].hex(" ")), ("", raw[-1:].hex(" "))]
        else:
            parts = [(piece, None)]
        tokens += [
            _token(
                t,
                bytes=b,
                trained=int(trained),
                reason=reason,
                field=field,
                line=3,
                shares=len(piece),
                last=b is parts[-1][1],
            )
            for t, b in parts
        ]
    return tokens


def _message(index: int, role: str, content: str) -> list[Token]:
    trained = role == "assistant"
    outside = "header" if trained else "other_role"
    return [
        _token("<|im_start|>", special=1, reason=outside),
        _token(role, reason=outside, field=f"messages[{index}].role"),
        _token("\n", reason=outside),
        *_content(content, f"messages[{index}].content", trained),
        _token("<|im_end|>", special=1, trained=int(trained), reason="stop" if trained else "other_role", line=3),
        _token("\n", reason="after_stop" if trained else "other_role", line=3),
    ]


def _columns(
    tokens: list[Token], roles: list[str | None], positions: list[int]
) -> tuple[dict[str, Any], dict[str, Any]]:
    tables: dict[str, list[Any]] = {"reason": [], "field": [], "line": [], "role": []}

    def at(table: str, value: Any) -> int:
        if value not in tables[table]:
            tables[table].append(value)
        return tables[table].index(value)

    starts, ends, end = [], [], 0
    for token in tokens:
        starts.append(end)
        length = len(token["text"]) if token["bytes"] is None else token["shares"]
        ends.append(end + length)
        end += length if token["bytes"] is None or token["last"] else 0  # parts of a character share its place
    columns = {
        "id": [100 + sum(ord(c) for c in t["text"]) % 50_000 for t in tokens],
        "text": [t["text"] for t in tokens],
        "bytes": [t["bytes"] for t in tokens],
        "start": starts,
        "end": ends,
        "trained": [t["trained"] for t in tokens],
        "special": [t["special"] for t in tokens],
        "reason": [at("reason", t["reason"]) for t in tokens],
        "field": [at("field", t["field"]) for t in tokens],
        "line": [at("line", t["line"]) for t in tokens],
        "role": [at("role", role) for role in roles],
        "position": positions,
    }
    return columns, tables


def row(
    messages: list[tuple[str, str]], position: int = 0, findings: list[dict[str, Any]] | None = None
) -> dict[str, Any]:
    """One row of a ChatML-like rendering."""
    tokens: list[Token] = []
    segments, roles = [], []
    for index, (role, content) in enumerate(messages):
        start = len(tokens)
        tokens += _message(index, role, content)
        trained = sum(t["trained"] for t in tokens[start:])
        segments.append({"role": role, "message": index, "start": start, "end": len(tokens), "trained": trained})
        roles += [role] * (len(tokens) - start)
    columns, tables = _columns(tokens, roles, list(range(len(tokens))))
    return {
        "position": position,
        "row": position,
        "title": f"Row {position}",
        "type": "messages",
        "characters": columns["end"][-1] if tokens else 0,
        "truncated": 0,
        "tokens": columns,
        "tables": tables,
        "segments": segments,
        "documents": [],
        "findings": findings or [],
    }


def finding(code: str, severity: str, message: str, field: str | None = None, remedy: str = "") -> dict[str, Any]:
    """A finding of row 0."""
    return {
        "code": code,
        "severity": severity,
        "message": message,
        "row": 0,
        "field": field,
        "remedy": remedy,
        "line": None,
    }


def payload(rows: list[dict[str, Any]], **members: Any) -> dict[str, Any]:
    """A payload around rows."""
    base = {
        "version": 1,
        "kind": "rows",
        "handle": None,
        "title": "chats.jsonl",
        "subtitle": "template chatml, tokenizer tiny",
        "row_count": len(rows),
        "totals": None,
        "first": rows[0]["position"],
        "rows": rows,
        "template": {"name": "chatml", "sha256": "0" * 64, "origin": "made for the test", "lines": TEMPLATE},
        "reasons": REASONS,
        "badge": None,
        "code": "enc[0]",
    }
    return base | members


COOK = [
    ("system", "You are a patient teacher. Use plain words and keep it short."),
    ("user", "Explain LoRA to a cook."),
    (
        "assistant",
        "Think of the big recipe book as finished and locked in a cabinet. LoRA never rewrites it. You keep a thin "
        "stack of sticky notes and read both at once: the book says “roast for 40 minutes”, the note says “at 180 °C, "
        "baste twice”. Notes are small, so they are cheap to write and easy to throw away. \U0001f373",
    ),
    ("user", "And what is r=16?"),
    (
        "assistant",
        "`r` is how much fits on one note. With `r=16` every note has 16 lines:\n```python\nconfig = LoraConfig(\n"
        "    r=16, lora_alpha=32)\n```\nMore lines can hold a finer correction, but they need more memory.",
    ),
    ("user", "السلام عليكم، اشرح LoRA بالعربية."),
    ("assistant", "الكتاب يبقى كما هو، وتُضاف أوراق ملاحظات صغيرة فقط.\nThe book stays; only notes are added."),
]
HOSTILE = [
    ("user", '<script>window.__pwned = 1</script><img src=x onerror="window.__pwned = 2">'),
    (
        "assistant",
        "a\u202eevil\u202c b\u200bc \u0000\u001b[31m \ufeff ​<b onmouseover=window.__pwned=3>bold</b> &lt;i&gt;",
    ),
]


def cook(position: int = 0) -> dict[str, Any]:
    """A conversation with code, right-to-left text, an emoji in bytes and two findings."""
    return row(
        COOK,
        position,
        [
            finding(
                "WB305",
                "warning",
                "The answer ends without a full stop.",
                "messages[2].content",
                "Look at the row in the file.",
            ),
            finding("WB501", "info", "The same question is in 3 other rows.", None),
        ],
    )


def packed() -> dict[str, Any]:
    """One packed batch row: three documents and padding."""
    tokens: list[Token] = []
    segments, roles, positions, documents = [], [], [], []
    for data_row, messages in ((14, COOK[1:3]), (3, COOK[3:5]), (88, COOK[1:3])):
        begin = len(tokens)
        for index, (role, content) in enumerate(messages):
            start = len(tokens)
            tokens += _message(index, role, content)
            trained = sum(t["trained"] for t in tokens[start:])
            segments.append({"role": role, "message": index, "start": start, "end": len(tokens), "trained": trained})
            roles += [role] * (len(tokens) - start)
        positions += range(len(tokens) - begin)
        documents.append({"row": data_row, "start": begin, "end": len(tokens)})
    tokens += [_token("<|endoftext|>", special=1, reason="padding", line=None)] * 41
    roles += [None] * 41
    positions += [0] * 41
    columns, tables = _columns(tokens, roles, positions)
    base = row(COOK[:1])
    return base | {
        "row": None,
        "title": "Packed row 0",
        "type": "packed",
        "tokens": columns,
        "tables": tables,
        "segments": segments,
        "documents": documents,
        "characters": columns["end"][-1],
    }


def long_row(tokens: int) -> dict[str, Any]:
    """A row of at least so many tokens in a few long messages."""
    sentence = "The quick brown fox, number 7, jumps over 13 lazy dogs; then it rests a while. "
    per_message = tokens // 6
    text = sentence * (per_message // 19 + 1)
    return row([("user" if i % 2 == 0 else "assistant", text) for i in range(6)])
