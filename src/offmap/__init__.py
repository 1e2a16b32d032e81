"""Is a test set really off the map of the training data? A tool to find out."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

__version__ = "0.1.0"

if TYPE_CHECKING:
    from offmap.crystals import Crystals
    from offmap.domain.audit import audit
    from offmap.report import show
    from offmap.results import Run
    from offmap.stages import run
    from offmap.study import Study

__all__ = ["Crystals", "Run", "Study", "__version__", "audit", "run", "show"]

_HOMES = {
    "Crystals": "offmap.crystals",
    "Run": "offmap.results",
    "audit": "offmap.domain.audit",
    "run": "offmap.stages",
    "show": "offmap.report",
    "Study": "offmap.study",
}


def __getattr__(name: str) -> Any:
    """Import public names when they are first used: ``import offmap`` itself is instant."""
    if name in _HOMES:
        from importlib import import_module

        return getattr(import_module(_HOMES[name]), name)
    raise AttributeError(f"module 'offmap' has no attribute {name!r}")
