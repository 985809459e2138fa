"""Run in a process of its own: open a file, read all of it and some rows here and there, print what that took.

python -m tests.rows.container_memory FILE  ->  {"rows": 100000, "grown": 12345678}

`grown` is the peak of memory in bytes beyond what the process had before the file was opened. Pages of a mapped file
are left out: the system takes them back when it needs them.
"""

import json
import resource
import sys
from pathlib import Path

from workbench.rows.detect import examine
from workbench.rows.files.load import open_source


def anonymous() -> int:
    """Bytes of memory that belong to the process alone."""
    for line in Path("/proc/self/status").read_text().splitlines():
        if line.startswith("RssAnon"):
            return int(line.split()[1]) * 1024
    raise OSError("no RssAnon in /proc/self/status")


def peak() -> int:
    """Bytes of memory the process had at most."""
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * 1024


def main(path: str, mapped: bool) -> None:
    """Read the file and print."""
    import pyarrow.parquet  # noqa: F401 - part of what the process has before

    before = anonymous() if mapped else peak()
    source = open_source(path)
    most = 0
    for number, row in enumerate(source.rows):
        assert row["n"] == number or row["n"] == str(number)
        if mapped and number % 500 == 0:
            most = max(most, anonymous())
    for at in range(0, len(source.rows), max(1, len(source.rows) // 50)):
        assert int(source.rows[at]["n"]) == at
    examine(source.rows)
    most = max(most, anonymous()) if mapped else peak()
    print(json.dumps({"rows": len(source.rows), "grown": most - before}))


if __name__ == "__main__":
    main(sys.argv[1], sys.argv[1].endswith((".arrow", ".feather")))
