"""Asking a live trainer about its objects: the client of `inspect`. Standard library only."""

from __future__ import annotations

import json
import socket
from pathlib import Path
from typing import Any

from workbench.errors import RunError

ADDRESS_FILE = "inspect.json"


def ask(run_dir: Path, request: dict[str, Any], timeout: float = 10.0) -> Any:
    """Send one request to the trainer of a run and return its answer.

    Raises:
        RunError: When no trainer listens, when it does not answer in time, or with what went wrong in there.
    """
    try:
        address = json.loads((run_dir / ADDRESS_FILE).read_bytes())
        with _connect(address, timeout) as connection, connection.makefile("rwb") as stream:
            stream.write(json.dumps({**request, "token": address["token"], "timeout": timeout}).encode() + b"\n")
            stream.flush()
            answer = json.loads(stream.readline() or b"{}")
    except TimeoutError:
        raise RunError(f"Run {run_dir.name} gave no answer within {timeout:g} s.", code="WB604") from None
    except (FileNotFoundError, ConnectionError, ValueError) as error:
        raise RunError(
            f"Run {run_dir.name} cannot be looked into: {type(error).__name__}.",
            remedy="Only a run that trains in this machine can; see its state.",
            code="WB608",
        ) from None
    if "error" in answer:
        raise RunError(f"Run {run_dir.name}: {answer['error']}", code="WB605")
    return answer.get("value")


def _connect(address: dict[str, Any], timeout: float) -> socket.socket:
    if address.get("socket"):
        connection = socket.socket(socket.AF_UNIX)
        connection.settimeout(timeout)
        connection.connect(address["socket"])
        return connection
    return socket.create_connection(("127.0.0.1", address["port"]), timeout)
