"""``load``: a dataset by name or path, with the rows that a study may use."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from offmap import registry
from offmap.columns import MATERIAL_ID
from offmap.datasets import converted, published
from offmap.datasets.base import REJECTED_COLUMNS, Card, Dataset
from offmap.datasets.cards import snapshots
from offmap.datasets.files import ID_PROP, SUFFIXES, Source, find_source
from offmap.datasets.layout import TARGET_UNITS
from offmap.datasets.reading import MISSING, Reader, joined, no_usable_row
from offmap.datasets.stream import convert
from offmap.errors import DataError, SettingsError, UnknownNameError
from offmap.progress import Progress

CLEANING = ("none", "study")

LARGE = 2**26
"""A file with more bytes is converted part by part, in little memory, before it is read."""

STUDY_LIMIT = 5.0
"""The study keeps targets below this, eV/atom (Li et al., Commun. Mater. 6, 9, 2025)."""


def load(
    name_or_path: str | Path,
    target: str | None = "",
    *,
    cleaning: str = "none",
    exclude: Sequence[str] = (),
    limit: int = 0,
    seed: int = 0,
    progress: Progress | None = None,
) -> Dataset:
    """Load a dataset.

    Parameters
    ----------
    name_or_path
        A registered name (``offmap data ls``), ``package.module:function``, or the path of a file
        or folder.
    target
        Column to predict; empty for the dataset's first target. Rows without a finite value are
        set aside. None if labels are not needed: then no row is set aside for want of one.
    cleaning
        ``"none"``, or ``"study"``: keep targets below 5 eV/atom, the rule of the study.
    exclude
        Boolean columns; rows where one is true are set aside.
    limit
        Keep a random sample of this many rows, in their order (0: all).
    seed
        Of that sample.
    progress
        Called with bytes done and bytes in all while a file is read.

    Returns
    -------
    Dataset
        With the rows set aside, and why, in ``rejected``.

    Raises
    ------
    UnknownNameError
        If no dataset, file or column has that name.
    DataError
        If the file cannot be used, or no row is left.
    """
    if cleaning not in CLEANING:
        raise UnknownNameError("cleaning", cleaning, CLEANING)
    dataset = _find(str(name_or_path), progress)
    dataset = _some(_without(dataset, exclude))
    if target is not None:
        dataset = _some(_labelled(dataset, target, cleaning))
    if 0 < limit < len(dataset):
        chosen = np.random.default_rng(seed).choice(len(dataset), limit, replace=False)
        dataset = dataset.take(np.sort(chosen))
    return dataset


def _some(dataset: Dataset) -> Dataset:
    if not len(dataset):
        raise no_usable_row(f"dataset {dataset.name}", dataset.rejected)
    return dataset


def _find(name: str, progress: Progress | None) -> Dataset:
    known = registry.names("dataset")
    if name in snapshots():
        return published.load(name, progress)
    if name in known or (":" in name and not Path(name).exists()):
        dataset = registry.load("dataset", name)()
        if not isinstance(dataset, Dataset):
            raise DataError(
                f"dataset {name!r} did not return a Dataset but {type(dataset).__name__}"
            )
        return dataset
    if Path(name).expanduser().exists():
        return read_path(name, progress=progress)
    raise UnknownNameError("dataset", name, known, _near_files(name))


def _near_files(name: str) -> str:
    """What lies where the path points, for a message."""
    import difflib

    path = Path(name).expanduser()
    here = path.parent if path.parent.is_dir() else Path()
    files = [p.name for p in here.iterdir() if p.suffix.lower() in SUFFIXES or p.suffix == ".zip"]
    near = difflib.get_close_matches(path.name, files, n=3, cutoff=0.5) or sorted(files)[:5]
    listed = f"; files near by: {', '.join(near)}" if near else ""
    return f"There is no file {name!r} either{listed}."


def read_path(path: str | Path, progress: Progress | None = None) -> Dataset:
    """Read a file or folder, or the converted copy of the same bytes.

    Parameters
    ----------
    path
        What to read.
    progress
        Called with bytes done and bytes in all.
    """
    source = find_source(path)
    key = source.sha256()
    place = converted.place(source.stem, key)
    part = converted.load(place)
    if part is None and source.path.stat().st_size > LARGE and converted.is_writable(place):
        convert(Reader(source), place / converted.MATERIALS, key, progress)
        part = converted.load(place)
    if part is None:
        part = joined(list(Reader(source).parts(progress=progress)), str(source.path))
        converted.save(place, part)
    return Dataset(_card(source, part.frame), part.crystals, part.frame, part.rejected, key)


def _card(source: Source, frame: pd.DataFrame) -> Card:
    numeric = [str(c) for c in frame if pd.api.types.is_numeric_dtype(frame[c])]
    numeric = [c for c in numeric if not pd.api.types.is_bool_dtype(frame[c])]
    by_lower = {str(c).lower(): str(c) for c in frame if c != MATERIAL_ID}
    targets = {by_lower[n]: unit for n, unit in TARGET_UNITS.items() if n in by_lower}
    if not targets and len(numeric) == 1:
        targets = {numeric[0]: ""}
    return Card(name=source.stem, title=source.path.name, source=str(source.path), targets=targets)


def _without(dataset: Dataset, columns: Sequence[str]) -> Dataset:
    """Set aside the rows where a boolean column is true."""
    frame = dataset.frame
    known = [str(c) for c in frame if pd.api.types.is_bool_dtype(frame[c])]
    reasons: dict[int, str] = {}
    for name in columns:
        if name not in known:
            raise UnknownNameError(f"boolean column of dataset {dataset.name}", name, known)
        for row in np.flatnonzero(frame[name].to_numpy(dtype=bool, na_value=False)):
            reasons.setdefault(int(row), f"{name} is true (excluded)")
    return _apart(dataset, reasons)


def _labelled(dataset: Dataset, target: str, cleaning: str) -> Dataset:
    """Only rows with a finite target, and below the limit if the study's cleaning is on."""
    name = target or next((t for t in dataset.card.targets if t in dataset.frame), "")
    if name in dataset.frame and name != MATERIAL_ID:
        values, reasons = _numbers(dataset.frame[name], name)
        if np.isfinite(values).any():
            card = dataset.card
            if name not in card.targets:
                card = replace(card, targets={**card.targets, name: ""})
            dataset = replace(dataset, card=card, frame=dataset.frame.assign(**{name: values}))
            if cleaning == "study":
                reasons = _above_limit(dataset, name, values) | reasons
            return _apart(dataset, reasons)
    if target:
        dataset.target(target)  # says which columns hold numbers
        raise DataError(f"dataset {dataset.name}: column {target!r} holds no finite number")
    numeric = [c for c in dataset.frame if pd.api.types.is_numeric_dtype(dataset.frame[c])]
    if not numeric:
        raise DataError(
            f"dataset {dataset.name} has no labels: no column holds numbers. Those of a folder of"
            f" structures are read from {ID_PROP} in it"
        )
    raise DataError(
        f"dataset {dataset.name} has no column that is a target by its name; say which one to "
        f"predict. Columns with numbers: {', '.join(map(str, numeric))}."
    )


def _numbers(column: pd.Series[Any], name: str) -> tuple[NDArray[np.float64], dict[int, str]]:
    """The column as numbers, and why a row has none."""
    values = pd.to_numeric(column, errors="coerce").to_numpy(dtype=np.float64, na_value=np.nan)
    reasons = {}
    for row in np.flatnonzero(~np.isfinite(values)):
        cell: Any = column.iat[int(row)]
        if bool(pd.isna(cell)) or str(cell).strip().lower() in MISSING:
            reasons[int(row)] = f"{name} is missing"
        elif np.isinf(values[row]):
            reasons[int(row)] = f"{name} is not finite"
        else:
            reasons[int(row)] = f"{name} is not a number: {str(cell)[:40]!r}"
    return values, reasons


def _above_limit(dataset: Dataset, name: str, values: NDArray[np.float64]) -> dict[int, str]:
    unit = dataset.unit(name)
    if unit not in ("", "eV/atom"):
        raise SettingsError(
            f"cleaning 'study' is a rule for formation energies in eV/atom; "
            f"{name} of dataset {dataset.name} is in {unit}"
        )
    words = f"{name} is not below {STUDY_LIMIT:g} eV/atom (cleaning 'study')"
    return dict.fromkeys(np.flatnonzero(values >= STUDY_LIMIT).tolist(), words)


def _apart(dataset: Dataset, reasons: dict[int, str]) -> Dataset:
    if not reasons:
        return dataset
    keep = np.ones(len(dataset), dtype=bool)
    keep[list(reasons)] = False
    rows, ids = _source_rows(dataset), dataset.frame[MATERIAL_ID].to_numpy()
    noted = pd.DataFrame(
        [(ids[i], rows[i], why) for i, why in sorted(reasons.items())], columns=REJECTED_COLUMNS
    )
    before = [dataset.rejected] if len(dataset.rejected) else []
    rejected = pd.concat([*before, noted], ignore_index=True)
    return replace(dataset.take(keep), rejected=rejected)


def _source_rows(dataset: Dataset) -> NDArray[np.int64]:
    """Row number in the source of each material: the rows that were not set aside, in order."""
    total = len(dataset) + len(dataset.rejected)
    rest = np.setdiff1d(np.arange(total), dataset.rejected["row"].to_numpy(dtype=np.int64))
    return rest if len(rest) == len(dataset) else np.arange(len(dataset))
