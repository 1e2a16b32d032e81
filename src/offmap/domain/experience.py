"""What a study has learned about its own errors: the place and the error of materials it predicted.

A sample of the test rows of every finished task is scored by every detector against the training
set of that task, once; the table ``experience`` of the study keeps it, with what it was made by.
From it come the expected error of new materials and the intervals around their predictions.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, replace

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from offmap import __version__
from offmap.checked_files import digest
from offmap.columns import CRITERION, HELD_OUT, MATERIAL_ID, MODEL, REPRESENTATION
from offmap.domain import anchor, reference
from offmap.domain.calibration import FALSE_ALARMS, standing
from offmap.domain.conformal import Residuals
from offmap.domain.detectors import DETECTORS, SIGNALS, make_detector
from offmap.domain.error_model import FEWEST_TASKS, ErrorModel, Examples
from offmap.domain.from_study import materials_of, predictions
from offmap.domain.head_to_head import rank_correlation
from offmap.domain.judge import Context, Judged, Predictions, judge
from offmap.domain.scoring import Common, Materials, TaskScores, score_task
from offmap.errors import DataError, UnknownNameError
from offmap.inputs import Inputs
from offmap.progress import Reporter, Silent
from offmap.store import Store

Array = NDArray[np.float64]

TABLE = "experience"

# Test and calibration rows per task: enough for its distribution, and a pass of minutes at most.
_ROWS = 300
_ASKED = (*DETECTORS, *SIGNALS)
_RESULTS = ("error", "expected_error", "combined")


@dataclass(frozen=True, eq=False)
class Experience:
    """Materials of finished tasks, where they stood, and how wrong the model was.

    Parameters
    ----------
    names
        Detectors, signals and comparisons, the columns of ``features``.
    features
        Standings, shape (n, len(names)).
    error
        Signed error, predicted minus true, shape (n,).
    task, material
        Number of the task and row of the material in the study, shape (n,).
    expected, standing
        Expected absolute error, and where that stands among the calibration rows of the task; by
        an error model that knows neither the task nor its materials. Shape (n,).
    test
        Test set of each task, shape (n_materials, n_tasks).
    context
        What the materials are made of (:mod:`offmap.domain.chemistry`), shape (n, n_numbers).
    """

    names: tuple[str, ...]
    features: Array
    error: Array
    task: NDArray[np.int64]
    material: NDArray[np.int64]
    expected: Array
    standing: Array
    test: NDArray[np.bool_]
    context: Array | None = None

    @property
    def n_tasks(self) -> int:
        """Tasks that were finished."""
        return len(np.unique(self.task))

    def without(self, rows: NDArray[np.bool_]) -> Experience:
        """Without the materials at these rows of the study, shape (n_materials,)."""
        keep = ~rows[self.material]
        context = None if self.context is None else self.context[keep]
        by_row = {name: getattr(self, name)[keep] for name in _BY_ROW}
        return replace(self, **by_row, context=context)

    def error_model(self, names: Sequence[str], seed: int = 0) -> ErrorModel:
        """An error model on some of the columns.

        Raises
        ------
        DataError
            If there are too few tasks.
        """
        columns = [self.names.index(name) for name in names]
        return ErrorModel(seed).fit(
            Examples(
                self.features[:, columns],
                np.abs(self.error),
                self.task,
                self.material,
                self.context,
            )
        )

    def validation(self) -> dict[str, float]:
        """How the expected error of each task, forecast without it, met the true one.

        Returns
        -------
        dict
            ``n_tasks``; ``rank_correlation`` of expected and true mean absolute error over tasks;
            ``median_ratio``, expected over true; ``within_factor_1.5``, the share of tasks.
        """
        frame = pd.DataFrame({"expected": self.expected, "true": np.abs(self.error)})
        means = frame.groupby(self.task).mean()
        ratio = (means["expected"] / means["true"]).to_numpy(float)
        return {
            "n_tasks": len(means),
            "rank_correlation": rank_correlation(
                means["expected"].to_numpy(float), means["true"].to_numpy(float)
            ),
            "median_ratio": float(np.median(ratio)),
            "within_factor_1.5": float((np.abs(np.log(ratio)) <= np.log(1.5)).mean()),
        }

    @property
    def residuals(self) -> Residuals:
        """What intervals are made from."""
        return Residuals.of(self.standing, self.expected, np.abs(self.error), self.task)

    @property
    def shared(self) -> NDArray[np.bool_]:
        """Whether the material of each row is in the test set of each task, (n, n_tasks)."""
        found: NDArray[np.bool_] = self.test[self.material]
        return found


_BY_ROW = ("features", "error", "task", "material", "expected", "standing")


def experience(
    store: Store,
    inputs: Inputs,
    model: str = "",
    jobs: int = 1,
    reporter: Reporter | None = None,
) -> Experience:
    """What the finished tasks of a study teach; computed once, then read from the study folder.

    Parameters
    ----------
    store, inputs
        The study and what :func:`offmap.domain.finished.reopen` gave for it.
    model
        Whose errors; by default the first model with finished tasks on the representation.

    Raises
    ------
    DataError
        If too few tasks are finished.
    UnknownNameError
        If no finished task is of that model.
    """
    reporter = reporter or Silent()
    representation = next(iter(inputs.features))
    materials, tasks = materials_of(inputs, representation)
    known = {p.model: p for p in predictions(store, inputs, representation, tasks)}
    if model and model not in known:
        raise UnknownNameError("model with finished tasks", model, known)
    name = model or next(iter(known), "")
    n_finished = len(known[name].y_pred) if name else 0
    if n_finished <= FEWEST_TASKS:
        raise DataError(
            f"{store.folder} has {n_finished} finished tasks, and expected errors are learned from"
            f" more than {FEWEST_TASKS}: run 'offmap evaluate {store.folder}'"
        )
    keys = {REPRESENTATION: representation, MODEL: name} | made_by()
    table = _stored(store, keys, tasks, known[name])
    if table is None:
        table = _computed(materials, tasks, known[name], inputs, jobs, reporter)
        try:
            _store(store, table.assign(**keys), keys)
        except OSError as error:  # a study of somebody else, say
            reporter.say(f"not kept for the next audit: {error}")
    return _experience(table, inputs, tasks, materials.test)


def made_by() -> dict[str, str]:
    """What the table depends on besides the study: a table made by something else is stale.

    Returns
    -------
    dict
        ``offmap``, its version, and ``detectors``, a digest of their names and settings.
    """
    detectors = [(name, sorted(vars(make_detector(name)).items())) for name in _ASKED]
    spaces = (anchor.FEWEST_MATERIALS, anchor.N_COMPONENTS, anchor.N_FEATURES, anchor.N_COLUMNS)
    settings = (detectors, spaces, reference.K, reference.RIDGE, FALSE_ALARMS, _ROWS)
    return {"offmap": __version__, "detectors": digest(repr(settings).encode())}


def _computed(
    materials: Materials,
    tasks: pd.DataFrame,
    model: Predictions,
    inputs: Inputs,
    jobs: int,
    reporter: Reporter,
) -> pd.DataFrame:
    finished = sorted(model.y_pred)
    with reporter.step("Look at finished tasks") as progress:
        judged = []
        for one in look_at(materials, model, finished, jobs):
            judged.append(one)
            progress(len(judged), len(finished))
    names = common_names(judged)
    with reporter.step("Forecast errors leave-task-out") as progress:
        expected = []
        for found in forecast_each(judged, names, materials.test, inputs.study.seed, jobs):
            expected.append(found)
            progress(len(expected), len(judged))
    parts = []
    for one, (mine, placed) in zip(judged, expected, strict=True):
        part = pd.DataFrame(one.features.columns(names).test, columns=list(names))
        part.insert(0, CRITERION, str(tasks[CRITERION].iat[one.scores.task]))
        part.insert(1, HELD_OUT, str(tasks[HELD_OUT].iat[one.scores.task]))
        part.insert(2, MATERIAL_ID, inputs.material_id[one.scores.test])
        part["error"] = _among(materials, model, one.scores) - materials.y[one.scores.test]
        parts.append(part.assign(expected_error=mine, combined=placed))
    return pd.concat(parts, ignore_index=True)


def common_names(judged: Sequence[Judged]) -> tuple[str, ...]:
    """Detectors, signals and comparisons that all tasks have."""
    return min((one.features.names for one in judged), key=len)


def look_at(
    materials: Materials, model: Predictions, tasks: Sequence[int], jobs: int
) -> Iterator[Judged]:
    """Score a sample of the test and calibration rows of each task, numbered as the materials."""
    from threadpoolctl import threadpool_limits

    common = Common.of(materials, jobs)

    def work(task: int) -> Judged:
        return _judge_sample(materials, model, task, common)

    with threadpool_limits(1), ThreadPoolExecutor(jobs) as pool:
        yield from pool.map(work, tasks)


def _judge_sample(materials: Materials, model: Predictions, task: int, common: Common) -> Judged:
    _, calibration, test = materials.rows(task)
    rng = np.random.default_rng((materials.seed, task))
    usable = np.flatnonzero(np.isfinite(model.y_pred[task]))
    some = test[rng.permutation(usable)[:_ROWS]]
    known = calibration[np.isfinite(model.in_distribution[calibration])]
    held_out = rng.permutation(known if len(known) >= _ROWS else calibration)[:_ROWS]
    asked = np.sort(np.concatenate([some, held_out]))
    scores = score_task(materials, task, _ASKED, common, asked)
    mine = replace(model, y_pred={task: _among(materials, model, scores)})
    return judge(scores, materials.y, mine)


def _among(materials: Materials, model: Predictions, scores: TaskScores) -> Array:
    """The model's predictions of the scored test rows, of all test rows of the task."""
    rows = materials.rows(scores.task)[2]
    return model.y_pred[scores.task][np.searchsorted(rows, scores.test)]


def forecast_each(
    judged: Sequence[Judged],
    names: tuple[str, ...],
    test: NDArray[np.bool_],
    seed: int,
    jobs: int,
    contexts: Sequence[Context] | None = None,
) -> Iterator[tuple[Array, Array]]:
    """Expected error and standing of each task's rows, by a model without it and its materials."""
    from threadpoolctl import threadpool_limits

    features = [one.features.columns(names) for one in judged]
    everything = Examples(
        np.concatenate([f.test for f in features]),
        np.concatenate([np.asarray(one.error) for one in judged]),
        np.concatenate([np.full(len(one.scores.test), one.scores.task) for one in judged]),
        np.concatenate([one.scores.test for one in judged]),
        None if contexts is None else np.concatenate([one.test for one in contexts]),
    )

    def work(i: int) -> tuple[Array, Array]:
        task = judged[i].scores.task
        others = (everything.task != task) & ~test[everything.material, task]
        model = ErrorModel(seed).fit(everything.take(others))
        beside = contexts[i] if contexts else None
        mine = model.predict(features[i].test, beside.test if beside else None)
        held_out = model.predict(features[i].calibration, beside.calibration if beside else None)
        return mine, standing(mine, held_out, FALSE_ALARMS)

    with threadpool_limits(1), ThreadPoolExecutor(jobs) as pool:
        yield from pool.map(work, range(len(judged)))


def _stored(
    store: Store, keys: dict[str, str], tasks: pd.DataFrame, model: Predictions
) -> pd.DataFrame | None:
    """The table from before, if it holds the same tasks and was made by the same detectors."""
    if not store.has_table(TABLE):
        return None
    table = store.read_table(TABLE)
    if not {*keys, *_ASKED, *_RESULTS} <= set(table):
        return None
    table = table[(table[list(keys)] == pd.Series(keys)).all(axis=1)]
    finished = tasks.loc[sorted(model.y_pred), [CRITERION, HELD_OUT]].astype(str)
    there = table[[CRITERION, HELD_OUT]].astype(str).drop_duplicates()
    same = set(map(tuple, finished.to_numpy())) == set(map(tuple, there.to_numpy()))
    return table.dropna(axis=1).reset_index(drop=True) if same else None


def _store(store: Store, table: pd.DataFrame, keys: dict[str, str]) -> None:
    if store.has_table(TABLE):
        before = store.read_table(TABLE)
        others = (before[REPRESENTATION] != keys[REPRESENTATION]) | (before[MODEL] != keys[MODEL])
        if others.any():
            table = pd.concat([before[others], table], ignore_index=True)
    store.write_table(TABLE, table)


def _experience(
    table: pd.DataFrame, inputs: Inputs, tasks: pd.DataFrame, test: NDArray[np.bool_]
) -> Experience:
    keys_and_results = {REPRESENTATION, MODEL, CRITERION, HELD_OUT, MATERIAL_ID, *_RESULTS}
    names = tuple(str(c) for c in table if c not in keys_and_results | set(made_by()))
    number = pd.MultiIndex.from_frame(tasks[[CRITERION, HELD_OUT]].astype(str))
    keys = pd.MultiIndex.from_frame(table[[CRITERION, HELD_OUT]].astype(str))
    material = pd.Index(inputs.material_id).get_indexer(pd.Index(table[MATERIAL_ID]))
    return Experience(
        names,
        table[list(names)].to_numpy(np.float64),
        table["error"].to_numpy(np.float64),
        number.get_indexer(keys).astype(np.int64),
        material.astype(np.int64),
        table["expected_error"].to_numpy(np.float64),
        table["combined"].to_numpy(np.float64),
        test,
    )
