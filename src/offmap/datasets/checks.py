"""Further looks at a dataset, off by default: each returns a table and drops nothing.

Blown-up cells; near twins with conflicting labels; labels of one material that differ between
two databases; and the drift of elemental references between them. See also :mod:`twins`.
"""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from offmap.columns import FORMULA, MATERIAL_ID
from offmap.crystals import Crystals
from offmap.datasets.base import Dataset
from offmap.datasets.twins import near_twins, twins_by_task
from offmap.elements import SYMBOLS
from offmap.errors import DataError
from offmap.progress import Progress

BLOWN_UP = 100.0
"""Volume per atom above which a cell of a dense solid looks blown up, cubic angstrom."""

CONFLICT = 0.1
"""Labels of twins that differ by more are in conflict, in the unit of the target (eV/atom)."""

DRIFT = 0.05
"""References of an element that are further apart count as drifted, in the unit of the target."""

_COUNTED = {
    "blown_up": f"materials with more than {BLOWN_UP:g} Å³ per atom",
    "near_twins": "materials with a twin: same composition, nearly the same structure",
    "conflicting_labels": f"near twins whose labels differ by more than {CONFLICT:g}",
    "twins_across": "tasks with test materials that have a twin in training",
    "conflicting_sources": f"materials whose two labels differ by more than {CONFLICT:g}",
    "reference_drift": f"elements whose references differ by more than {DRIFT:g}",
}


def blown_up(crystals: Crystals, limit: float = BLOWN_UP) -> pd.DataFrame:
    """Cells with more than ``limit`` cubic angstrom per atom.

    Returns
    -------
    DataFrame
        ``material_id``, ``formula``, ``volume_per_atom``; the largest first.
    """
    volume = crystals.volume / crystals.n_sites
    rows = np.flatnonzero(volume > limit)
    table = pd.DataFrame(
        {
            MATERIAL_ID: crystals.material_id[rows],
            FORMULA: crystals.formula[rows],
            "volume_per_atom": volume[rows],
        }
    )
    return table.sort_values("volume_per_atom", ascending=False, ignore_index=True)


def conflicting_labels(
    dataset: Dataset,
    target: str = "",
    tolerance: float = CONFLICT,
    twins: pd.DataFrame | None = None,
) -> pd.DataFrame:
    """Near twins whose labels differ by more than ``tolerance``.

    Parameters
    ----------
    dataset
        With structures.
    target
        The label; by default the dataset's first target.
    tolerance
        In the unit of the target.
    twins
        From :func:`near_twins`, if it is known already.

    Returns
    -------
    DataFrame
        The columns of :func:`near_twins`, the label, and ``spread`` (largest minus smallest
        label of the group); the widest first.
    """
    name = dataset.target(target)
    twins = near_twins(dataset.crystals) if twins is None else twins
    labels = pd.Series(dataset.frame[name].to_numpy(), index=dataset.frame[MATERIAL_ID])
    table = twins.assign(**{name: labels.reindex(twins[MATERIAL_ID]).to_numpy()})
    grouped = table.groupby("group")[name]
    table["spread"] = grouped.transform("max") - grouped.transform("min")
    table = table[table["spread"] > tolerance]
    return table.sort_values(["spread", "group"], ascending=False, ignore_index=True)


def conflicting_sources(
    one: Dataset, other: Dataset, target: str = "", tolerance: float = CONFLICT
) -> pd.DataFrame:
    """Materials in both tables, by id, whose labels differ by more than ``tolerance``.

    Returns
    -------
    DataFrame
        ``material_id``, ``formula``, the two labels (``<dataset>``) and their ``difference``; the
        widest first.
    """
    labels = [
        pd.Series(d.frame[d.target(target)].to_numpy(np.float64), index=d.frame[MATERIAL_ID])
        for d in (one, other)
    ]
    shared = labels[0].index.intersection(labels[1].index)
    names = [one.name, other.name if other.name != one.name else f"{other.name} (2)"]
    table = pd.DataFrame({n: v[shared] for n, v in zip(names, labels, strict=True)})
    table["difference"] = table[names[0]] - table[names[1]]
    table = table[table["difference"].abs() > tolerance]
    table = table.sort_values("difference", key=np.abs, ascending=False)
    formulas = pd.Series(one.frame[FORMULA].to_numpy(), index=one.frame[MATERIAL_ID])
    table.insert(0, FORMULA, formulas[table.index].to_numpy())
    return table.rename_axis(MATERIAL_ID).reset_index()


def reference_drift(one: Dataset, other: Dataset, target: str = "") -> pd.DataFrame:
    """How far apart two databases put each element: a fit of the differences of their labels.

    For every composition in both, the lowest labels are compared; the difference is fitted as a
    sum over the elements, weighted by their fractions. A database that corrects an element
    differently (oxygen, transition metals) shows as the drift of that element.

    Parameters
    ----------
    one, other
        Databases with the same target, such as formation energies in eV/atom.
    target
        Name of it in both; by default the first target of each.

    Returns
    -------
    DataFrame
        ``element``, ``drift`` (one minus other), ``standard_error`` in the unit of the target, and
        ``n_formulas`` that contain the element; the largest drift first.

    Raises
    ------
    DataError
        If they share fewer than 20 compositions.
    """
    lowest = [d.frame.groupby(FORMULA)[d.target(target)].min() for d in (one, other)]
    shared = lowest[0].index.intersection(lowest[1].index)
    if len(shared) < 20:
        raise DataError(
            f"{one.name} and {other.name} share only {len(shared)} compositions; 20 are needed"
        )
    difference = (lowest[0][shared] - lowest[1][shared]).to_numpy(np.float64)
    counts = Crystals.from_formulas(list(shared), list(shared)).counts
    fractions = counts / counts.sum(axis=1, keepdims=True)
    present = np.flatnonzero(counts.any(axis=0))
    drift, error = _robust_fit(fractions[:, present], difference)
    table = pd.DataFrame(
        {
            "element": [SYMBOLS[z] for z in present],
            "drift": drift,
            "standard_error": error,
            "n_formulas": (counts[:, present] > 0).sum(axis=0),
        }
    )
    return table.sort_values("drift", key=np.abs, ascending=False, ignore_index=True)


def _robust_fit(
    x: NDArray[np.float64], y: NDArray[np.float64]
) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """Least squares with a slight pull to zero; far outliers (other polymorphs) are left out."""
    keep = np.ones(len(y), dtype=bool)
    fitted: NDArray[np.float64] = np.zeros(x.shape[1])
    error: NDArray[np.float64] = np.zeros(x.shape[1])
    for _ in range(5):
        gram = x[keep].T @ x[keep] + 1e-3 * np.eye(x.shape[1])
        fitted = np.asarray(np.linalg.solve(gram, x[keep].T @ y[keep]), dtype=np.float64)
        residual = y - x @ fitted
        scale = 1.4826 * float(np.median(np.abs(residual[keep]))) + 1e-12
        error = np.asarray(scale * np.sqrt(np.diag(np.linalg.inv(gram))), dtype=np.float64)
        keep = np.abs(residual) < 4 * scale
    return fitted, error


def check(
    dataset: Dataset,
    target: str = "",
    other: Dataset | None = None,
    members: pd.DataFrame | None = None,
    progress: Progress | None = None,
) -> dict[str, pd.DataFrame]:
    """Every check for which there is something to look at.

    Parameters
    ----------
    dataset
        With structures.
    target
        The label, and its name in ``other``; by default the first target of each.
    other
        Another database with the same label.
    members
        Test sets of a study: ``criterion``, ``held_out``, ``material_id``.
    progress
        Called with compositions done and in all.

    Returns
    -------
    dict
        Name of each check -> its table.

    Raises
    ------
    DataError
        If there is nothing to look at: no structures and no other database, or members that are
        not of the dataset.
    """
    tables = {}
    if dataset.crystals.has_structure:
        twins = near_twins(dataset.crystals, progress=progress)
        tables["blown_up"] = blown_up(dataset.crystals)
        tables["near_twins"] = twins
        tables["conflicting_labels"] = conflicting_labels(dataset, target, twins=twins)
        if members is not None:
            if not members[MATERIAL_ID].isin(dataset.frame[MATERIAL_ID]).any():
                raise DataError(f"no material of the study is in dataset {dataset.name}")
            tables["twins_across"] = twins_by_task(twins, members)
    elif other is None:
        raise DataError(f"dataset {dataset.name} has no structures to compare, only formulas")
    if other is not None:
        tables["conflicting_sources"] = conflicting_sources(dataset, other, target)
        tables["reference_drift"] = reference_drift(dataset, other, target)
    return tables


def summary(tables: Mapping[str, pd.DataFrame]) -> pd.DataFrame:
    """A line for each table of :func:`check`: ``check``, what it counts, how many, an example."""
    rows = []
    for name, table in tables.items():
        found = table
        if name == "reference_drift":
            found = table[table["drift"].abs() > np.maximum(DRIFT, 3 * table["standard_error"])]
        rows.append((name, _COUNTED[name], len(found), _example(found)))
    return pd.DataFrame(rows, columns=["check", "counted", "found", "example"])


def _example(table: pd.DataFrame) -> str:
    """The first row in words, without its running number."""
    if not len(table):
        return ""
    cells = table.drop(columns="group", errors="ignore").iloc[0].tolist()
    return " ".join(f"{cell:.3g}" if isinstance(cell, float) else str(cell) for cell in cells)
