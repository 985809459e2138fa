"""A console on the live training kernel: an IPython kernel in a side thread of the trainer, on request.

    answer = open_console(run_dir, {"trainer": trainer, "model": model})
    jupyter console --existing <answer["connection_file"]>        or JupyterLab's console, with that file

It shares the interpreter with the training, so a busy cell slows the training 3 to 5 times (measured); the answer says
so. Standard output stays the trainer's: results show in the console, `print` goes to train.log.
"""

from __future__ import annotations

import importlib.util
import threading
from pathlib import Path
from typing import Any

from workbench.errors import RunError

WARNING = "A busy cell in this console slows the training 3 to 5 times; quick looks do not."
START_TIMEOUT_S = 30.0


def open_console(run_dir: Path, namespace: dict[str, Any]) -> dict[str, Any]:
    """Start the kernel, unless it runs already, and say how to attach.

    Raises:
        RunError: When ipykernel is not installed or does not start.
    """
    if importlib.util.find_spec("ipykernel") is None:
        raise RunError(
            "The training environment has no ipykernel, so it can open no console.",
            remedy="Install ipykernel, or use run.peek(…).",
            code="WB609",
        )
    file = run_dir / "kernel.json"
    if not any(thread.name == "console" for thread in threading.enumerate()):
        _start(file, namespace)
    command = f"jupyter console --existing {file}"
    return {"connection_file": str(file), "command": command, "warning": WARNING}


def _start(file: Path, namespace: dict[str, Any]) -> None:
    started = threading.Event()
    problems: list[BaseException] = []

    def serve() -> None:
        import asyncio

        asyncio.set_event_loop(asyncio.new_event_loop())
        try:
            app = _application().instance(connection_file=str(file), user_ns=namespace, quiet=True, log_level=40)
            app.initialize([])
            file.chmod(0o600)
        except BaseException as error:  # noqa: BLE001  # raised again in the training thread, which refuses the command
            problems.append(error)
            return
        finally:
            started.set()
        app.start()

    threading.Thread(target=serve, name="console", daemon=True).start()
    if not started.wait(START_TIMEOUT_S):
        raise RunError("The console kernel did not start in time.", remedy="See train.log.", code="WB609")
    if problems:
        raise RunError(f"The console kernel did not start: {problems[0]!r:.200}", remedy="See train.log.", code="WB609")


def _application() -> Any:
    from ipykernel.displayhook import ZMQDisplayHook
    from ipykernel.kernelapp import IPKernelApp

    class SideKernel(IPKernelApp):
        """A kernel application that leaves the process's signals and output alone."""

        def init_signal(self) -> None:
            """Signals belong to the training."""

        def init_io(self) -> None:
            """Only results are redirected, not stdout and stderr."""
            self.displayhook = ZMQDisplayHook(self.session, self.iopub_socket)

        def log_connection_info(self) -> None:
            """The acknowledgement says it."""

    return SideKernel
