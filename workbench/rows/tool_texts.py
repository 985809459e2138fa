"""Conversations with tool calls written out as one text, and function-calling questions."""

from __future__ import annotations

from collections.abc import Mapping

from workbench.rows.assemble import Converter

TOOL_TEXTS: Mapping[str, Converter] = {}
