"""Bytes: how much memory a run needs, before it runs. See docs/memory.md."""
