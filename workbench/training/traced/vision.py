"""Images of a batch: pixels of the right shapes, added to what a vision model gets.

Rows hold the images' tokens already (their lengths count them); the vision tower gets pixels as the family's processor
makes them: squares of `image_size`, or patches with a grid where the size of an image is free.

Source: transformers 5, models/{llava,gemma3,qwen2_vl,qwen2_5_vl}.
"""

from __future__ import annotations

from typing import Any

import torch

from workbench.errors import RecipeError
from workbench.memory.plan import Plan

SQUARE = ("llava", "gemma3")
GRID = ("qwen2_vl", "qwen2_5_vl")
IMAGE_TOKENS = 256
"""Tokens of an image of free size where nobody said; 448 × 448 pixels with patches of 14 merged by 2."""


def add_images(plan: Plan, model: Any) -> None:
    """Give every forward pass of a model `plan.images` images a row.

    Raises:
        RecipeError: For a family whose images are not traced, or that has none (WB810).
    """
    family = str(plan.config.get("model_type"))
    if family not in SQUARE + GRID:
        raise RecipeError(
            f"Images of {family!r} are not traced.",
            remedy=f"Traced are images of {', '.join(SQUARE + GRID)}; without images its text is traced.",
            code="WB810",
        )
    inner = model.get_base_model() if hasattr(model, "get_base_model") else model
    vision = inner.config.vision_config
    held: dict[str, Any] = {}

    def added(part: Any, args: Any, kwargs: dict[str, Any]) -> Any:
        ids = kwargs["input_ids"]
        held.update(_square(plan, vision, ids) if family in SQUARE else _grid(plan, vision, ids))
        return args, {**kwargs, **held}

    model.register_forward_pre_hook(added, with_kwargs=True)


def _square(plan: Plan, vision: Any, ids: Any) -> dict[str, Any]:
    shape = (ids.shape[0] * plan.images, 3, vision.image_size, vision.image_size)
    found = {"pixel_values": torch.empty(shape, device="meta")}
    if plan.config.get("model_type") == "gemma3":
        found["token_type_ids"] = torch.zeros(ids.shape, dtype=torch.long, device="meta")
    return found


def _grid(plan: Plan, vision: Any, ids: Any) -> dict[str, Any]:
    """Patches of images whose tokens form a rectangle as square as may be; the grid keeps its values."""
    tokens, merge = plan.image_tokens or IMAGE_TOKENS, vision.spatial_merge_size
    height = next(side for side in range(int(tokens**0.5), 0, -1) if tokens % side == 0)
    images = ids.shape[0] * plan.images
    patches = images * tokens * merge**2
    width = 3 * vision.temporal_patch_size * vision.patch_size**2
    return {
        "pixel_values": torch.empty((patches, width), device="meta"),
        "image_grid_thw": torch.tensor([[1, height * merge, tokens // height * merge]] * images),
        "mm_token_type_ids": torch.zeros(ids.shape, dtype=torch.long, device="meta"),
        "position_ids": torch.zeros((3, *ids.shape), dtype=torch.long, device="meta"),
    }
