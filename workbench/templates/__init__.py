"""Chat templates: where they come from (registry), and text with provenance (render)."""

from __future__ import annotations

import sys
from types import ModuleType


class _Templates(ModuleType):
    """Keeps `wb.templates()` a call: once this folder is imported, Python puts it in the public function's place."""

    def __call__(self) -> list[str]:
        """Names in the registry, as `workbench.api.template.templates`."""
        from workbench.templates import registry

        return sorted(registry.names())


sys.modules[__name__].__class__ = _Templates
