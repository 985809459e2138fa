"""Chat templates: where they come from (registry), and text with provenance (render)."""
