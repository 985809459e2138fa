"""Quick looks into the live trainer: a socket served by a side thread of the training process.

    {"expr": "model.config.hidden_size"}              evaluated at once; may see a half updated step (1-13 ms)
    {"expr": "…", "boundary": true}                   evaluated at the next step end, in the training thread

An expression is code with the owner's rights. The socket lies in a folder that only the owner may enter (a Unix path
may have 107 bytes, so not in the run directory), its address and token in `inspect.json`, mode 0600; where there are
no Unix sockets it is a loopback port that asks for the token. The server extension never exposes it.
"""

from __future__ import annotations

import contextlib
import hmac
import json
import os
import secrets
import socket
import tempfile
import threading
from pathlib import Path
from typing import Any, Protocol

from workbench.training.durable_io import private_folder, publish_json, remove
from workbench.training.peek import ADDRESS_FILE

MAX_PATH_BYTES = 100
MAX_REQUEST_BYTES = 1 << 20


class Live(Protocol):
    """What an inspector looks at."""

    def namespace(self) -> dict[str, Any]:
        """Names that expressions may use."""

    def at_boundary(self, function: Any, timeout: float) -> Any:
        """Run a function in the training thread at the next step end."""


class Inspector:
    """Answers peeks until `close`."""

    def __init__(self, run_dir: Path, live: Live) -> None:
        self._dir, self._live = run_dir, live
        self._token = secrets.token_hex(16)
        self._server: socket.socket | None = None
        self._path: Path | None = None

    def serve(self) -> None:
        """Listen, publish the address, answer in daemon threads."""
        self._server, address = self._listen()
        os.register_at_fork(after_in_child=self._server.close)
        publish_json(self._dir / ADDRESS_FILE, {**address, "token": self._token})
        threading.Thread(target=self._accept, args=(self._server,), name="inspect", daemon=True).start()

    def close(self) -> None:
        """Stop listening and take the address away."""
        remove(self._dir / ADDRESS_FILE)
        if self._server is not None:
            self._server.close()
        if self._path is not None:
            remove(self._path)

    def _listen(self) -> tuple[socket.socket, dict[str, Any]]:
        path = runtime_folder() / f"{self._dir.name}-{secrets.token_hex(4)}.sock"
        if hasattr(socket, "AF_UNIX") and len(os.fsencode(path)) <= MAX_PATH_BYTES:
            server = socket.socket(socket.AF_UNIX)
            server.bind(str(path))
            path.chmod(0o600)
            self._path = path
            address: dict[str, Any] = {"socket": str(path)}
        else:
            server = socket.create_server(("127.0.0.1", 0))
            address = {"socket": None, "port": server.getsockname()[1]}
        server.listen(8)
        return server, address

    def _accept(self, server: socket.socket) -> None:
        with contextlib.suppress(OSError):  # closed
            while True:
                connection, _ = server.accept()
                threading.Thread(target=self._serve_one, args=(connection,), name="peek", daemon=True).start()

    def _serve_one(self, connection: socket.socket) -> None:
        with connection, connection.makefile("rwb") as stream, contextlib.suppress(OSError):
            for line in iter(lambda: stream.readline(MAX_REQUEST_BYTES), b""):
                stream.write(json.dumps(self._answer(line), default=repr).encode() + b"\n")
                stream.flush()

    def _answer(self, line: bytes) -> dict[str, Any]:
        try:
            request = json.loads(line)
            if not hmac.compare_digest(str(request.get("token")), self._token):
                return {"error": "wrong token"}
            expression = str(request["expr"])

            def evaluate() -> dict[str, Any]:
                return evaluated(expression, self._live.namespace())

            if request.get("boundary"):
                return self._live.at_boundary(evaluate, float(request.get("timeout", 10)))
            return evaluate()
        except (ValueError, KeyError, AttributeError, TypeError, TimeoutError) as error:
            return {"error": f"{type(error).__name__}: {error}"[:500]}


def evaluated(expression: str, namespace: dict[str, Any]) -> dict[str, Any]:
    """The value of an expression, tensors as lists or numbers, or the error it raised."""
    try:
        value = eval(expression, namespace)
        if hasattr(value, "tolist"):
            value = value.tolist()
        json.dumps(value, default=repr)
    except Exception as error:  # noqa: BLE001  # the expression is the user's; its error is the answer
        return {"error": f"{type(error).__name__}: {error}"[:500]}
    return {"value": value}


def runtime_folder() -> Path:
    """A short folder that only this user may enter, for sockets."""
    base = os.environ.get("XDG_RUNTIME_DIR")
    if base and Path(base).is_dir():
        return private_folder(Path(base) / "finetune-workbench")
    folder = private_folder(Path(tempfile.gettempdir()) / f"wb-{os.getuid() if hasattr(os, 'getuid') else 'me'}")
    if hasattr(os, "getuid") and (folder.stat().st_uid != os.getuid() or folder.stat().st_mode & 0o077):
        return Path(tempfile.mkdtemp(prefix="wb-"))  # somebody else made it first
    return folder
