"""What of a wide table a person reads at a terminal: a few columns, the worst first."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from typing import TYPE_CHECKING

import pandas as pd

if TYPE_CHECKING:
    from offmap.engines import Outcome

MOST = 20
"""Rows of a table that are printed; the file that the last line names has all."""

_OF_COMPARISONS = (
    "finding", "holds", "dataset", "model", "metric", "measured", "published", "status",
)  # fmt: skip
_SHOWN_IF_SEVERAL = ("dataset", "target", "representation", "model", "method", "seed")


def scores(frame: pd.DataFrame) -> pd.DataFrame:
    """Tasks by how much worse they are than in distribution, the random folds last."""
    names = ("n_test", "mae", "mae_ratio", "r2", "bias", "pearson", "mae_in_distribution")
    return view(_sorted(frame, "mae_ratio", ascending=False), names, intervals=("mae_ratio",))


def verdicts(frame: pd.DataFrame) -> pd.DataFrame:
    """Tasks by how little of their test set is in the domain."""
    names = ("n_test", "coverage", "verdict", "sure", "expected_mae", "mae", "agreement")
    return view(_sorted(frame, "coverage"), names, intervals=("coverage",))


def published_domains(frame: pd.DataFrame) -> pd.DataFrame:
    """Tasks by how little of their test set the published procedure puts in the domain."""
    names = ("n_test", "coverage", "mae", "mae_in", "mae_out", "r2_in", "r2_out")
    return view(_sorted(frame, "coverage"), names)


def biases(frame: pd.DataFrame) -> pd.DataFrame:
    """The tasks that were taken apart, by the size of their bias."""
    part = frame[frame["bias_composition"].notna()] if "bias_composition" in frame else frame
    part = part.sort_values("bias", key=abs, ascending=False, kind="stable")
    names = ("n_test", "bias", "bias_composition", "bias_structure", "mae", "error_class")
    return view(part, names, intervals=("bias",))


def laws(frame: pd.DataFrame) -> pd.DataFrame:
    """The curves of the error, in distribution and held out."""
    names = ("curve", "test", "exponent", "effect", "largest", "mae_largest", "mae_at_10x")
    return view(frame, names, intervals=("exponent",))


def intervals(frame: pd.DataFrame) -> pd.DataFrame:
    """What the intervals of an audit held, by how far out a material lies."""
    names = {
        "bin": "materials",
        "verdict": "tasks that are",
        "n_tasks": "tasks",
        "interval_coverage": "held",
        "interval_coverage_q10": "worst tenth",
        "half_width": "half-width",
        "abstained": "no interval",
        "n_audited": "audited",
        "interval_coverage_audited": "held here",
    }
    return view(frame, names, intervals=("interval_coverage",)).rename(columns=names)


def furthest_out(frame: pd.DataFrame) -> pd.DataFrame:
    """The materials of an audit, with what matters most at the left."""
    first = ["material_id", "formula", "standing", "expected_error", "+/-", "why", "nearest"]
    names = [name for name in first if name in frame]
    return frame[[*names, *(name for name in frame if name not in names)]]


def first(frame: pd.DataFrame) -> pd.DataFrame:
    """A table of a comparison, with what was found before where it is from."""
    names = [name for name in _OF_COMPARISONS if name in frame]
    return frame[[*names, *(name for name in frame if name not in names)]]


def view(frame: pd.DataFrame, names: Iterable[str], intervals: Iterable[str] = ()) -> pd.DataFrame:
    """Of these columns the ones that are there, each interval beside its value.

    The task stands first, as ``--held-out`` takes it; what a study has only one of is left out.
    """
    shown = pd.DataFrame(index=frame.index)
    if {"criterion", "held_out"} <= set(frame):
        shown["task"] = frame["criterion"].astype(str) + "/" + frame["held_out"].astype(str)
    for name in _SHOWN_IF_SEVERAL:
        if name in frame and frame[name].nunique() > 1:
            shown[name] = frame[name]
    for name in names:
        if name in frame:
            shown[name] = _with_interval(frame, name) if name in intervals else frame[name]
    return shown


def in_words(frame: pd.DataFrame, verdict: str, tasks: Iterable[str] = ()) -> Iterator[str]:
    """The verdict on each task, a line each; of these tasks or criteria if any are given."""
    asked = set(tasks)
    if verdict not in frame:
        return
    for row in frame[frame[verdict].fillna("").astype(str) != ""].to_dict("records"):
        task = f"{row['criterion']}/{row['held_out']}"
        if not asked or task in asked or row["criterion"] in asked:
            model = f" ({row['model']})" if frame["model"].nunique() > 1 else ""
            curve = f", {row['curve']}" if "curve" in row else ""
            yield f"{task}{model}{curve}: {row[verdict]}"


def failures(failed: Iterable[Outcome]) -> Iterator[str]:
    """A line per error, with the cells that it ended."""
    return alike((outcome.cell.name, str(outcome.error)) for outcome in failed)


def alike(failed: Iterable[tuple[str, str]]) -> Iterator[str]:
    """The same for cells and their errors."""
    cells: dict[str, list[str]] = {}
    for name, error in failed:
        cells.setdefault(error.removeprefix("OffmapError: "), []).append(name)
    for error, names in cells.items():
        named = ", ".join(names[:3]) + (f" and {len(names) - 3} more" if len(names) > 3 else "")
        yield f"failed: {named}: {error}"


def _sorted(frame: pd.DataFrame, by: str, ascending: bool = True) -> pd.DataFrame:
    if by not in frame:
        return frame
    return frame.sort_values(by, ascending=ascending, kind="stable", na_position="last")


def _with_interval(frame: pd.DataFrame, name: str) -> pd.Series:
    """Such as ``3.28 [2.87, 3.69]``."""
    ends = (f"{name}_low", f"{name}_high")
    if not set(ends) <= set(frame):
        return frame[name]
    rows = zip(frame[name], frame[ends[0]], frame[ends[1]], strict=True)
    return pd.Series([_interval(*row) for row in rows], index=frame.index, dtype=object)


def _interval(value: float, low: float, high: float) -> str:
    if value != value:
        return "-"
    return f"{value:.2f}" if low != low else f"{value:.2f} [{low:.2f}, {high:.2f}]"
