"""A JupyterLab with our extension, nobody's settings, and a place of its own for runs."""

import contextlib
import json
import os
import socket
import subprocess
import sys
import time
import urllib.error
import urllib.request
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any, cast

ROOT = Path(__file__).resolve().parents[2]
EXTENSION = ROOT / "workbench" / "labextension"
TOKEN = "test-only"
APPUTILS = "@jupyterlab/apputils-extension"


@dataclass(frozen=True)
class Lab:
    """A served JupyterLab.

    Attributes:
        url: Without path.
        files: The server's root folder.
        env: Environment of server and kernels, for calling the command line beside it.
    """

    url: str
    files: Path
    env: dict[str, str]

    def address(self, notebook: str) -> str:
        """Where a notebook opens in a fresh workspace."""
        return f"{self.url}/lab/tree/{notebook}?reset&token={TOKEN}"

    def api(self, method: str, path: str) -> object:
        """Call the server's REST API."""
        request = urllib.request.Request(
            f"{self.url}{path}", method=method, headers={"Authorization": f"token {TOKEN}"}
        )
        with urllib.request.urlopen(request, timeout=30) as answer:
            body = answer.read()
        return json.loads(body) if body else None

    def wait_for_kernel(self, notebook: str) -> None:
        """Wait until a notebook's kernel is idle and the page is connected to it; the page's own sign comes earlier."""
        while not any(_listens(session, notebook) for session in cast("list[Any]", self.api("GET", "/api/sessions"))):
            time.sleep(0.2)


def _listens(session: Any, notebook: str) -> bool:
    kernel = session["kernel"]
    return session["path"] == notebook and kernel["execution_state"] == "idle" and kernel["connections"] > 0


@contextlib.contextmanager
def jupyter_lab(home: Path, *, theme: str = "", dark: bool = False, extension: bool = True) -> Iterator[Lab]:
    """Serve an empty folder until the block ends."""
    (home / "share" / "labextensions").mkdir(parents=True)
    (home / "share" / "labextensions" / "finetune-workbench").symlink_to(EXTENSION)
    settings = home / "settings" / APPUTILS
    settings.mkdir(parents=True)
    (settings / "notification.jupyterlab-settings").write_text('{"fetchNews": "false", "checkForUpdates": false}')
    if dark or theme:
        (settings / "themes.jupyterlab-settings").write_text(json.dumps({"theme": theme or "JupyterLab Dark"}))
    if not extension:
        (home / "config" / "labconfig").mkdir(parents=True)
        disabled = {"disabledExtensions": {"finetune-workbench": True}}
        (home / "config" / "labconfig" / "page_config.json").write_text(json.dumps(disabled))
    config = home / "config" / "jupyter_server_config.d"
    config.mkdir(parents=True)
    enabled = {"ServerApp": {"jpserver_extensions": {"workbench.server": True, "notebook": True}}}
    (config / "finetune_workbench.json").write_text(json.dumps(enabled))
    files = home / "files"
    files.mkdir()
    places = ("JUPYTER_RUNTIME_DIR", "JUPYTER_DATA_DIR", "IPYTHONDIR", "XDG_STATE_HOME")
    env = os.environ | {name: str(home / name.lower()) for name in places} | {
        "JUPYTER_CONFIG_DIR": str(home / "config"),
        "JUPYTERLAB_SETTINGS_DIR": str(home / "settings"),
        "JUPYTERLAB_WORKSPACES_DIR": str(home / "workspaces"),
        "JUPYTER_PATH": str(home / "share"),
        "PYTHONPATH": str(ROOT),
    }  # fmt: skip
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port = probe.getsockname()[1]
    options = [f"--port={port}", f"--IdentityProvider.token={TOKEN}", f"--ServerApp.root_dir={files}"]
    command = [sys.executable, "-m", "jupyterlab", "--no-browser", "--allow-root", "--LabApp.news_url=None", *options]
    with (home / "log").open("w") as log, subprocess.Popen(command, env=env, stdout=log, stderr=log) as server:
        try:
            _wait_until_served(f"http://127.0.0.1:{port}/api?token={TOKEN}", server)
            yield Lab(f"http://127.0.0.1:{port}", files, env)
        finally:
            server.terminate()


def _wait_until_served(url: str, server: subprocess.Popen[bytes]) -> None:
    while server.poll() is None:
        try:
            urllib.request.urlopen(url, timeout=5).close()
            return
        except (urllib.error.URLError, TimeoutError):
            time.sleep(0.2)
    raise RuntimeError(f"JupyterLab ended with {server.returncode} before it served")


def open_notebook(page, lab: Lab, notebook: str) -> None:
    """Open a notebook and wait until its kernel is there (the indicator is idle before that)."""
    page.goto(lab.address(notebook))
    page.wait_for_function("/\\| Idle/.test(document.body.innerText)")
    page.wait_for_selector(".jp-Notebook .jp-Cell")


def menu(page, *labels: str) -> None:
    """Choose from the menu bar."""
    page.click(f'.lm-MenuBar-itemLabel:text-is("{labels[0]}")')
    for label in labels[1:]:
        page.click(f'.lm-Menu-itemLabel:text-is("{label}")')
