"""The tables of the domain stage: materials, verdicts, head-to-head of detectors, risk."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, fields

import numpy as np
import pandas as pd

from offmap.columns import CHEMICAL_SYSTEM, CRITERION, HELD_OUT, IN_DISTRIBUTION, N_TRAIN
from offmap.domain.curves import risk_curves
from offmap.domain.judge import (
    Judged,
    Predictions,
    expected_errors,
    head_to_head,
    keyed,
    material_rows,
    task_row,
)
from offmap.domain.kinship import expected_maes
from offmap.domain.matched import control_rows
from offmap.domain.verdicts import Combined
from offmap.inputs import Inputs
from offmap.notebook import tables_html

KEYS = ("representation", "model", CRITERION, HELD_OUT)
"""What a row of ``verdicts``, or the materials of one task in ``domain``, belong to."""


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


def tables_of(
    inputs: Inputs,
    representation: str,
    model: Predictions,
    tasks: pd.DataFrame,
    judged: list[Judged],
    rate: float,
) -> Domain:
    """The tables of one model on one representation.

    Parameters
    ----------
    inputs, representation, model
        The study, and what was predicted; a model without a name predicted nothing.
    tasks
        The kept tasks; ``judged`` are some or all of them.
    rate
        Share of in-distribution materials that may be called out of domain.
    """
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
    return Domain(stacked(parts), pd.DataFrame(rows), *tables)


def together(parts: Sequence[Domain]) -> Domain:
    """The tables of several models and representations as one."""
    names = [field.name for field in fields(Domain)]
    return Domain(*(stacked([getattr(part, name) for part in parts]) for name in names))


def stacked(parts: Sequence[pd.DataFrame]) -> pd.DataFrame:
    """Tables below each other; the keys they have are categories, whatever values each knows."""
    keys = [key for key in KEYS if key in parts[0]]
    plain = [part.astype(dict.fromkeys(keys, object)) for part in parts]
    return pd.concat(plain, ignore_index=True).astype(dict.fromkeys(keys, "category"))


def _large_error(judged: list[Judged], criterion: list[str]) -> float:
    """The error that only 5 % of in-distribution materials exceed; of all, without random folds."""
    known = [j for j in judged if j.error is not None]
    folds = [j for j in known if criterion[j.scores.task] == IN_DISTRIBUTION]
    errors = [np.asarray(j.error) for j in folds or known]
    return float(np.nanquantile(np.concatenate(errors), 0.95)) if errors else float("nan")
