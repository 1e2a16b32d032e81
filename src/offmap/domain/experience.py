"""What a study has learned about its own errors: the place and the error of materials it predicted.

A sample of the test rows of every finished task is scored by every detector against the training
set of that task, once; the table ``experience`` of the study keeps it, with what it was made by.
From it come the expected error of new materials and the intervals around their predictions.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from offmap import __version__
from offmap.checked_files import digest
from offmap.columns import CRITERION, HELD_OUT, MATERIAL_ID, MODEL, REPRESENTATION
from offmap.domain import anchor, reference
from offmap.domain.calibration import FALSE_ALARMS
from offmap.domain.chemistry import CHEMICAL, N_NUMBERS, compositions_of
from offmap.domain.conformal import Residuals
from offmap.domain.detectors import make_detector
from offmap.domain.error_model import FEWEST_TASKS, ErrorModel, Examples
from offmap.domain.from_study import materials_of, predictions
from offmap.domain.head_to_head import rank_correlation
from offmap.domain.judge import Predictions
from offmap.domain.lookback import (
    ASKED,
    ROWS,
    about,
    among,
    common_names,
    forecast_each,
    look_at,
)
from offmap.domain.scoring import Materials
from offmap.errors import DataError, UnknownNameError
from offmap.inputs import Inputs
from offmap.progress import Reporter, Silent
from offmap.store import Store

Array = NDArray[np.float64]

TABLE = "experience"

_RESULTS = ("error", "expected_error", "combined")
# Columns of what the materials are made of.
_ABOUT = tuple(f"about_{i}" for i in range(N_NUMBERS))


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
    context: Array

    @property
    def n_tasks(self) -> int:
        """Tasks that were finished."""
        return len(np.unique(self.task))

    def without(self, rows: NDArray[np.bool_]) -> Experience:
        """Without the materials at these rows of the study, shape (n_materials,)."""
        keep = ~rows[self.material]
        return replace(self, **{name: getattr(self, name)[keep] for name in _BY_ROW})

    def error_model(
        self, names: Sequence[str], seed: int = 0, with_context: bool = True
    ) -> ErrorModel:
        """An error model on some of the columns, and on what the materials are made of.

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
                self.context if with_context else None,
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


_BY_ROW = ("features", "error", "task", "material", "expected", "standing", "context")


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
    detectors = [(name, sorted(vars(make_detector(name)).items())) for name in ASKED]
    spaces = (anchor.FEWEST_MATERIALS, anchor.N_COMPONENTS, anchor.N_FEATURES, anchor.N_COLUMNS)
    settings = (detectors, spaces, reference.K, reference.RIDGE, FALSE_ALARMS, ROWS, _ABOUT)
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
    made_of, contexts = compositions_of(inputs), []
    with reporter.step("Look at what they are made of") as progress:
        for one in judged:
            chemical = str(tasks[CRITERION].iat[one.scores.task]) in CHEMICAL
            contexts.append(about(made_of, materials, model, one, chemical))
            progress(len(contexts), len(judged))
    with reporter.step("Forecast errors leave-task-out") as progress:
        expected = []
        for found in forecast_each(
            judged, names, materials.test, inputs.study.seed, jobs, contexts
        ):
            expected.append(found)
            progress(len(expected), len(judged))
    parts = []
    for one, context, (mine, placed) in zip(judged, contexts, expected, strict=True):
        part = pd.DataFrame(one.features.columns(names).test, columns=list(names))
        part[list(_ABOUT)] = context.test
        part.insert(0, CRITERION, str(tasks[CRITERION].iat[one.scores.task]))
        part.insert(1, HELD_OUT, str(tasks[HELD_OUT].iat[one.scores.task]))
        part.insert(2, MATERIAL_ID, inputs.material_id[one.scores.test])
        part["error"] = among(materials, model, one.scores) - materials.y[one.scores.test]
        parts.append(part.assign(expected_error=mine, combined=placed))
    return pd.concat(parts, ignore_index=True)


def _stored(
    store: Store, keys: dict[str, str], tasks: pd.DataFrame, model: Predictions
) -> pd.DataFrame | None:
    """The table from before, if it holds the same tasks and was made by the same detectors."""
    if not store.has_table(TABLE):
        return None
    table = store.read_table(TABLE)
    if not {*keys, *ASKED, *_ABOUT, *_RESULTS} <= set(table):
        return None
    table = table[(table[list(keys)] == pd.Series(keys)).all(axis=1)]
    finished = tasks.loc[sorted(model.y_pred), [CRITERION, HELD_OUT]].astype(str)
    there = table[[CRITERION, HELD_OUT]].astype(str).drop_duplicates()
    same = set(map(tuple, finished.to_numpy())) == set(map(tuple, there.to_numpy()))
    # Comparisons that another model has and this one lacks are empty.
    unknown = [name for name in table if name not in _ABOUT and table[name].isna().all()]
    return table.drop(columns=unknown).reset_index(drop=True) if same else None


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
    others = keys_and_results | set(made_by()) | set(_ABOUT)
    names = tuple(str(c) for c in table if c not in others)
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
        table[list(_ABOUT)].to_numpy(np.float64),
    )
