"""Small pictures of images: PNGs in data URLs, made from pixels or from files on this machine; nothing is fetched."""

from __future__ import annotations

import base64
import io
import re
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, NamedTuple, cast

SIDE = 96
"""Longest side of a thumbnail in pixels."""

MOST_BYTES = 64 * 2**20
"""Largest file that is opened for a thumbnail."""

_ADDRESS = re.compile(r"[a-z][a-z0-9+.-]*:", re.IGNORECASE)
_LONGEST_PATH = 4096


class Picture(NamedTuple):
    """What is shown of an image.

    Attributes:
        thumbnail: `data:image/png;base64,…`, or None where there is none to show.
        width: Of the image, in pixels; None where it is not known.
        height: Likewise.
    """

    thumbnail: str | None
    width: int | None
    height: int | None


NOTHING = Picture(None, None, None)


def picture_of(image: Any, folder: Path | None = None) -> Picture:
    """A thumbnail of what a row names an image by.

    Args:
        image: A path, bytes, a mapping with `bytes` or `path`, or an image object of Pillow. Addresses are not fetched.
        folder: Where relative paths begin; None is the working directory.
    """
    if isinstance(image, Mapping):
        held = cast("Mapping[str, Any]", image)
        return picture_of(held.get("bytes") or held.get("path"), folder)
    try:
        from PIL import Image
    except ImportError:
        return NOTHING
    try:
        if isinstance(image, Image.Image):
            return _small(image)
        source = _source(image, folder)
        if source is None:
            return NOTHING
        with Image.open(source) as opened:
            return _small(opened)
    except (OSError, ValueError, SyntaxError, MemoryError, Image.DecompressionBombError):
        return NOTHING  # broken, or no image: the row's own findings speak of files; here there is no picture to show


def _source(image: Any, folder: Path | None) -> Any:
    if isinstance(image, bytes):
        return io.BytesIO(image) if len(image) <= MOST_BYTES else None
    if not isinstance(image, str | Path):
        return None
    name = str(image)
    if not name or _ADDRESS.match(name) or len(name) > _LONGEST_PATH or "\x00" in name:
        return None
    path = (folder or Path()) / name
    return path if path.is_file() and path.stat().st_size <= MOST_BYTES else None


def _small(image: Any) -> Picture:
    width, height = image.size
    image.draft("RGB", (SIDE, SIDE))
    small = image.convert("RGBA" if "transparency" in image.info or image.mode in ("LA", "RGBA") else "RGB")
    small.thumbnail((SIDE, SIDE))
    out = io.BytesIO()
    small.save(out, "PNG", optimize=True)
    return Picture(f"data:image/png;base64,{base64.b64encode(out.getvalue()).decode()}", width, height)


def pictures_of(pixels: Any, processor: Any, size: Sequence[int] | None = None) -> list[Picture]:
    """Thumbnails of the images of a batch, from the pixels the model gets.

    Args:
        pixels: A tensor (N, C, H, W) or (B, N, C, H, W), normalised as the processor does.
        processor: The image processor, for its mean and standard deviation.
        size: Height and width before the tensor was made small.
    """
    try:
        from PIL import Image
    except ImportError:
        return []
    if pixels.ndim < 4 or pixels.shape[-3] not in (1, 3):
        return []
    channels = pixels.shape[-3]
    mean, std = (
        _three(getattr(processor, name, None), default) for name, default in (("image_mean", 0.0), ("image_std", 1.0))
    )
    out: list[Picture] = []
    for image in pixels.reshape(-1, *pixels.shape[-3:]).float():
        bright = [image[i] * std[i] + mean[i] for i in range(channels)]
        planes = [(plane.clamp(0, 1) * 255).round().byte().numpy() for plane in bright]
        bands = [Image.fromarray(plane) for plane in (planes if channels == 3 else planes * 3)]
        made = _small(Image.merge("RGB", bands))
        high, wide = size or (made.height, made.width)
        out.append(Picture(made.thumbnail, wide, high))
    return out


def _three(given: Any, default: float) -> tuple[float, ...]:
    values = tuple(float(item) for item in given) if isinstance(given, list | tuple) else ()
    return values if len(values) == 3 else (default,) * 3
