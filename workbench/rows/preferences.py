"""Rows that are judged: preference pairs, rankings, wanted and unwanted answers, steps, prompts."""

from __future__ import annotations

from collections.abc import Mapping

from workbench.rows.assemble import Converter

PREFERENCES: Mapping[str, Converter] = {}
