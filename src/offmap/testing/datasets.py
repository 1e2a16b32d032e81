"""Check a dataset."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
import pandas as pd

from offmap.columns import FORMULA, MATERIAL_ID
from offmap.crystals import Crystals
from offmap.datasets.base import REJECTED_COLUMNS, Dataset
from offmap.datasets.loading import load
from offmap.testing.findings import Findings, name_of

# What a report says of the data, and cannot if the card does not.
_TOLD = ("title", "source", "licence", "citation")


def check_dataset(dataset: str | Callable[[], Any] | Dataset) -> Findings:
    """Check a dataset: materials with structures and labels, and where they come from.

    Parameters
    ----------
    dataset
        A name or path (``offmap data ls``, a file, ``package.module:function``), a function that
        returns a :class:`~offmap.datasets.base.Dataset`, or the dataset itself.

    Returns
    -------
    Findings
        What held, and remarks (materials without a label or a structure, gaps in the card).

    Raises
    ------
    AssertionError
        If offmap cannot use it; says why.
    """
    found = Findings(
        f"dataset {dataset.name if isinstance(dataset, Dataset) else name_of(dataset)!r}"
    )

    def read() -> Any:
        if isinstance(dataset, str):
            return load(dataset, None)
        return dataset if isinstance(dataset, Dataset) else dataset()

    first = found.attempt("reading it", read)
    if found.broken or not found.expect(
        isinstance(first, Dataset), "gives a Dataset", f"gives a {type(first).__name__}"
    ):
        return found.conclude()
    if not found.expect(len(first) > 0, "has materials", "has no material"):
        return found.conclude()
    found.expect(bool(first.name), "has a name", "its card has no name")
    _check_identity(found, first)
    _check_structures(found, first.crystals)
    _check_targets(found, first)
    _check_rejected(found, first.rejected)
    if dataset is not first:
        again = found.attempt("reading it again", read)
        found.expect(
            again is not None and _same(first, again),
            "reading it again gives the same",
            "reading it again gives other materials or values: sort, and fix every seed",
        )
    _remark_on_card(found, first)
    return found.conclude()


def _check_identity(found: Findings, dataset: Dataset) -> None:
    frame, crystals = dataset.frame, dataset.crystals
    missing = [name for name in (MATERIAL_ID, FORMULA) if name not in frame]
    if not found.expect(
        not missing, "frame has ids and formulas", f"frame has no column {', '.join(missing)}"
    ):
        return
    ids = frame[MATERIAL_ID]
    text = ids.map(lambda value: isinstance(value, str) and value != "")
    found.expect(bool(text.all()), "ids are text", f"ids that are not text: {_few(ids[~text])}")
    twice = ids[ids.duplicated()]
    found.expect(not len(twice), "ids are unique", f"ids that repeat: {_few(twice)}")
    found.expect(
        ids.tolist() == crystals.material_id.tolist(),
        "rows are in the order of the crystals",
        "the ids of the frame are not those of the crystals, in their order",
    )
    wrong = frame[frame[FORMULA].astype(str).to_numpy() != crystals.formula.astype(str)]
    found.expect(
        not len(wrong),
        "formulas are those of the crystals",
        f"formulas that are not those of the crystals: {_few(wrong[FORMULA])};"
        " offmap.datasets.base.frame_of fills them in",
    )


def _check_structures(found: Findings, crystals: Crystals) -> None:
    known = np.isfinite(crystals.lattice).all(axis=(1, 2))
    found.expect(
        bool((crystals.numbers > 0).all()) and bool((crystals.n_sites > 0).all()),
        "every site has an element",
        "crystals without sites, or sites of atomic number 0",
    )
    volume = np.abs(np.linalg.det(crystals.lattice[known]))
    flat = crystals.material_id[known][volume < 1e-3]
    found.expect(not len(flat), "cells have a volume", f"cells without volume: {_few(flat)}")
    sites = np.repeat(known, crystals.n_sites)
    found.expect(
        bool(np.isfinite(crystals.frac_coords[sites]).all()),
        "positions are finite",
        "positions that are not finite in crystals with a lattice",
    )
    if not known.all():
        found.remarks.append(
            f"{int((~known).sum())} of {len(crystals)} materials have no structure: criteria of"
            " symmetry and structural descriptors leave them out"
        )


def _check_targets(found: Findings, dataset: Dataset) -> None:
    absent = [name for name in dataset.card.targets if name not in dataset.frame]
    found.expect(
        not absent, "targets are columns", f"targets of its card that are no column: {absent}"
    )
    target = found.attempt("finding a target", dataset.target)
    if target is None:
        return
    for name in [name for name in dataset.card.targets if name in dataset.frame]:
        column = pd.to_numeric(dataset.frame[name], errors="coerce")
        n = int(np.isfinite(column.to_numpy(float, na_value=np.nan)).sum())
        found.expect(n > 0, f"{name} has {n} labels", f"{name} has no finite value")
        if 0 < n < len(dataset):
            found.remarks.append(f"{len(dataset) - n} materials have no {name}: studies drop them")
        if not dataset.unit(name):
            found.remarks.append(f"{name} has no unit")


def _check_rejected(found: Findings, rejected: pd.DataFrame) -> None:
    missing = [name for name in REJECTED_COLUMNS if name not in rejected]
    if found.expect(
        not missing, "rejected rows are a table", f"rejected has no column {', '.join(missing)}"
    ):
        silent = int((rejected["reason"].fillna("").astype(str) == "").sum())
        found.expect(
            not silent, "every rejected row has a reason", f"{silent} rejected rows have no reason"
        )


def _remark_on_card(found: Findings, dataset: Dataset) -> None:
    silent = [name for name in _TOLD if not getattr(dataset.card, name)]
    if silent:
        found.remarks.append(f"its card does not state: {', '.join(silent)}")
    if not dataset.sha256:
        found.remarks.append("no sha256: a report cannot say which bytes it was made from")


def _same(a: Dataset, b: Dataset) -> bool:
    return (
        len(a) == len(b)
        and a.frame.equals(b.frame)
        and np.array_equal(a.crystals.lattice, b.crystals.lattice, equal_nan=True)
        and np.array_equal(a.crystals.frac_coords, b.crystals.frac_coords, equal_nan=True)
    )


def _few(values: Any) -> str:
    return ", ".join(map(repr, list(values)[:5]))
