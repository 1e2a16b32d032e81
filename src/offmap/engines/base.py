"""What every engine gives back."""

from __future__ import annotations

from dataclasses import dataclass

from offmap.store import Cell

CRASHED = "the worker process died (out of memory?)"


@dataclass(frozen=True)
class Outcome:
    """How one cell went: seconds taken, and an error in words if it failed."""

    cell: Cell
    seconds: float
    error: str = ""


def n_cores() -> int:
    """Processors that this process may use (affinity and container limits respected)."""
    from joblib import cpu_count

    return int(cpu_count())
