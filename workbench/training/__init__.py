"""The background training kernel: the only code that starts training, and everything that watches it.

launchers -> supervisor -> worker (trains)          run directory: job.json, events.jsonl, control/, locks
run, store, snapshot    <- any process that looks   (docs/training-kernel.md, docs/events.md)
"""
