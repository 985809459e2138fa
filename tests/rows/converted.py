"""Short ways to look at a converted row."""

import json

from workbench.rows.formats import FORMATS

SUPPORTED = [name for name, entry in FORMATS.items() if not entry.joined]


def plain(messages):
    return json.loads(json.dumps(messages))


def codes(findings, severity=None):
    return [f.code for f in findings if severity in (None, f.severity)]


def origin(text):
    return text.runs[0].origin


def chat(*messages):
    return {"messages": [{"role": role, "content": content} for role, content in messages]}
