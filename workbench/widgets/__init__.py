"""Widgets: traits and one call into a lower layer each; the front end is in labextension/src/widgets."""
