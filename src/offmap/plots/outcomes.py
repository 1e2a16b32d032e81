"""Which tasks fail: one definition, used by every figure, table and sentence of the report."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import pandas as pd

from offmap.columns import (
    CRITERION,
    HELD_OUT,
    IN_DISTRIBUTION,
    MODEL,
    N_TRAIN,
    REPRESENTATION,
    SEED,
)
from offmap.scores import POOLED

RATIO_LIMIT = 2.0
"""A task holds while its MAE stays within this many times the in-distribution MAE."""

SHIFT_PEARSON = 0.9
SHIFT_SHARE = 0.5
"""A task is "shifted" if r is at least 0.9 and |bias| makes up at least half of the MAE."""


@dataclass(frozen=True)
class Outcome:
    """How a task can go, and how that is drawn so that no reader needs colour to see it."""

    label: str
    meaning: str
    colour: str
    mark: str
    symbol: str
    hatch: str


HOLDS, UNDECIDED, FAILS, UNKNOWN = "holds", "undecided", "fails", "unknown"

OUTCOMES: dict[str, Outcome] = {
    HOLDS: Outcome(
        "holds", "the whole interval of the MAE ratio is at or below the limit",
        "#0072b2", "✓", "circle", "",
    ),
    UNDECIDED: Outcome(
        "undecided", "the interval of the MAE ratio contains the limit",
        "#6b6b6b", "?", "diamond", "..",
    ),
    FAILS: Outcome(
        "fails", "the whole interval of the MAE ratio is above the limit",
        "#d55e00", "✕", "x", "///",
    ),
    UNKNOWN: Outcome(
        "no reference", "the in-distribution folds of this model are not scored",
        "#bdbdbd", "–", "square", "",
    ),
}  # fmt: skip


def outcomes(scores: pd.DataFrame, limit: float = RATIO_LIMIT) -> pd.Series:
    """Outcome of each row: ``holds``, ``undecided``, ``fails`` or ``unknown``.

    Where a study has no intervals, the ratio itself decides.
    """
    ratio = _column(scores, "mae_ratio")
    low = _column(scores, "mae_ratio_low").fillna(ratio)
    high = _column(scores, "mae_ratio_high").fillna(ratio)
    found = np.select(
        [ratio.isna(), low > limit, high <= limit], [UNKNOWN, FAILS, HOLDS], UNDECIDED
    )
    return pd.Series(found, index=scores.index, dtype=object)


def with_series(scores: pd.DataFrame) -> pd.DataFrame:
    """Add ``series``: the model, with its representation where one model has several."""
    several = scores.groupby(MODEL, observed=True)[REPRESENTATION].transform("nunique") > 1
    model, representation = scores[MODEL].astype(str), scores[REPRESENTATION].astype(str)
    return scores.assign(series=model.where(~several, model + " · " + representation))


def task_scores(scores: pd.DataFrame, verdicts: pd.DataFrame | None = None) -> pd.DataFrame:
    """Rows of tasks, one per series and task, with ``series`` and ``outcome``.

    Parameters
    ----------
    scores
        The table ``scores``; where a task was run at several sizes or seeds, the largest training
        set and the first seed are shown.
    verdicts
        The table ``verdicts``; its columns are added to each task.
    """
    tasks = with_series(scores[scores[CRITERION].astype(str) != IN_DISTRIBUTION])
    tasks = tasks.astype({CRITERION: str, HELD_OUT: str})
    tasks = tasks.sort_values([N_TRAIN, SEED], ascending=[False, True], kind="stable")
    tasks = tasks.drop_duplicates(["series", CRITERION, HELD_OUT]).sort_index()
    tasks = tasks.assign(outcome=outcomes(tasks))
    if verdicts is not None and len(verdicts):
        tasks = _add_verdicts(tasks, verdicts)
    return tasks.reset_index(drop=True)


def of_series(tasks: pd.DataFrame, series: str = "") -> tuple[pd.DataFrame, str]:
    """The tasks of one series (by default the first), and its name."""
    series = series or (str(tasks["series"].iat[0]) if len(tasks) else "")
    return tasks[tasks["series"] == series], series


def in_distribution_scores(scores: pd.DataFrame) -> pd.DataFrame:
    """The pooled in-distribution row of each series."""
    is_pooled = (scores[CRITERION].astype(str) == IN_DISTRIBUTION) & (
        scores[HELD_OUT].astype(str) == POOLED
    )
    return with_series(scores[is_pooled]).drop_duplicates("series").reset_index(drop=True)


def is_shifted(tasks: pd.DataFrame) -> pd.Series:
    """Tasks whose predictions are in the right order but displaced as a whole."""
    share = _column(tasks, "bias").abs() / _column(tasks, "mae")
    found: pd.Series = (_column(tasks, "pearson") >= SHIFT_PEARSON) & (share >= SHIFT_SHARE)
    return found


def _add_verdicts(tasks: pd.DataFrame, verdicts: pd.DataFrame) -> pd.DataFrame:
    keys = [k for k in (REPRESENTATION, MODEL, CRITERION, HELD_OUT) if k in verdicts]
    new = verdicts.astype(dict.fromkeys(keys, str)).drop_duplicates(keys)
    columns = [c for c in new if c in keys or c not in tasks]
    tasks = tasks.astype(dict.fromkeys(keys, str))
    return tasks.merge(new[columns], on=keys, how="left")


def _column(frame: pd.DataFrame, name: str) -> pd.Series:
    if name not in frame:
        return pd.Series(np.nan, index=frame.index)
    return pd.to_numeric(frame[name], errors="coerce").astype(float)
