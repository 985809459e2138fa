"""Authenticated routes over run directories, for the panel and for live run cards (docs/wire.md, section 5).

The server reads the same files as everybody else and writes only commands; it holds no state that matters and never
trains. Importing this imports neither torch nor transformers.
"""

from __future__ import annotations

from typing import Any

from jupyter_server.utils import url_path_join

from workbench.server.handlers import ROUTES
from workbench.server.known_runs import KnownRuns

PREFIX = "finetune-workbench"


def setup_handlers(web_app: Any) -> None:
    """Add the routes to a tornado application whose settings hold `base_url`."""
    runs = KnownRuns()
    base = url_path_join(web_app.settings["base_url"], PREFIX)
    handlers = [(url_path_join(base, path), handler, {"runs": runs}) for path, handler in ROUTES]
    web_app.add_handlers(".*$", handlers)


def _load_jupyter_server_extension(server_app: Any) -> None:
    """Called by Jupyter Server when the extension is enabled."""
    setup_handlers(server_app.web_app)
    server_app.log.info("Finetune Workbench: routes under /%s", PREFIX)
