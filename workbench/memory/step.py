"""One training step, as the closed form sees it: shapes, settings, saved bytes, and what follows from them."""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property

from workbench.memory.fused import applied, mlp_temporaries
from workbench.memory.saved import Coefficients
from workbench.memory.settings import AnalyticSettings
from workbench.memory.shapes import Architecture
from workbench.memory.statics import gradient_bytes, trained_parameters


@dataclass(frozen=True)
class Step:
    """Everything the parts are computed from; sizes in bytes."""

    architecture: Architecture
    settings: AnalyticSettings
    saved: Coefficients

    @property
    def full(self) -> bool:
        """Whether all weights train."""
        return self.settings.full

    @cached_property
    def trained(self) -> int:
        """Trained parameters that get a gradient."""
        return trained_parameters(self.architecture, self.settings)

    @property
    def gradients(self) -> int:
        """Bytes of all gradients."""
        return gradient_bytes(self.architecture, self.settings)

    @property
    def head_bytes(self) -> int:
        """Bytes of an element of a trained output head; 0 where it is frozen, or is a tied embedding's copy."""
        return self._end_bytes("head")

    @property
    def embedding_bytes(self) -> int:
        """Bytes of an element of a trained embedding, in whole or in some of its rows; 0 where it is frozen."""
        return self._end_bytes("embedding")

    def _end_bytes(self, name: str) -> int:
        if self.full:
            return self.settings.weight_bytes
        return next((self.settings.own_bytes(own) for own in self.settings.own if own.name == name), 0)

    @property
    def head_elements(self) -> int:
        """Elements of the output head, and of the embedding."""
        return self.architecture.vocab * self.architecture.hidden

    def _gelu_steps(self, out: int) -> int:
        """Bytes a feature while the backward of an MLP's activation without a gate runs."""
        steps = 14 if self.settings.autocast else 5 * out
        return {"steps": steps, "quick": 4 * out, "fused": 2 * out}[self.architecture.gelu]

    @property
    def layer_temporaries(self) -> tuple[int, int]:
        """Bytes above what a layer saves at the highest moment of its MLP: forward, and backward."""
        a, settings, tokens = self.architecture, self.settings, self.settings.tokens
        fused = applied(a, settings)
        if fused.mlp:
            return mlp_temporaries(a, settings, fused)
        c, out, rest = settings.compute_bytes, settings.output_bytes, settings.rest_bytes
        adapted = any(item.reads == "product" for item in a.targets(settings))
        wide = a.intermediate if a.experts is None else a.experts.chosen * a.experts.intermediate
        # a product that is kept anyway, as the adapter's own input or by an 8-bit product, is no temporary
        own = adapted and out == settings.adapter_bytes and (out == 2 or not settings.autocast)
        product = 0 if settings.full or own or settings.quantisation == "int8" else out
        # PEFT's copy in the adapter's float32, which autocast copies once more; without it is what backward keeps
        cast = 4 if adapted and out == 2 and settings.adapter_bytes == 4 and settings.autocast else 0
        # stream-wide tensors around the MLP; autocast has one more copy of the gradient that waits while a layer reruns
        outputs = (7 if not settings.checkpointing else 5 if settings.autocast else 4) * c * a.hidden
        forward = ((product + cast) * wide + outputs) * tokens
        if settings.dropout and adapted and cast:
            forward += (
                (cast if settings.checkpointing else out) * wide * tokens
            )  # the dropped copy, while autocast's copy of it is made
        if settings.adapter == "dora" and adapted:
            # PEFT multiplies A and B with a unit matrix to get their product, in float32 and once more for autocast
            forward += (6 if settings.autocast else 4) * a.intermediate**2
        # the input of the module below, or of its adapter, is no longer needed
        freed = (2 if settings.autocast else 4) if adapted else c if settings.full and a.gated else 0
        steps = out if fused.glu else 3 * out if a.gated else self._gelu_steps(out)
        matrix = a.hidden * a.intermediate
        dequantised = c * matrix if settings.quantisation == "nf4" else 0
        if a.experts is not None and any(item.reads == "expert" for item in a.targets(settings)):
            # the gradients of the tokens' copies are gathered back
            steps, freed, wide = 3 * c, 0, max(wide, a.experts.chosen * a.hidden)
        # behind PEFT's copy its gradient comes in float32, beside the one of the weight below it
        copied = (4 + out) * wide + 2 * rest * a.hidden if adapted and out == 2 and settings.adapter_bytes == 4 else 0
        backward = max(((steps - freed) * wide + rest * a.hidden) * tokens, copied * tokens)
        backward = max(backward, dequantised + out * wide * tokens)
        if settings.quantisation == "int8":  # its weight comes back in the type of the stream
            backward = max(backward, rest * matrix + 2 * (out * wide + rest * a.hidden) * tokens)
        return forward, backward
