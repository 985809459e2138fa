"""Rows with images: the placeholders in the text, the images beside it."""

from __future__ import annotations

from collections.abc import Mapping

from workbench.rows.assemble import Converter

IMAGES: Mapping[str, Converter] = {}
