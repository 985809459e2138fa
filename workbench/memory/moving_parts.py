"""Parts of the closed form that come and go within the step: activations, copies, temporaries."""

from __future__ import annotations

from workbench.memory.figures import Part
from workbench.memory.fused import applied
from workbench.memory.loss_parts import embedding_gradient_part, head_gradient_parts, loss_part
from workbench.memory.offloaded import offloaded_part
from workbench.memory.optimizers import optimizer_of
from workbench.memory.saved import OF_LAYERS, kept_inputs
from workbench.memory.settings import rounded
from workbench.memory.statics import trained_tensors
from workbench.memory.step import Step


def moving_parts(step: Step) -> tuple[Part, ...]:
    """What comes and goes within the step."""
    a, settings, saved = step.architecture, step.settings, step.saved
    layer = saved.layer_bytes(settings.batch)
    # in float32 the first norm of a layer keeps the very tensor that checkpointing kept
    kept = settings.rest_bytes == 4 or applied(a, settings).norms  # so does a fused one in any type
    shared = settings.rest_bytes * a.hidden if kept and settings.checkpointing and a.norm != "layer" else 0
    again = max(0, layer - (shared + kept_inputs(a, settings)) * settings.tokens)
    copies = rounded(saved.constant)
    summed = any(item.reads == "expert" for item in a.targets(settings))
    experts = settings.compute_bytes * a.parameters["experts"] if summed else 0
    forward, backward = step.layer_temporaries
    return (
        _activations_part(step, layer),
        Part(
            "tail",
            saved.tail_bytes(settings.batch),
            "bytes a token x tokens",
            {"bytes": saved.tail_token, "tokens": settings.tokens},
            "the last norm",
        ),
        Part(
            "autocast copies",
            copies // a.layers if settings.checkpointing else copies,
            "2 x float32 weights of matrix products",
            {"bytes": copies},
            "autocast keeps bfloat16 copies for backward; with checkpointing those of one layer",
        ),
        _forward_copies(step, copies),
        Part(
            "layer copies",
            max(0, copies // a.layers - settings.compute_bytes * a.hidden * a.intermediate) if step.full else 0,
            "2 x float32 weights of a layer but its last",
            {"bytes": copies},
            "autocast's copies of one layer",
        ),
        Part(
            "adapted experts",
            experts // a.layers if settings.checkpointing else experts,
            "c x expert parameters",
            {"parameters": a.parameters["experts"]},
            "PEFT adds LoRA's product to the experts' weights, and backward keeps the sums",
        ),
        Part("recomputed layer", again, "what one layer saves", {"layer": layer}, "one layer at a time is there again"),
        Part(
            "layer forward",
            forward,
            "(product + the adapter's float32 copy) I tokens + outputs H tokens",
            {"intermediate": a.intermediate, "tokens": settings.tokens},
            "what the last module of the MLP needs while it runs",
        ),
        Part(
            "layer backward",
            backward,
            "3 o I tokens + w H tokens, less the adapter's input; or one dequantised weight",
            {"intermediate": a.intermediate, "tokens": settings.tokens},
            "gradients of gate, up and their product",
        ),
        _attention_backward(step),
        loss_part(step),
        *head_gradient_parts(step),
        embedding_gradient_part(step),
        optimizer_temporaries(step),
        kept_outputs(step),
    )


def _attention_backward(step: Step) -> Part:
    """Eager attention's gradients, once the MLP of the layer is done with."""
    a, settings, tokens = step.architecture, step.settings, step.settings.tokens
    kept = {term.name: term.bytes for term in step.saved.terms}
    read = [item for item in a.targets(settings) if item.reads in OF_LAYERS]
    behind = sum(item.inputs * item.copies for item in read if not item.reads.startswith("attention"))
    whole = sum(item.inputs * item.copies for item in read)
    share = behind / whole if whole else 0
    mlp = kept.get("mlp", 0) + kept.get("lora inputs", 0) * share + (4 * a.hidden if kept else 0)
    pairs = 4 * a.heads * settings.length if settings.attention == "eager" else 0
    return Part(
        "attention backward",
        max(0, rounded((pairs - mlp) * tokens)),
        "4 heads x length x tokens, less what the MLP kept",
        {"heads": a.heads, "tokens": tokens},
        "the softmax's gradient comes in float32",
    )


def _forward_copies(step: Step, copies: int) -> Part:
    """Autocast's copies of float32 weights while forward runs, where they are more than backward keeps."""
    settings = step.settings
    reference = settings.full and settings.refers and not settings.online
    size = copies * (2 if reference else 1) if reference or settings.checkpointing else 0
    return Part(
        "forward copies",
        size,
        "2 x float32 weights" + (", of the reference model too" if reference else ""),
        {"bytes": copies},
        "autocast keeps its copies until forward ends, checkpointing or not",
    )


def _activations_part(step: Step, layer: int) -> Part:
    """What forward keeps for backward in all layers."""
    a, settings, saved = step.architecture, step.settings, step.saved
    inputs = {
        "layers": a.layers,
        "tokens": settings.tokens,
        "pair": saved.layer_pair,
        "bytes a token": saved.layer_token,
        **{term.name: term.bytes for term in saved.terms},
    }
    if settings.activation_offloading:
        return offloaded_part(step)
    if settings.checkpointing:
        own = kept_inputs(a, settings) + (settings.compute_bytes * a.query if settings.quantisation == "int8" else 0)
        kept = a.layers * (settings.rest_bytes * a.hidden + own) * settings.tokens
        source = "gradient checkpointing keeps the input of every layer"
        return Part("activations", kept, "layers x hidden x tokens x w", inputs, source)
    unsaved = saved.unsaved_bytes(settings.batch) if saved.kind == "analytic" else 0
    source = "; ".join(f"{term.name}: {term.formula}" for term in saved.terms) or saved.kind
    formula = "layers x (bytes a token x tokens + pairs), less what nothing below trains for"
    return Part("activations", max(0, a.layers * layer - unsaved), formula, inputs, source)


def optimizer_temporaries(step: Step) -> Part:
    """Scratch of the optimizer's update."""
    a = step.architecture
    optimizer = optimizer_of(step.settings.optim)
    if optimizer.largest:
        largest = max((rows * columns for rows, columns, _ in trained_tensors(a, step.settings)), default=0)
        size = 4 * optimizer.largest * largest
        formula = f"{optimizer.largest} x the largest trained tensor in float32: its square and its update"
    elif not optimizer.lists:
        size, formula = 0, "0: updated in place"
    elif step.settings.device == "cuda":
        size = rounded(optimizer.lists * step.gradients)
        formula = f"{optimizer.lists:g} x trained x bytes: foreach makes lists of all tensors"
    else:
        widest = max((rows * columns for rows, columns, _ in trained_tensors(a, step.settings)), default=0)
        size = 2 * step.settings.trained_bytes * (step.head_elements if step.full else widest)
        formula = "2 x the largest trained tensor: one parameter at a time"
    return Part("optimizer temporaries", size, formula, {"trained": step.trained}, f"optim={step.settings.optim}")


def kept_outputs(step: Step) -> Part:
    """Logits and cache of the model's outputs, where something still refers to them."""
    a, settings, tokens = step.architecture, step.settings, step.settings.tokens
    c = settings.compute_bytes
    size = 0
    if settings.outputs_kept:
        size = c * a.vocab * tokens
        if settings.masked and not step.settings.checkpointing:
            size += 2 * c * a.key * tokens * a.layers
    return Part(
        "kept outputs",
        size,
        "c V tokens + 2 c kv tokens layers where masked",
        {"tokens": tokens},
        "a variable, `_` or `Out[]` that still holds the outputs of the model",
    )
