"""Configs for batch trainers, from the same rows and labels that were previewed. See docs/exports.md."""
