"""Which names an adapter's words and patterns match, by PEFT's rules.

Source: peft 0.21, tuners/tuners_utils.py (check_target_module_exists) and utils/other.py (get_pattern_key).
"""

from __future__ import annotations

import re

from workbench.memory.wanted import Wanted


def left_out(name: str, wanted: Wanted) -> bool:
    """Whether a module is excluded, or trains whole and so gets no matrices."""
    if isinstance(wanted.excluded, str):
        if wanted.excluded and re.fullmatch(wanted.excluded, name):
            return True
    elif any(name == word or name.endswith(f".{word}") for word in wanted.excluded):
        return True
    return any(re.match(rf"(^|.*\.){word}($|\..*)", name) for word in wanted.saved)


def matches(name: str, wanted: Wanted) -> bool:
    """Whether a module is a target."""
    if left_out(name, wanted) or wanted.targets is None:
        return False
    if isinstance(wanted.targets, str):
        return re.fullmatch(wanted.targets, name) is not None
    if name in wanted.targets:
        return True
    if not any(name.endswith(f".{word}") for word in wanted.targets):
        return False
    return not wanted.layers or _number(name, wanted.layers_pattern) in wanted.layers


def _number(name: str, patterns: tuple[str, ...]) -> int:
    """The number of a module's layer as PEFT reads it; -1 where it finds none."""
    begun = [rf"(?:^|.*?\.){pattern}\.(?P<idx>\d+)\." for pattern in patterns] or [r".*?\.[^.]*\.(?P<idx>\d+)\."]
    for pattern in begun:
        if found := re.match(pattern, name):
            return int(found["idx"])
    return -1


def rank_of(name: str, wanted: Wanted) -> int:
    """The rank that a pattern gives a module; 0 where none does."""
    return next((rank for pattern, rank in wanted.ranks if re.match(rf"(.*\.)?({pattern})$", name)), 0)
