"""The tables of the domain stage: materials, verdicts, head-to-head of detectors, risk."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import pandas as pd

from offmap.columns import CHEMICAL_SYSTEM, CRITERION, HELD_OUT, IN_DISTRIBUTION, N_TRAIN
from offmap.domain.chemistry import compositions_of, contexts
from offmap.domain.curves import risk_curves
from offmap.domain.from_study import numbers_of
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
from offmap.store import Store

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
    faithful
        What the published procedure says of each task, where it was asked for; uses test rows.
    """

    materials: pd.DataFrame
    verdicts: pd.DataFrame
    detectors: pd.DataFrame
    risk: pd.DataFrame
    faithful: pd.DataFrame | None = None

    def _repr_html_(self) -> str:
        return tables_html({k: v for k, v in vars(self).items() if v is not None})


_NAMES = {"domain": "materials", "verdicts": "verdicts", "detectors": "detectors",
          "risk_coverage": "risk"}  # fmt: skip
_OF_TASKS = ("domain", "verdicts")


def write(store: Store, tables: Domain, partly: bool) -> None:
    """Write the tables of a study.

    Parameters
    ----------
    partly
        They are about some of the tasks: what is known of the others stays, and so do summaries
        over all tasks, if there are any.
    """
    for name, field in _NAMES.items():
        table: pd.DataFrame = getattr(tables, field)
        if partly and name in _OF_TASKS:
            table = beside(store, name, table)
        elif partly and store.has_table(name):
            continue
        store.write_table(name, table, csv=name != "domain")


def beside(store: Store, name: str, found: pd.DataFrame) -> pd.DataFrame:
    """What was found of some tasks, after what the written table says of others."""
    if not store.has_table(name) or not len(found):
        return found
    before = store.read_table(name)
    others = before[~_keys(before).isin(_keys(found))]
    return stacked([others, found]) if len(others) else found


def written(store: Store, inputs: Inputs, held_out: Sequence[str]) -> Domain | None:
    """The tables of the chosen tasks as they were written; None if one has no verdict."""
    if not all(store.has_table(name) for name in _NAMES):
        return None
    tables = {field: store.read_table(name) for name, field in _NAMES.items()}
    tasks, _ = inputs.kept()
    wanted = tasks.loc[numbers_of(tasks, held_out), [CRITERION, HELD_OUT]].astype(str)
    names = pd.MultiIndex.from_frame(wanted)
    for field in ("materials", "verdicts"):
        there = pd.MultiIndex.from_frame(tables[field][[CRITERION, HELD_OUT]].astype(str))
        if not names.isin(there).all():
            return None
        tables[field] = tables[field][there.isin(names)].reset_index(drop=True)
    return Domain(**tables)


def _keys(table: pd.DataFrame) -> pd.MultiIndex:
    return pd.MultiIndex.from_frame(table[list(KEYS)].astype(str))


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
    criterion = tasks[CRITERION].astype(str).tolist()
    compositions = compositions_of(inputs)
    known = contexts(inputs, compositions, judged, model, criterion)
    expected = expected_errors(judged, study.seed, known)
    combined = {j.scores.task: Combined.mean(j.features, rate) for j in judged}
    verdicts = {t: expected.get(t, combined[t]) for t in combined}
    systems = inputs.attributes.frame[CHEMICAL_SYSTEM].to_numpy(dtype=object)
    controls = control_rows(inputs, judged, model)
    maes = expected_maes(inputs, judged, expected, compositions, known, criterion)
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
        row["decided_by"] = "expected_error" if t in expected else "mean_standing"
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
    return Domain(**{name: stacked([getattr(p, name) for p in parts]) for name in _NAMES.values()})


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
