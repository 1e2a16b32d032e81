"""Prediction intervals that keep their stated coverage on a new task, bin by bin of the domain.

The rows of one task are alike, so a new task counts as one draw and not as thousands: every
finished task has the same weight, whatever its size, and a further unit of weight lies at infinity
for the task to come. The quantile of the errors, relative to what was expected of each, then covers
a random material of a new task with at least the stated probability (Dunn, Wasserman & Ramdas,
J. Am. Stat. Assoc. 118, 2491, 2023, arXiv 1809.07441; Lee, Barber & Willett, arXiv 2306.06342).
It is taken within bins of how far out the materials lie (Mondrian: Vovk, Lindsay, Nouretdinov &
Gammerman, 2003). Where too few finished tasks reach as far out as a material, there is no interval.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
import pandas as pd
from numpy.typing import NDArray

Array = NDArray[np.float64]
Rows = NDArray[np.int64]

NOMINAL = 0.9
"""Share of materials whose true value the interval should hold."""

EDGES = (0.0, 1.0, 2.0)
"""Standings that part the bins: the median of held-out training rows, the threshold, far."""

BINS = ("well inside", "inside", "outside", "far outside")

# Resamples of tasks behind the interval of a measured coverage.
_RESAMPLES = 400


@dataclass(frozen=True, eq=False)
class Residuals:
    """Errors on the test rows of finished tasks, each forecast without its own task.

    Parameters
    ----------
    standing
        How far out each row lay; 1 is the threshold of its task. Shape (n,).
    expected
        Absolute error that was expected of it, positive, shape (n,).
    error
        Absolute error that was made, shape (n,).
    task
        Code of its task, shape (n,).
    """

    standing: Array
    expected: Array
    error: Array
    task: Rows

    def __len__(self) -> int:
        return len(self.error)

    def take(self, rows: NDArray[Any]) -> Residuals:
        """Some of the rows."""
        return Residuals(
            self.standing[rows], self.expected[rows], self.error[rows], self.task[rows]
        )


@dataclass(frozen=True, eq=False)
class Intervals:
    """Half-widths of prediction intervals.

    Parameters
    ----------
    half_width
        In units of the target, NaN where there is none, shape (n,).
    bin
        Number of the bin, shape (n,).
    reason
        Why there is no interval, empty where there is one, shape (n,).
    """

    half_width: Array
    bin: Rows
    reason: NDArray[np.object_]


def bins_of(standing: Array) -> Rows:
    """Number of the bin of each standing, an index into :data:`BINS`."""
    return np.searchsorted(np.asarray(EDGES), standing, side="left").astype(np.int64)


def fewest_tasks(nominal: float) -> int:
    """Finished tasks without which no interval of this coverage is finite: 9 for 90 %."""
    return int(np.ceil(nominal / (1 - nominal) - 1e-9))


def intervals(known: Residuals, standing: Array, expected: Array, nominal: float) -> Intervals:
    """Prediction intervals of new materials.

    Parameters
    ----------
    known
        What finished tasks showed.
    standing, expected
        Of the new materials, shape (n,).
    nominal
        Coverage, between 0 and 1.
    """
    need, own, theirs = fewest_tasks(nominal), bins_of(standing), bins_of(known.standing)
    reach = _reach(known)
    n_reach = len(reach) - np.searchsorted(reach, standing, side="left")
    half_width, reason = np.full(len(standing), np.nan), np.full(len(standing), "", dtype=object)
    for b in np.unique(own):
        mine, pool = np.flatnonzero(own == b), np.flatnonzero(theirs == b)
        n_tasks = len(np.unique(known.task[pool]))
        width = quantile(known.error[pool] / known.expected[pool], known.task[pool], nominal)
        if not np.isfinite(width):
            reason[mine] = f"only {n_tasks} finished tasks have materials {BINS[b]}; {need} needed"
            continue
        half_width[mine] = width * expected[mine]
        beyond = mine[n_reach[mine] < need]
        half_width[beyond] = np.nan
        reason[beyond] = [
            f"only {n} of {len(reach)} finished tasks reach this far out; {need} needed"
            for n in n_reach[beyond]
        ]
    return Intervals(half_width, own, reason)


def quantile(score: Array, task: Rows, nominal: float) -> float:
    """Quantile of scores in which every task counts the same, and one more lies at infinity."""
    if not len(score):
        return float("inf")
    _, code, count = np.unique(task, return_inverse=True, return_counts=True)
    order = np.argsort(score, kind="stable")
    mass = np.cumsum((1 / count[code])[order]) / (len(count) + 1)
    place = int(np.searchsorted(mass, nominal - 1e-9, side="left"))
    return float(score[order][place]) if place < len(score) else float("inf")


def measured(
    known: Residuals, shared: NDArray[np.bool_], nominal: float, seed: int = 0
) -> pd.DataFrame:
    """Coverage of the intervals on every finished task, made without it.

    Parameters
    ----------
    known
        What finished tasks showed, tasks coded 0 to n_tasks - 1.
    shared
        Whether the material of each row is in the test set of each task, shape (n, n_tasks): such
        rows say nothing about the task, whichever task they are from.
    nominal
        Coverage, between 0 and 1.

    Returns
    -------
    DataFrame
        One row per bin and one, ``all``: ``bin``, ``n_tasks``, ``n_materials``, ``nominal``,
        ``interval_coverage`` (of a task's materials that have an interval, mean over tasks) with
        its ends over resampled tasks, ``interval_coverage_q10`` (of the tenth of tasks that are
        covered worst), ``half_width`` (median) and ``abstained`` (share without an interval).
    """
    parts = []
    for t in np.unique(known.task):
        mine = known.task == t
        rest = known.take(~mine & ~shared[:, t])
        found = intervals(rest, known.standing[mine], known.expected[mine], nominal)
        frame = pd.DataFrame({"task": t, "bin": found.bin, "half_width": found.half_width})
        frame["held"] = np.where(
            np.isfinite(found.half_width), known.error[mine] <= found.half_width, np.nan
        )
        parts.append(frame)
    everything = pd.concat(parts, ignore_index=True)
    rows = [
        _summary(everything[everything["bin"] == b], name, nominal, seed)
        for b, name in enumerate(BINS)
    ]
    return pd.DataFrame([*rows, _summary(everything, "all", nominal, seed)])


def _summary(frame: pd.DataFrame, name: str, nominal: float, seed: int) -> dict[str, Any]:
    held = frame.groupby("task")["held"].mean().dropna().to_numpy(float)
    low = high = worst = np.nan
    if len(held):
        rng = np.random.default_rng(seed)
        means = held[rng.integers(0, len(held), (_RESAMPLES, len(held)))].mean(axis=1)
        low, high = np.quantile(means, [0.025, 0.975])
        worst = float(np.quantile(held, 0.1))
    return {
        "bin": name,
        "n_tasks": len(held),
        "n_materials": int(frame["held"].notna().sum()),
        "nominal": nominal,
        "interval_coverage": float(held.mean()) if len(held) else np.nan,
        "interval_coverage_low": float(low),
        "interval_coverage_high": float(high),
        "interval_coverage_q10": worst,
        "half_width": float(frame["half_width"].median()) if len(held) else np.nan,
        "abstained": float(frame["held"].isna().mean()) if len(frame) else np.nan,
    }


def _reach(known: Residuals) -> Array:
    """The furthest standing of each task, ascending."""
    if not len(known):
        return np.zeros(0)
    furthest = pd.Series(known.standing).groupby(known.task).max()
    return np.sort(furthest.to_numpy(float))
