"""From the scores of all tasks to the tables: verdicts, expected errors, head-to-head."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from offmap.columns import CRITERION, IN_DISTRIBUTION, MATERIAL_ID
from offmap.domain.calibration import FALSE_ALARMS, standing
from offmap.domain.error_model import FEWEST_TASKS, Examples, leave_task_out
from offmap.domain.head_to_head import rank_correlation, sample_level
from offmap.domain.scoring import TaskScores
from offmap.domain.verdicts import Combined, Standings, task_verdict

Array = NDArray[np.float64]


@dataclass(frozen=True, eq=False)
class Predictions:
    """What one model predicted, task by task.

    Parameters
    ----------
    model
        Its name; empty if no model was trained.
    y_pred
        Task number -> prediction of each of its test rows, NaN where there is none.
    in_distribution
        Prediction of each material in the random folds, NaN where there is none, shape (n,).
    """

    model: str
    y_pred: Mapping[int, Array]
    in_distribution: Array


@dataclass(frozen=True, eq=False)
class Judged:
    """One task with everything that is known about it.

    Parameters
    ----------
    scores
        The detectors' scores.
    standings
        The same on the common scale, of detectors.
    features
        Inputs of the error model: standings of detectors and of what the judged model's prediction
        and those of simple models differ by.
    error
        Absolute error of each test row, NaN where it is not known; None without a model.
    """

    scores: TaskScores
    standings: Standings
    features: Standings
    error: Array | None


@dataclass(frozen=True, eq=False)
class Context:
    """What else bears on the error, with which it may rise or fall.

    Parameters
    ----------
    test, calibration
        Numbers of the test and calibration rows, shapes (n_test, m) and (n_calibration, m).
    """

    test: Array
    calibration: Array


def judge(
    scores: TaskScores,
    y: Array,
    predictions: Predictions,
    rate: float = FALSE_ALARMS,
    detectors: tuple[str, ...] | None = None,
) -> Judged:
    """Put one task's scores on the common scale and look up the errors.

    ``detectors`` are those that vote, by default all; the others only help to forecast the error.
    """
    everything = Standings.of(scores, rate)
    standings = everything.columns(detectors or everything.names)
    y_pred = predictions.y_pred.get(scores.task)
    if y_pred is None:
        return Judged(scores, standings, everything, None)
    error = np.abs(y_pred - y[scores.test])
    known = predictions.in_distribution[scores.calibration]
    names, test, calibration = list(everything.names), [everything.test], [everything.calibration]
    if np.isfinite(known).sum() * rate >= 2 and np.isfinite(y_pred).all():
        for name, said in scores.opinions.items():
            reference = np.abs(known - scores.calibration_opinions[name])
            fallback = np.where(np.isfinite(reference), reference, np.nanmedian(reference))
            finite = reference[np.isfinite(reference)]
            names.append(f"against_{name}")
            test.append(standing(np.abs(y_pred - said), finite, rate)[:, None])
            calibration.append(standing(fallback, finite, rate)[:, None])
    features = Standings(tuple(names), np.hstack(test), np.hstack(calibration))
    return Judged(scores, standings, features, error)


def examples(judged: Sequence[Judged], contexts: Mapping[int, Context] | None = None) -> Examples:
    """The test rows of all tasks whose errors are known and whose features agree."""
    names = max((j.features.names for j in judged if j.error is not None), key=len, default=())
    usable = [j for j in judged if j.error is not None and j.features.names == names]
    finite = [np.isfinite(np.asarray(j.error)) for j in usable]
    parts = list(zip(usable, finite, strict=True))
    return Examples(
        _stacked([j.features.test[ok] for j, ok in parts], (0, len(names))),
        _stacked([np.asarray(j.error)[ok] for j, ok in parts], (0,)),
        _stacked([np.full(int(ok.sum()), j.scores.task) for j, ok in parts], (0,)).astype(np.int64),
        _stacked([j.scores.test[ok] for j, ok in parts], (0,)).astype(np.int64),
        _stacked([contexts[j.scores.task].test[ok] for j, ok in parts], (0, 0))
        if contexts
        else None,
    )


def expected_errors(
    judged: Sequence[Judged], seed: int = 0, contexts: Mapping[int, Context] | None = None
) -> dict[int, Combined]:
    """Expected absolute error of the test and calibration rows of each task, leave-task-out.

    Empty where too few tasks are finished to learn from. ``contexts`` has what else bears on the
    errors, for every task whose errors are known.
    """
    known = examples(judged, contexts)
    tasks = np.unique(known.task)
    if len(tasks) <= FEWEST_TASKS:
        return {}
    by_task = {j.scores.task: j for j in judged}
    found = {}
    for task, model in leave_task_out(known, tasks.tolist(), seed):
        features, context = by_task[task].features, contexts[task] if contexts else None
        found[task] = Combined(
            model.predict(features.test, context.test if context else None),
            model.predict(features.calibration, context.calibration if context else None),
        )
    return found


def task_row(
    one: Judged, combined: Combined, systems: NDArray[np.object_], settings: tuple[int, float, int]
) -> dict[str, object]:
    """The task's row of ``verdicts``, without its keys."""
    n_bootstrap, confidence, seed = settings
    row: dict[str, object] = {"n_test": len(one.scores.test)}
    row |= task_verdict(one.standings, combined, systems, n_bootstrap, confidence, seed)
    row["two_sample_auc"] = one.scores.two_sample_auc
    if one.error is not None:
        row["mae"] = float(np.nanmean(one.error))
    return row


def material_rows(
    one: Judged, combined: Combined, expected: Combined | None, material_id: NDArray[np.object_]
) -> pd.DataFrame:
    """The task's rows of ``domain``, without its keys."""
    rows: dict[str, Any] = {MATERIAL_ID: material_id[one.scores.test]}
    for i, name in enumerate(one.standings.names):
        rows[name] = one.standings.test[:, i].astype(np.float32)
    rows["combined"] = standing(combined.score, combined.calibration, combined.rate).astype(
        np.float32
    )
    nothing = np.full(len(one.scores.test), np.nan, dtype=np.float32)
    rows["expected_error"] = nothing if expected is None else expected.score.astype(np.float32)
    rows["n_out"] = (one.standings.test > 1).sum(axis=1).astype(np.uint8)
    rows["out_of_domain"] = combined.out_of_domain
    return pd.DataFrame(rows)


def head_to_head(
    judged: Sequence[Judged],
    combined: Mapping[int, Combined],
    expected: Mapping[int, Combined],
    criterion: Sequence[str],
    large: float,
    maes: Mapping[int, float] | None = None,
) -> pd.DataFrame:
    """Which detector to trust: one row per detector and criterion (and ``all``).

    Parameters
    ----------
    judged
        Tasks.
    combined, expected
        Task -> mean standing, and expected error of its materials.
    criterion
        That of each task, by number.
    large
        The error that only 5 % of in-distribution materials exceed.
    maes
        Task -> expected mean absolute error, for the row ``expected_mae``.

    Returns
    -------
    DataFrame
        ``detector``, ``criterion``, ``n_tasks``; over tasks: ``mae_rank_correlation`` of the share
        out of domain with the MAE, ``mae_rank_correlation_mean`` of the mean score; over the
        materials of each task, averaged: ``error_rank_correlation``, ``auroc``, ``excess_area``;
        and ``false_alarms``, the share out of domain in the random folds.
    """
    known = [j for j in judged if j.error is not None and np.isfinite(j.error).all()]
    if not known:
        return pd.DataFrame(columns=["detector", CRITERION, "n_tasks"])
    names = known[0].standings.names
    scored: dict[str, dict[int, tuple[Array, float]]] = {name: {} for name in names}
    for j in known:
        for i, name in enumerate(j.standings.names):
            scored[name][j.scores.task] = (j.standings.test[:, i], 1.0)
    for name, found in (("combined", combined), ("expected_error", expected)):
        if found:
            scored[name] = {t: (c.score, c.threshold) for t, c in found.items()}
    rows: list[dict[str, Any]] = []
    for name, by_task in scored.items():
        mine = [j for j in known if j.scores.task in by_task]
        is_fold = np.array([criterion[j.scores.task] == IN_DISTRIBUTION for j in mine], dtype=bool)
        table = pd.DataFrame([_task_level(j, by_task[j.scores.task], large) for j in mine])
        table["task"] = [j.scores.task for j in mine]
        table["criterion"] = [criterion[j.scores.task] for j in mine]
        alarms = float(table["out"][is_fold].mean()) if is_fold.any() else np.nan
        tasks = table[~is_fold]
        for which, part in [("all", tasks), *tasks.groupby("criterion", sort=False)]:
            rows.append({"detector": name, CRITERION: which} | _summary(part, alarms))
            if name == "expected_error" and maes:
                forecast = np.array([maes.get(int(t), np.nan) for t in part["task"]])
                rank = rank_correlation(forecast, part["mae"].to_numpy(float))
                rows.append({"detector": "expected_mae", CRITERION: which, "n_tasks": len(part),
                             "mae_rank_correlation_mean": rank})  # fmt: skip
    return pd.DataFrame(rows)


def _task_level(one: Judged, found: tuple[Array, float], large: float) -> dict[str, float]:
    score, edge = found
    error = np.asarray(one.error)
    out = float((score > edge).mean())
    return {"out": out, "mean": float(score.mean()), "mae": float(error.mean())} | sample_level(
        score, error, large
    )


def _summary(tasks: pd.DataFrame, alarms: float) -> dict[str, float]:
    mae = tasks["mae"].to_numpy(float)
    return {
        "n_tasks": len(tasks),
        "mae_rank_correlation": rank_correlation(tasks["out"].to_numpy(float), mae),
        "mae_rank_correlation_mean": rank_correlation(tasks["mean"].to_numpy(float), mae),
        "error_rank_correlation": float(tasks["rank_correlation"].mean()),
        "auroc": float(tasks["auroc"].mean()),
        "excess_area": float(tasks["excess_area"].mean()),
        "false_alarms": alarms,
    }


def keyed(frame: pd.DataFrame, **keys: str) -> pd.DataFrame:
    """Put key columns in front, as categories."""
    for place, (name, value) in enumerate(keys.items()):
        frame.insert(place, name, pd.Series([value] * len(frame), dtype="category"))
    return frame


def _stacked(parts: list[Array], empty: tuple[int, ...]) -> Array:
    return np.concatenate(parts) if parts else np.zeros(empty)
