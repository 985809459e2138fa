"""Opinions: values in, findings out. One check, one function, one code."""
