"""Nouns and verbs of the notebook: each verb is a few calls into the layers below, each noun shows itself."""
