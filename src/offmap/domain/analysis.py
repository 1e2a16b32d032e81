"""The domain stage of a study: score every task with every detector, judge, write the tables."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, fields

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from offmap import registry
from offmap.columns import (
    CHEMICAL_SYSTEM,
    CRITERION,
    HELD_OUT,
    IN_DISTRIBUTION,
    MATERIAL_ID,
    N_TRAIN,
    Y_PRED,
)
from offmap.domain.calibration import FALSE_ALARMS, calibration_rows
from offmap.domain.curves import risk_curves
from offmap.domain.judge import (
    Judged,
    Predictions,
    expected_errors,
    head_to_head,
    judge,
    keyed,
    material_rows,
    task_row,
)
from offmap.domain.kinship import expected_maes
from offmap.domain.maps import domain_map
from offmap.domain.matched import control_rows
from offmap.domain.scoring import Materials, score_tasks
from offmap.domain.verdicts import Combined
from offmap.errors import DataError, StudyError
from offmap.evaluate import cells
from offmap.inputs import GIVEN_CRYSTALS, Inputs
from offmap.notebook import tables_html
from offmap.progress import Reporter, Silent
from offmap.store import Cell, Store, states

Array = NDArray[np.float64]

DETECTORS = (
    "knn",
    "kde",
    "mahalanobis",
    "local_density",
    "isolation_forest",
    "feature_range",
    "knn_weighted",
)
"""Where a material lies: these vote on the verdict."""

SIGNALS = ("label_spread", "neighbour_error", "leaf_occupancy", "model_spread", "difficulty")
"""What the training labels say of the place: part of the combined verdict, but without a vote."""


@dataclass(frozen=True, eq=False)
class Domain:
    """The tables of the domain stage.

    Parameters
    ----------
    materials
        Table ``domain``: per test material of each task, the standing under each detector (1 is the
        threshold), ``combined``, ``expected_error``, ``n_out``, ``out_of_domain``.
    verdicts
        One row per task.
    detectors
        The head-to-head: which detector to trust, per model and representation.
    risk
        Risk-coverage curves (:func:`offmap.domain.curves.risk_curves`).
    """

    materials: pd.DataFrame
    verdicts: pd.DataFrame
    detectors: pd.DataFrame
    risk: pd.DataFrame

    def _repr_html_(self) -> str:
        return tables_html(vars(self))


def domain(
    store: Store,
    inputs: Inputs,
    jobs: int = 1,
    reporter: Reporter | None = None,
    faithful: bool = False,
    detectors: Sequence[str] | None = None,
    rate: float = FALSE_ALARMS,
    pruned: bool = False,
) -> Domain:
    """Say of each task and each test material whether it lies in the domain of the training set.

    Nothing is fitted on test rows. Works with no model trained, and says more once there are: which
    detector goes with the error, and what error to expect.

    Parameters
    ----------
    store
        The study folder; tables ``domain``, ``verdicts``, ``detectors``, ``risk_coverage`` and
        ``domain_map`` are written there.
    inputs
        What :func:`offmap.inputs.prepare` gave for the same study, with features.
    jobs
        Tasks at once.
    faithful
        Also do exactly what the study did: tables ``domain_faithful`` and
        ``domain_faithful_density``, and its map.
    detectors
        Names of detectors that vote; by default :data:`DETECTORS`.
    rate
        Share of in-distribution materials that may be called out of domain.
    pruned
        In the faithful mode, leave out features that are correlated with another one.

    Raises
    ------
    DataError
        If the study has no features, or too few materials to calibrate.
    """
    reporter = reporter or Silent()
    if not inputs.features:
        raise DataError("a domain needs features: add a representation to the study")
    for name in detectors or ():
        registry.check("detector", name)
    if not 0 < rate < 0.5:
        raise DataError(f"a false-alarm rate lies between 0 and 0.5, not at {rate:g}")
    chosen = tuple(dict.fromkeys(detectors or DETECTORS))
    parts = [
        part
        for representation in inputs.features
        for part in _representation(store, inputs, representation, chosen, jobs, reporter, rate)
    ]
    tables = _together_all(parts)
    keys = ["representation", "model", CRITERION, HELD_OUT]
    for table in (tables.materials, tables.verdicts):
        table[keys] = table[keys].astype("category")
    store.write_table("domain", tables.materials)
    store.write_table("verdicts", tables.verdicts, csv=True)
    store.write_table("detectors", tables.detectors, csv=True)
    store.write_table("risk_coverage", tables.risk, csv=True)
    maps = [domain_map(inputs, representation) for representation in inputs.features]
    if faithful:
        from offmap.domain.faithful import faithful_study

        found = faithful_study(store, inputs, reporter, pruned)
        store.write_table("domain_faithful", found.tasks, csv=True)
        store.write_table("domain_faithful_density", found.curves, csv=True)
        maps = found.maps
    store.write_table("domain_map", pd.concat(maps, ignore_index=True))
    return tables


def _together_all(parts: list[Domain]) -> Domain:
    names = [field.name for field in fields(Domain)]
    return Domain(
        *(pd.concat([getattr(p, name) for p in parts], ignore_index=True) for name in names)
    )


def materials_of(inputs: Inputs, representation: str) -> tuple[Materials, pd.DataFrame]:
    """What the detectors are given, and the tasks of its columns (the kept ones)."""
    tasks = inputs.tasks()
    kept = tasks["kept"].to_numpy(bool)
    material_id = inputs.material_id.astype(str).tolist()
    materials = Materials(
        inputs.features[representation].values.astype(np.float32),
        inputs.y,
        inputs.membership.matrix[:, kept],
        calibration_rows(material_id, inputs.study.seed),
        inputs.study.seed,
    )
    return materials, tasks[kept].reset_index(drop=True)


def _representation(
    store: Store,
    inputs: Inputs,
    representation: str,
    detectors: tuple[str, ...],
    jobs: int,
    reporter: Reporter,
    rate: float,
) -> Iterator[Domain]:
    """The tables for each model that the representation can explain."""
    materials, tasks = materials_of(inputs, representation)
    known = predictions(store, inputs, representation, tasks)
    scores = []
    with reporter.step(f"Domain of each task ({representation})") as progress:
        progress(0, len(tasks))
        for one in score_tasks(materials, (*detectors, *SIGNALS), jobs=jobs):
            scores.append(one)
            progress(len(scores), len(tasks))
    nothing = Predictions("", {}, np.full(len(inputs), np.nan))
    for model in known or [nothing]:
        judged = [judge(one, materials.y, model, rate, detectors) for one in scores]
        yield _tables(inputs, representation, model, tasks, judged, rate)


def _tables(
    inputs: Inputs,
    representation: str,
    model: Predictions,
    tasks: pd.DataFrame,
    judged: list[Judged],
    rate: float,
) -> Domain:
    study = inputs.study
    expected = expected_errors(judged, study.seed)
    combined = {j.scores.task: Combined.mean(j.features, rate) for j in judged}
    verdicts = {t: expected.get(t, combined[t]) for t in combined}
    systems = inputs.attributes.frame[CHEMICAL_SYSTEM].to_numpy(dtype=object)
    controls = control_rows(inputs, judged, model)
    criterion = tasks[CRITERION].astype(str).tolist()
    maes = expected_maes(inputs, judged, expected, model, criterion) if expected else {}
    n_train = tasks[N_TRAIN].astype(int).tolist()
    rows, parts = [], []
    for j in judged:
        t = j.scores.task
        names = {
            "representation": representation,
            "model": model.model,
            CRITERION: str(tasks[CRITERION].iat[t]),
            HELD_OUT: str(tasks[HELD_OUT].iat[t]),
        }
        settings = (study.n_bootstrap, study.confidence, study.seed)
        row = task_row(j, verdicts[t], systems[j.scores.test], settings)
        row["expected_mae"] = maes.get(t, float("nan"))
        rows.append(names | {N_TRAIN: n_train[t]} | row | controls.get(t, {}))
        frame = material_rows(j, verdicts[t], expected.get(t), inputs.material_id)
        parts.append(keyed(frame, **names))
    large = _large_error(judged, criterion)
    table = head_to_head(judged, combined, expected, criterion, large, maes)
    risk = risk_curves(judged, combined, expected, criterion)
    keys = {"representation": representation, "model": model.model}
    tables = (keyed(table, **keys), keyed(risk, **keys))
    return Domain(_together(parts), pd.DataFrame(rows), *tables)


def _large_error(judged: list[Judged], criterion: list[str]) -> float:
    """The error that only 5 % of in-distribution materials exceed; of all, without random folds."""
    known = [j for j in judged if j.error is not None]
    folds = [j for j in known if criterion[j.scores.task] == IN_DISTRIBUTION]
    errors = [np.asarray(j.error) for j in folds or known]
    return float(np.nanquantile(np.concatenate(errors), 0.95)) if errors else float("nan")


def predictions(
    store: Store, inputs: Inputs, representation: str, tasks: pd.DataFrame
) -> list[Predictions]:
    """What each model predicted: models on this representation, and on the crystals themselves."""
    if not store.has_table("tasks"):
        return []
    finished = states(store, cells(store))["done"]
    mine = [c for c in finished if c.representation in {representation, *GIVEN_CRYSTALS}]
    number = {
        (c, h): t for t, (c, h) in enumerate(zip(tasks[CRITERION], tasks[HELD_OUT], strict=True))
    }
    index = pd.Index(inputs.material_id)
    found = []
    for model in dict.fromkeys(cell.model for cell in mine):
        y_pred: dict[int, Array] = {}
        reference = np.full(len(inputs), np.nan)
        for cell in (c for c in mine if c.model == model):
            task = number.get((cell.criterion, cell.held_out))
            if task is None:
                continue
            values = _by_row(store, cell, index)
            y_pred[task] = values[inputs.membership.test_rows(cell.criterion, cell.held_out)]
            if cell.criterion == IN_DISTRIBUTION:
                reference = np.where(np.isfinite(values), values, reference)
        found.append(Predictions(model, y_pred, reference))
    return found


def _by_row(store: Store, cell: Cell, index: pd.Index) -> Array:
    frame = store.read_predictions([cell])
    rows = index.get_indexer(pd.Index(frame[MATERIAL_ID]))
    if (rows < 0).any():
        unknown = frame[MATERIAL_ID].iat[int(np.argmax(rows < 0))]
        raise StudyError(f"the predictions of {cell.name} name an unknown material {unknown!r}")
    values = np.full(len(index), np.nan)
    values[rows] = frame[Y_PRED].to_numpy(np.float64)
    return values


def _together(parts: list[pd.DataFrame]) -> pd.DataFrame:
    keys = ["representation", "model", CRITERION, HELD_OUT]
    whole = pd.concat(
        [part.astype(dict.fromkeys(keys, object)) for part in parts], ignore_index=True
    )
    return whole.astype(dict.fromkeys(keys, "category"))
