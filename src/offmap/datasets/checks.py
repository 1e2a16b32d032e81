"""Further looks at a dataset, off by default: each returns a table and drops nothing.

Blown-up cells; near twins with conflicting labels; labels of one material that differ between
two databases; and the drift of elemental references between them. See also :mod:`twins`.
"""

from __future__ import annotations

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from offmap.columns import FORMULA, MATERIAL_ID
from offmap.crystals import Crystals
from offmap.datasets.base import Dataset
from offmap.datasets.twins import near_twins
from offmap.elements import SYMBOLS
from offmap.errors import DataError
from offmap.progress import Progress

BLOWN_UP = 100.0
"""Volume per atom above which a cell of a dense solid looks blown up, cubic angstrom."""

CONFLICT = 0.1
"""Labels of twins that differ by more are in conflict, in the unit of the target (eV/atom)."""


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


def summary(dataset: Dataset, target: str = "", progress: Progress | None = None) -> pd.DataFrame:
    """Every check on one dataset, a line each: how many materials, their share, an example."""
    twins = near_twins(dataset.crystals, progress=progress)
    tables = {
        f"volume per atom above {BLOWN_UP:g} Å³": blown_up(dataset.crystals),
        "has a near twin (same composition and structure)": twins,
        f"near twins whose labels differ by more than {CONFLICT:g}": conflicting_labels(
            dataset, target, twins=twins
        ),
    }
    return pd.DataFrame(
        [
            {
                "check": check,
                "materials": len(table),
                "share": len(table) / max(len(dataset), 1),
                "example": str(table[MATERIAL_ID].iat[0]) if len(table) else "",
            }
            for check, table in tables.items()
        ]
    )
