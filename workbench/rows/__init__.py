"""Rows: opening data, telling its type, converting rows to examples."""
