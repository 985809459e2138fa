"""A process of its own for templates that are being edited: an endless loop there is ended, and nothing else stops.

    parent  -- {"op": "trace", …} -->  python -m workbench.templates.guarded  -- {"traced": …} | {"error": …} -->

One JSON object a line each way. The process starts with the first question (0.2 s), has limited memory, and is killed
when a question takes longer than SECONDS; the next question starts a fresh one. It imports no tokenizer and no torch.
"""

from __future__ import annotations

import contextlib
import json
import math
import os
import signal
import subprocess
import sys
import threading
from collections.abc import Callable, Mapping
from dataclasses import asdict
from pathlib import Path
from typing import Any

from workbench.errors import TemplateError
from workbench.templates.properties import Property, properties_from, properties_of
from workbench.templates.sent import packed_talk, packed_template, packed_traced, talk_from, template_from, traced_from
from workbench.templates.traced import Traced, trace
from workbench.types import Conversation, TemplateInfo

SECONDS = 3.0
"""How long one question may take: a row of 100,000 tokens takes less than one second."""

MEMORY_BYTES = 1 << 30
"""Address space of the process."""


class GuardedRenderer:
    """Renders in a process that may be killed. One question at a time."""

    def __init__(self, seconds: float = SECONDS) -> None:
        self.seconds = seconds
        self._process: subprocess.Popen[str] | None = None
        self._lock = threading.Lock()

    def trace(
        self,
        talk: Conversation,
        template: TemplateInfo,
        *,
        add_generation_prompt: bool = False,
        variables: Mapping[str, Any] | None = None,
    ) -> Traced:
        """As `templates.traced.trace`.

        Raises:
            TemplateError: As there; WB109 where the template takes too long or too much memory.
        """
        answer = self._ask(
            {
                "op": "trace",
                "talk": packed_talk(talk),
                "template": packed_template(template),
                "add_generation_prompt": add_generation_prompt,
                "variables": dict(variables or {}),
            }
        )
        return traced_from(answer["traced"])

    def properties(self, template: TemplateInfo) -> tuple[Property, ...]:
        """As `templates.properties.properties_of`.

        Raises:
            TemplateError: WB101 where it does not compile, WB109 where it takes too long or too much memory.
        """
        return properties_from(self._ask({"op": "properties", "template": packed_template(template)})["properties"])

    def close(self) -> None:
        """End the process, if there is one."""
        with self._lock:
            self._end()

    def _ask(self, question: Mapping[str, Any]) -> dict[str, Any]:
        with self._lock:
            process = self._running()
            late = threading.Timer(self.seconds, process.kill)
            late.start()
            try:
                line = _exchanged(process, json.dumps(question, default=str))
            finally:
                late.cancel()
            if not line.endswith("\n"):
                self._end()
                raise TemplateError(
                    f"Template {question['template']['name']!r} was stopped: it took more than {self.seconds:g} s or "
                    f"{MEMORY_BYTES >> 30} GiB of memory.",
                    remedy="Look for a loop that does not end, or text that doubles.",
                    code="WB109",
                )
        answer: dict[str, Any] = json.loads(line)
        if "error" in answer:
            raise TemplateError(**answer["error"])
        return answer

    def _running(self) -> subprocess.Popen[str]:
        if self._process is None or self._process.poll() is not None:
            self._end()
            paths = os.pathsep.join([str(Path(__file__).resolve().parents[2]), *filter(None, sys.path)])
            self._process = subprocess.Popen(
                [sys.executable, "-P", "-m", "workbench.templates.guarded"],
                stdin=subprocess.PIPE,
                stdout=subprocess.PIPE,
                stderr=subprocess.DEVNULL,
                text=True,
                encoding="utf-8",
                env={**os.environ, "PYTHONPATH": paths},
                start_new_session=True,  # an interrupt of the kernel does not end it
            )
        return self._process

    def _end(self) -> None:
        if self._process is None:
            return
        self._process.kill()
        for pipe in (self._process.stdin, self._process.stdout):
            if pipe is not None:
                with contextlib.suppress(OSError):
                    pipe.close()
        self._process.wait()
        self._process = None


def _exchanged(process: subprocess.Popen[str], question: str) -> str:
    """The answer's line; without its end where the process is gone."""
    if process.stdin is None or process.stdout is None:
        return ""
    try:
        process.stdin.write(question + "\n")
        process.stdin.flush()
        return process.stdout.readline()
    except (BrokenPipeError, ValueError, OSError):
        return ""


def _traced(asked: Mapping[str, Any]) -> dict[str, Any]:
    made = trace(
        talk_from(asked["talk"]),
        template_from(asked["template"]),
        add_generation_prompt=asked["add_generation_prompt"],
        variables=asked["variables"],
    )
    return {"traced": packed_traced(made)}


def _properties(asked: Mapping[str, Any]) -> dict[str, Any]:
    return {"properties": [asdict(item) for item in properties_of(template_from(asked["template"]))]}


_ANSWERS: Mapping[str, Callable[[Mapping[str, Any]], dict[str, Any]]] = {"trace": _traced, "properties": _properties}


def _answer(asked: Mapping[str, Any]) -> dict[str, Any]:
    try:
        return _ANSWERS[asked["op"]](asked)
    except TemplateError as error:
        told = {name: getattr(error, name) for name in ("message", "remedy", "code", "row", "line")}
        return {"error": told}


def main() -> None:
    """Answer questions until the pipe closes."""
    import resource

    resource.setrlimit(resource.RLIMIT_AS, (MEMORY_BYTES, MEMORY_BYTES))
    resource.setrlimit(resource.RLIMIT_CORE, (0, 0))
    out = sys.stdout
    sys.stdout = sys.stderr
    for line in sys.stdin:
        signal.alarm(math.ceil(SECONDS) + 2)  # ends this process where nobody is left to kill it
        out.write(json.dumps(_answer(json.loads(line))) + "\n")
        out.flush()
        signal.alarm(0)


if __name__ == "__main__":
    main()
