"""How much memory a stage will need, and how much there is: said before it starts."""

from __future__ import annotations

import os
import sys
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from offmap.progress import Reporter

GIB = 2**30

_BASE = 0.25 * GIB  # the interpreter with all it imports, per process


def available(proc: Path = Path("/proc"), cgroup: Path = Path("/sys/fs/cgroup")) -> int | None:
    """Bytes that this process may still use: of the machine, its container and its own limits.

    None where the system does not say.
    """
    found = [_machine(proc), _container(cgroup), _own_limit(proc)]
    return min((n for n in found if n is not None), default=None)


def _machine(proc: Path) -> int | None:
    try:
        for line in (proc / "meminfo").read_text().splitlines():
            name, _, value = line.partition(":")
            if name == "MemAvailable":
                return int(value.split()[0]) * 1024
    except (OSError, ValueError, IndexError):
        pass
    try:
        return os.sysconf("SC_AVPHYS_PAGES") * os.sysconf("SC_PAGE_SIZE")
    except (AttributeError, ValueError, OSError):
        return None


def _container(cgroup: Path) -> int | None:
    """What a control group leaves, version 2 or 1; SLURM, Docker and Kubernetes set one."""
    for most, used in (
        ("memory.max", "memory.current"),
        ("memory/memory.limit_in_bytes", "memory/memory.usage_in_bytes"),
    ):
        try:
            return max(0, int((cgroup / most).read_text()) - int((cgroup / used).read_text()))
        except (OSError, ValueError):  # not there, or "max"
            continue
    return None


def _own_limit(proc: Path) -> int | None:
    if sys.platform == "win32":
        return None
    import resource

    most = resource.getrlimit(resource.RLIMIT_AS)[0]
    if most == resource.RLIM_INFINITY:
        return None
    try:
        used = int((proc / "self" / "statm").read_text().split()[0]) * resource.getpagesize()
    except (OSError, ValueError, IndexError):
        used = 0
    return max(0, most - used)


def to_describe(n: int, n_columns: int) -> int:
    """Bytes to have the features of n crystals in hand: twice, while they are put in order."""
    return int(_BASE + n * (2 * n_columns * _DOUBLE + _PER_CRYSTAL))


def to_find_symmetry(n: int, jobs: int) -> int:
    """Bytes to find the attributes of n crystals that are in hand already."""
    return int(jobs * _BASE + n * _PER_ATTRIBUTES)


def to_train(
    n: int, n_columns: int, jobs: int, model: str = "", settings: Mapping[str, Any] | None = None
) -> int:
    """Bytes to train ``jobs`` models at once on n crystals whose features are in hand.

    Workers map one array in single precision, and each copies its training rows. The libraries of
    boosted trees add little to it; the nodes of a forest, about ``1.3 n`` in each tree, add up.
    """
    trees = (settings or {}).get("n_estimators", _TREES)
    nodes = trees * _PER_ROW_OF_A_TREE if model == "rf" and isinstance(trees, int) else 0
    each = _BASE + n * (n_columns * _SINGLE * _COPIES.get(model, 2) + nodes)
    return int(n * n_columns * _SINGLE + jobs * each)


def to_score(n_predictions: int) -> int:
    """Bytes to score so many predictions in one table."""
    return int(_BASE + n_predictions * _PER_PREDICTION_SCORED)


def to_report(n_predictions: int) -> int:
    """Bytes to draw so many predictions."""
    return int(_BASE + n_predictions * _PER_PREDICTION_DRAWN)


def to_find_domain(n: int, n_columns: int, jobs: int) -> int:
    """Bytes to judge tasks over n crystals whose features are in hand, ``jobs`` at once.

    All tasks share one copy in single precision, and lists of neighbours; each copies its training
    rows and their places in the spaces of the detectors. The verdicts grow with the materials.
    """
    shared = n_columns * _SINGLE + _PER_LISTED
    return int(_BASE + n * (shared + 3 * jobs * n_columns * _SINGLE + _PER_VERDICTS))


def to_decompose(n: int, n_columns: int, jobs: int) -> int:
    """Bytes to take errors apart over n crystals whose features are in hand, ``jobs`` at once."""
    return int(_BASE + 2 * n * n_columns * _SINGLE + jobs * (_BASE + n * n_columns * _SINGLE))


# Measured by benchmarks/bench_memory.py; docs/cluster.md has the table.
_SINGLE, _DOUBLE = 4, 8
_TREES = 100
_COPIES = {"lgbm": 1.0, "xgb": 1.2, "rf": 1.0}
_PER_CRYSTAL = 3000
_PER_ATTRIBUTES = 1500
_PER_ROW_OF_A_TREE = 85
_PER_PREDICTION_SCORED = 300
_PER_PREDICTION_DRAWN = 100
_PER_VERDICTS = 12_000
_PER_LISTED = 3_000  # 128 neighbours in two spaces, one of them twice while it is put together


def say_if_short(stage: str, needed: int, reporter: Reporter) -> None:
    """Say before a stage starts that it will hardly fit."""
    text = warning(stage, needed)
    if text:
        reporter.say(text)


def warning(stage: str, needed: int, there: int | None = None) -> str:
    """What to tell somebody before a stage that will hardly fit; empty if it will.

    Examples
    --------
    >>> warning("Train and predict", 12 * GIB, there=8 * GIB)
    'Train and predict needs about 12.0 GiB of memory and 8.0 GiB are free: it may be ended by the \
system. Use fewer --jobs, or --limit'
    """
    there = available() if there is None else there
    if there is None or needed <= there:
        return ""
    return (
        f"{stage} needs about {needed / GIB:.1f} GiB of memory and {there / GIB:.1f} GiB are free:"
        " it may be ended by the system. Use fewer --jobs, or --limit"
    )
