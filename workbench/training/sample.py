"""Asking the model that is training, without leaving a trace in the training.

    sampler.run(Request(messages, step=25, prompt=0))     # sample_start, token…, sample events

Everything that generating moves is put back (untouched.py).
"""

from __future__ import annotations

import contextlib
import time
import uuid
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any

from workbench.errors import RunError
from workbench.training.untouched import untouched

TOKEN_EVERY_S = 0.03
"""At most one token event per this long: an event log is not a terminal."""

GENERATION_KEYS = (
    "max_new_tokens",
    "min_new_tokens",
    "do_sample",
    "temperature",
    "top_p",
    "top_k",
    "repetition_penalty",
)
_UNFINISHED = "\ufffd"


@dataclass(frozen=True, slots=True)
class Request:
    """One sample to make.

    Attributes:
        prompt: Index of the scheduled prompt; None for a prompt that came by command.
        command: Id of the command that asked; None on schedule.
        base: Answer with the base model.
        gen: Generation settings over the run's own.
    """

    messages: list[dict[str, Any]]
    step: int
    prompt: int | None = None
    command: str | None = None
    base: bool = False
    gen: dict[str, Any] = field(default_factory=dict)
    seed: int | None = None


class Sampler:
    """Generates with the live model.

    Args:
        model: The trainer's model (a PeftModel under LoRA).
        tokenizer: Its tokenizer.
        settings: `samples` of job.json.
        chat_template: The run's chat template; None takes the tokenizer's.
        emit: Writes an event.
        interrupted: Whether a stop or cancel waits.
    """

    def __init__(
        self,
        model: Any,
        tokenizer: Any,
        settings: dict[str, Any],
        chat_template: str | None,
        emit: Callable[..., object],
        interrupted: Callable[[], bool],
    ) -> None:
        self.model, self.tokenizer, self.settings = model, tokenizer, settings
        self.chat_template = chat_template or tokenizer.chat_template
        self._emit, self._interrupted = emit, interrupted

    @property
    def has_adapter(self) -> bool:
        """Whether the base model can be reached by switching an adapter off."""
        return hasattr(self.model, "disable_adapter")

    def run(self, request: Request) -> dict[str, Any]:
        """Make one sample; returns its id, tokens and seconds for the acknowledgement.

        Raises:
            RunError: For a base sample of a full fine-tuning after its first step, whose base weights are gone.
        """
        if request.base and not self.has_adapter and request.step > 0:
            raise RunError(
                f"The base model is gone: full fine-tuning has changed its weights in {request.step} steps.",
                remedy="Its answers to the run's prompts were taken at step 0; load the base model to ask it more.",
                code="WB630",
            )
        sample = uuid.uuid4().hex[:8]
        base = request.base or request.step == 0
        head = {"sample": sample, "prompt": request.prompt, "step": request.step}
        self._emit(
            "sample_start", **head, messages=request.messages, origin="command" if request.command else "schedule",
            cmd=request.command, base=base,
        )  # fmt: skip
        began = time.monotonic()
        with untouched(self.model), self._without_adapter(request.base):
            result = self._generate(request, lambda text: self._emit("token", sample=sample, text=text))
        result["seconds"] = round(time.monotonic() - began, 3)
        self._emit("sample", **head, **result, base=base)
        return {"sample": sample, "tokens": result["tokens"], "seconds": result["seconds"], "cut": result["cut"]}

    def _without_adapter(self, base: bool) -> contextlib.AbstractContextManager[Any]:
        return self.model.disable_adapter() if base and self.has_adapter else contextlib.nullcontext()

    def _generate(self, request: Request, show: Callable[[str], object]) -> dict[str, Any]:
        import torch
        from transformers import GenerationConfig, StoppingCriteriaList

        settings = {"max_new_tokens": 64, "do_sample": False, **self.settings, **request.gen}
        seed = request.seed if request.seed is not None else self.settings.get("seed", 1234)
        torch.manual_seed(int(seed))
        encoded = self._encode(request.messages).to(self.model.device)
        ends = self._end_ids()
        pad = self.tokenizer.pad_token_id
        config = GenerationConfig(
            **{key: settings[key] for key in GENERATION_KEYS if settings.get(key) is not None},
            eos_token_id=sorted(ends) or None,
            pad_token_id=pad if pad is not None else next(iter(sorted(ends)), None),
        )
        stream = TokenStream(self.tokenizer, show)
        waiting = _Interruption(self._interrupted)
        self.model.generate(
            **encoded, generation_config=config, streamer=stream, stopping_criteria=StoppingCriteriaList([waiting])
        )
        ids = stream.ids
        return {
            "text": self.tokenizer.decode(ids, skip_special_tokens=True),
            "tokens": len(ids),
            "stopped": bool(ids) and ids[-1] in ends,
            "cut": waiting.hit,
        }

    def _encode(self, messages: list[dict[str, Any]]) -> Any:
        """The prompt's tensors: through the chat template, or as plain text where the run has none."""
        if self.chat_template is None:
            text = "".join(str(message.get("content", "")) for message in messages)
            return self.tokenizer(text, return_tensors="pt", return_token_type_ids=False)
        return self.tokenizer.apply_chat_template(
            messages,
            chat_template=self.chat_template,
            add_generation_prompt=True,
            return_tensors="pt",
            return_dict=True,
        )

    def _end_ids(self) -> set[int]:
        """Tokens that end an answer: the tokenizer's and those of the model's generation config (Llama 3 has two)."""
        listed = self.model.generation_config.eos_token_id
        ends = set(listed if isinstance(listed, list) else [listed])
        return {int(end) for end in ends | {self.tokenizer.eos_token_id} if end is not None}


class _Interruption:
    """A stopping criterion that ends generation when a stop or cancel waits."""

    def __init__(self, interrupted: Callable[[], bool]) -> None:
        self._interrupted = interrupted
        self.hit = False

    def __call__(self, input_ids: Any, _scores: Any, **_: Any) -> Any:
        self.hit = self.hit or self._interrupted()
        return input_ids.new_full((input_ids.shape[0],), int(self.hit)).bool()


class TokenStream:
    """What `generate` calls a streamer: collects ids, and shows text as soon as it can no longer change.

    Text is decoded from a window that starts two shows back, because a token's text may depend on the one before it
    (a leading space, half of a character); an unfinished character is held until its last byte is there.
    """

    def __init__(self, tokenizer: Any, show: Callable[[str], object]) -> None:
        self.ids: list[int] = []
        self._tokenizer, self._show = tokenizer, show
        self._window = self._shown = 0
        self._prompt_seen = False
        self._pending = ""
        self._shown_at = 0.0

    def put(self, value: Any) -> None:
        """Take the prompt (first call) or new ids."""
        if not self._prompt_seen:
            self._prompt_seen = True
            return
        self.ids.extend(int(token) for token in value.flatten().tolist())
        before = self._decode(self.ids[self._window : self._shown])
        whole = self._decode(self.ids[self._window :])
        if not whole.endswith(_UNFINISHED) and len(whole) > len(before):
            self._pending += whole[len(before) :]
            self._window, self._shown = self._shown, len(self.ids)
        now = time.monotonic()
        if self._pending and now - self._shown_at >= TOKEN_EVERY_S:
            self._flush(now)

    def end(self) -> None:
        """Show what is left, unfinished characters included."""
        before = self._decode(self.ids[self._window : self._shown])
        self._pending += self._decode(self.ids[self._window :])[len(before) :]
        self._window = self._shown = len(self.ids)
        if self._pending:
            self._flush(time.monotonic())

    def _flush(self, now: float) -> None:
        self._show(self._pending)
        self._pending, self._shown_at = "", now

    def _decode(self, ids: list[int]) -> str:
        return self._tokenizer.decode(ids, skip_special_tokens=True) if ids else ""
