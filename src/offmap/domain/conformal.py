"""Prediction intervals that keep their stated coverage on a new task, bin by bin of the domain.

The rows of one task are alike, so a new task counts as one draw and not as thousands: every
finished task has the same weight, whatever its size, and a further unit of weight lies at infinity
for the task to come. The quantile of the errors, relative to what was expected of each, then covers
a random material of a new task with at least the stated probability (Dunn, Wasserman & Ramdas,
J. Am. Stat. Assoc. 118, 2491, 2023, arXiv 1809.07441; Lee, Barber & Willett, arXiv 2306.06342).
It is taken within bins of how far out the materials lie (Mondrian: Vovk, Lindsay, Nouretdinov &
Gammerman, 2003), and over tasks of the same verdict: a group that is extrapolation is not like the
many that are interpolation. Where too few finished tasks are as far out, and where the interval
would be wider than the labels themselves spread, there is none.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from offmap.domain.verdicts import EXTRAPOLATION, INTERPOLATION, PARTIAL, verdict

Array = NDArray[np.float64]
Rows = NDArray[np.int64]

NOMINAL = 0.9
"""Share of materials whose true value the interval should hold."""

EDGES = (0.0, 1.0, 2.0)
"""Standings that part the bins: the median of held-out training rows, the threshold, far."""

BINS = ("well inside", "inside", "outside", "far outside")

VERDICTS = (INTERPOLATION, PARTIAL, EXTRAPOLATION)
"""From the nearest to the furthest out."""

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
    verdict
        Code of the verdict on its task, an index into :data:`VERDICTS`, shape (n,).
    """

    standing: Array
    expected: Array
    error: Array
    task: Rows
    verdict: Rows

    def tasks_that_are(self, word: str) -> Rows:
        """Codes of the tasks with a verdict."""
        return np.unique(self.task[self.verdict == VERDICTS.index(word)])

    @classmethod
    def of(cls, standing: Array, expected: Array, error: Array, task: Rows) -> Residuals:
        """With the verdict on each task that its rows give."""
        _, code = np.unique(task, return_inverse=True)
        inside = np.bincount(code, standing <= 1) / np.bincount(code)
        found = np.array([VERDICTS.index(verdict(share)) for share in inside], dtype=np.int64)
        return cls(standing, expected, error, task, found[code])

    def __len__(self) -> int:
        return len(self.error)

    def take(self, rows: NDArray[Any]) -> Residuals:
        """Some of the rows."""
        return Residuals(*(values[rows] for values in vars(self).values()))


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


def intervals(
    known: Residuals, standing: Array, expected: Array, nominal: float, widest: float = np.inf
) -> Intervals:
    """Prediction intervals of new materials.

    Parameters
    ----------
    known
        What finished tasks showed.
    standing, expected
        Of the new materials, all of one group; shape (n,).
    nominal
        Coverage, between 0 and 1.
    widest
        Half-width beyond which an interval says nothing (:func:`trivial`).
    """
    need, own = fewest_tasks(nominal), bins_of(standing)
    word = verdict(float((standing <= 1).mean()))
    code = VERDICTS.index(word)
    reach = _reach(known.take(known.verdict >= code))
    half_width, reason = np.full(len(standing), np.nan), np.full(len(standing), "", dtype=object)
    for b in np.unique(own):
        mine, pool = np.flatnonzero(own == b), _pool(known, int(b), code, need)
        width = quantile(pool.error / pool.expected, pool.task, nominal)
        if not np.isfinite(width):
            n_tasks = len(np.unique(pool.task))
            further = "" if word == EXTRAPOLATION else " or further out"
            reason[mine] = (
                f"only {n_tasks} finished tasks that are {word}{further} have materials {BINS[b]}; "
                f"{need} needed"
            )
            continue
        half_width[mine] = width * expected[mine]
        n_reach = len(reach) - np.searchsorted(reach, standing[mine], side="left")
        beyond = n_reach < need
        reason[mine[beyond]] = [
            f"only {n} of {len(reach)} finished tasks reach this far out; {need} needed"
            for n in n_reach[beyond]
        ]
        wide = (half_width[mine] > widest) & ~beyond
        reason[mine[wide]] = f"it would be wider than the labels spread (+/- {widest:.3g})"
        half_width[mine[beyond | wide]] = np.nan
    return Intervals(half_width, own, reason)


def _pool(known: Residuals, bin: int, code: int, need: int) -> Residuals:
    """Rows of one bin, of tasks with one verdict; too few tasks are joined by those further out."""
    inside = bins_of(known.standing) == bin
    for furthest in range(code, len(VERDICTS)):
        rows = inside & (known.verdict >= code) & (known.verdict <= furthest)
        if len(np.unique(known.task[rows])) >= need:
            break
    return known.take(rows)


def trivial(y: Array, nominal: float) -> float:
    """Half the range that holds this share of the labels: what is known without any model."""
    low, high = np.quantile(y, [(1 - nominal) / 2, (1 + nominal) / 2])
    return float(high - low) / 2


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
    known: Residuals,
    shared: NDArray[np.bool_],
    nominal: float,
    seed: int = 0,
    widest: float = np.inf,
    tasks: Rows | None = None,
) -> pd.DataFrame:
    """Coverage of the intervals on every finished task, made without it.

    Parameters
    ----------
    known
        What finished tasks showed, tasks coded 0 to n_tasks - 1.
    shared
        Whether the material of each row is in the test set of each task, shape (n, n_tasks): such
        rows say nothing about the task, whichever task they are from.
    nominal, widest
        As for :func:`intervals`.
    tasks
        Only these tasks; by default all.

    Returns
    -------
    DataFrame
        One row per bin and one, ``all``: ``bin``, ``n_tasks``, ``n_materials``, ``nominal``,
        ``interval_coverage`` (of a task's materials that have an interval, mean over tasks) with
        its ends over resampled tasks, ``interval_coverage_q10`` (of the tenth of tasks that are
        covered worst), ``half_width`` (median) and ``abstained`` (share without an interval).
    """
    parts = [pd.DataFrame(columns=["task", "bin", "half_width", "held"], dtype=float)]
    for t in np.unique(known.task if tasks is None else tasks):
        mine = known.task == t
        rest = known.take(~mine & ~shared[:, t])
        found = intervals(rest, known.standing[mine], known.expected[mine], nominal, widest)
        frame = pd.DataFrame({"task": t, "bin": found.bin, "half_width": found.half_width})
        frame["held"] = np.where(
            np.isfinite(found.half_width), known.error[mine] <= found.half_width, np.nan
        )
        parts.append(frame)
    everything = pd.concat(parts[1:] or parts, ignore_index=True)
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
