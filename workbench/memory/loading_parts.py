"""What quantising on load needs beside the weights: each weight whole for a moment, then casts to float32.

    loading_parts(step), loading_moment(settings, size)

Without quantisation weights are read to host memory and moved one by one, so that loading needs nothing more.

Source: transformers 5.23, core_model_loading.py (one weight after the other where it quantises) and
integrations/bitsandbytes.py; bitsandbytes 0.50, nn/modules.py and functional.py; peft 0.21, utils/other.py. The trace
runs those functions (workbench.training.traced.loading).
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from workbench.memory.figures import Part, Peak
from workbench.memory.settings import AnalyticSettings
from workbench.memory.statics import quantised_modules
from workbench.memory.step import Step

LOADING, TEMPORARIES = "loading", "loading temporaries"


def loads_apart(settings: AnalyticSettings) -> bool:
    """Whether loading is a moment of its own: weights are quantised on one device."""
    return settings.quantisation != "none" and settings.device == "cuda" and settings.sharding in ("none", "ddp")


def loading_parts(step: Step) -> tuple[Part, ...]:
    """Bytes above the weights at the highest moment of loading; none where weights are not quantised."""
    a, settings = step.architecture, step.settings
    if not loads_apart(settings):
        return ()
    quantised = quantised_modules(a)
    largest = max((item.inputs * item.outputs for item in quantised), default=0)
    load, scales = settings.weight_bytes, 8 * -(-largest // 64)
    once = load * largest + (2 * largest if settings.quantisation == "int8" else scales)
    rest = a.total - sum(item.copies * item.inputs * item.outputs for item in quantised)
    cast = settings.rest_bytes - load
    head = load * a.vocab * a.hidden if cast else 0
    return (
        Part(
            TEMPORARIES,
            max(once - cast * rest, head, 0),
            "largest quantised weight whole, with its scales; or w V H while the head is cast to float32",
            {"largest": largest, "bytes": load, "vocab": a.vocab, "hidden": a.hidden},
            "weights reach the device in their own type and are quantised there, one after the other",
        ),
    )


def loading_moment(settings: AnalyticSettings, size: Mapping[str, int]) -> tuple[Peak, ...]:
    """The moment of loading, where there is one."""
    if not loads_apart(settings):
        return ()
    return (Peak(LOADING, {name: size[name] for name in ("weights", TEMPORARIES) if size[name]}),)


@dataclass(frozen=True, slots=True)
class HostLoad:
    """Host memory while a model is loaded.

    Attributes:
        host_bytes: That nothing else can use: weights in another type than the file's, until they are on the device.
        file_bytes: Pages of the file that are mapped on top, which the system takes back when it needs them.
        reason: Why, in a sentence.
    """

    host_bytes: int
    file_bytes: int
    reason: str


FILE_BYTES: Mapping[str, int] = {"float32": 4, "bfloat16": 2, "float16": 2, "float64": 8}
NAMES: Mapping[int, tuple[str, ...]] = {4: ("float32",), 2: ("bfloat16", "float16")}


def host_load(parameters: int, written: str | None, loaded: int, *, quantised: bool) -> HostLoad:
    """Host memory that loading takes for a moment.

    Args:
        parameters: Of the model.
        written: Type of the weights in their file (`dtype` of config.json); None where it is not said.
        loaded: Bytes of an element in the type in which they are loaded.
        quantised: Whether they are quantised on the way.

    Source: measured in docs/memory.md (transformers 5.23 with safetensors: weights of the file's own type stay in its
        mapping, others are made anew).
    """
    name = str(written or "").removeprefix("torch.")
    file = parameters * FILE_BYTES.get(name, loaded)
    if quantised:
        return HostLoad(0, file, "weights go from the file to the device one by one")
    if name in NAMES.get(loaded, ()):
        return HostLoad(0, file, f"{name} weights stay in the mapped file until they are on the device")
    return HostLoad(parameters * loaded, file, f"{name or 'unknown'} weights are made anew, {loaded} bytes each")
