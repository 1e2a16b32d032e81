"""The two sides of a split that is audited: materials read from anywhere, described and checked."""

from __future__ import annotations

import difflib
from collections.abc import Iterable
from dataclasses import dataclass, field
from functools import cached_property
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from offmap import datasets
from offmap.attributes import chemical_systems
from offmap.columns import MATERIAL_ID
from offmap.crystals import Crystals
from offmap.datasets.base import Card, Dataset, frame_of
from offmap.datasets.layout import FORMULA_NAMES, ID_NAMES, STRUCTURE_NAMES
from offmap.errors import DataError
from offmap.inputs import Inputs
from offmap.progress import Reporter
from offmap.representations.featurize import featurize, load_representation

Given = str | Path | Dataset | Crystals | pd.DataFrame
"""What a side can be given as: a name, file, folder or table of materials, or of their ids."""


@dataclass(frozen=True, eq=False)
class Side:
    """Materials with their features, one row each.

    Parameters
    ----------
    crystals
        The materials, shape (n,).
    X
        Features, shape (n, p), finite.
    y
        Labels, shape (n,); None if they are not known.
    set_aside
        Materials that cannot be used: ``material_id``, ``reason``.
    """

    crystals: Crystals
    X: NDArray[np.float32]
    y: NDArray[np.float64] | None = None
    set_aside: pd.DataFrame = field(default_factory=lambda: no_rows())

    def __len__(self) -> int:
        return len(self.crystals)

    @property
    def material_id(self) -> NDArray[np.object_]:
        """Ids as text, shape (n,)."""
        return self.crystals.material_id.astype(str).astype(object)

    @cached_property
    def formula(self) -> NDArray[np.object_]:
        """Reduced formulas, shape (n,)."""
        return self.crystals.formula

    @cached_property
    def has_element(self) -> NDArray[np.bool_]:
        """Shape (n, 119); column = atomic number."""
        return self.crystals.counts > 0

    @cached_property
    def systems(self) -> NDArray[np.object_]:
        """Chemical systems, shape (n,)."""
        return chemical_systems(self.has_element)

    @cached_property
    def content(self) -> NDArray[np.object_]:
        """Digest of each structure, empty where only the formula is known, shape (n,)."""
        if not self.crystals.has_structure:
            return np.full(len(self), "", dtype=object)
        return self.crystals.content_hash()

    def take(self, rows: NDArray[Any], reason: str = "") -> Side:
        """Some of the rows; the others are set aside with the reason, if there is one."""
        kept = np.arange(len(self))[rows]
        gone = np.setdiff1d(np.arange(len(self)), kept)
        noted = no_rows(self.material_id[gone], reason) if reason and len(gone) else no_rows()
        return Side(
            self.crystals.take(kept),
            self.X[kept],
            None if self.y is None else self.y[kept],
            together([self.set_aside, noted]),
        )


def no_rows(material_id: Iterable[Any] = (), reason: str = "") -> pd.DataFrame:
    """A table of materials set aside for one reason."""
    ids = list(material_id)
    return pd.DataFrame({MATERIAL_ID: ids, "reason": [reason] * len(ids)}, dtype=object)


def together(tables: list[pd.DataFrame]) -> pd.DataFrame:
    """Tables of materials set aside, as one."""
    filled = [table for table in tables if len(table)]
    return pd.concat(filled, ignore_index=True) if filled else no_rows()


def of_study(inputs: Inputs) -> Side:
    """All materials of a study."""
    features = next(iter(inputs.features.values()))
    return Side(inputs.dataset.crystals, features.values.astype(np.float32), inputs.y)


def read(
    given: Given, what: str, representation: str, target: str | None, jobs: int, reporter: Reporter
) -> Side:
    """Read and describe materials.

    Parameters
    ----------
    given
        A name, file or folder of materials, or the materials themselves.
    what
        ``"training"`` or ``"test"``, for messages. Training materials without a label are set
        aside; those of a test keep their place, with NaN.
    representation
        Name of the representation.
    target
        Column of the labels; empty: the one that is a target by its name, if any; None: no labels.

    Raises
    ------
    DataError
        If nothing usable is left.
    """
    dataset = load(given)
    if what == "test" and target and target not in dataset.frame:
        target = None  # a test needs no labels
    name = target_of(dataset, target)
    if name and what == "training" and not isinstance(given, (Dataset, Crystals)):
        dataset = datasets.load(str(given), name)
    y = _labels(dataset, name)
    if not dataset.crystals.has_structure and load_representation(representation).needs_structure:
        raise DataError(
            f"the {what} materials have formulas but no structures, and {representation} needs "
            "structures; use --representation magpie"
        )
    with reporter.step(f"Describe {what} materials ({representation})") as progress:
        features = featurize(dataset.crystals, representation, jobs, progress)
    reasons = dict(features.reasons)
    for row in np.flatnonzero(~np.isfinite(features.values).all(axis=1)).tolist():
        column = features.columns[int(np.argmin(np.isfinite(features.values[row])))]
        reasons.setdefault(row, f"{representation}: {column} is not finite")
    if y is not None and what == "training":
        for row in np.flatnonzero(~np.isfinite(y)).tolist():
            reasons.setdefault(row, f"{name} is missing")
    kept = np.setdiff1d(np.arange(len(dataset)), list(reasons))
    if not len(kept):
        raise DataError(f"no {what} material is usable: {next(iter(reasons.values()), 'none')}")
    ids = dataset.frame[MATERIAL_ID].astype(str).to_numpy(object)
    _check_distinct(ids, what)
    noted = [no_rows([ids[row]], why) for row, why in sorted(reasons.items())]
    rejected = dataset.rejected[[MATERIAL_ID, "reason"]].astype(object)
    return Side(
        dataset.crystals.take(kept),
        features.values[kept].astype(np.float32),
        None if y is None else y[kept],
        together([rejected, *noted]),
    )


def load(given: Given) -> Dataset:
    """The dataset behind what was given; no row is set aside for want of a label."""
    if isinstance(given, Crystals):
        return Dataset(Card("given"), given, frame_of(given))
    if isinstance(given, Dataset):
        return given
    if isinstance(given, pd.DataFrame):
        raise DataError(
            "a table of ids needs a study that has the materials; give structures as a Dataset, "
            "as Crystals or as a file"
        )
    return datasets.load(given, None)


def target_of(dataset: Dataset, target: str | None) -> str:
    """Name of the label: as given, or a target by its name; empty if there is none."""
    if target is None:
        return ""
    if target:
        return dataset.target(target) if _is_number(dataset, target) else target
    return next((t for t in dataset.card.targets if t in dataset.frame), "")


def _is_number(dataset: Dataset, name: str) -> bool:
    return name not in dataset.frame or pd.api.types.is_numeric_dtype(dataset.frame[name])


def _labels(dataset: Dataset, name: str) -> NDArray[np.float64] | None:
    if not name:
        return None
    y = pd.to_numeric(dataset.frame[name], errors="coerce").to_numpy(np.float64)
    return y if np.isfinite(y).any() else None


def _check_distinct(ids: NDArray[np.object_], what: str) -> None:
    twice = pd.Series(ids)[lambda s: s.duplicated()]
    if len(twice):
        raise DataError(f"the {what} materials have the id {twice.iat[0]} more than once")


def ids_of(given: Given) -> list[str] | None:
    """The ids in a table that has ids and neither structures nor formulas; None for all else."""
    if isinstance(given, pd.DataFrame):
        table = given
    elif isinstance(given, (str, Path)) and Path(given).suffix.lower() in (".csv", ".tsv"):
        separator = "\t" if Path(given).suffix.lower() == ".tsv" else ","
        try:
            table = pd.read_csv(given, sep=separator, dtype=str, keep_default_na=False)
        except (OSError, ValueError):
            return None  # the reader of datasets says what is wrong
    else:
        return None
    lower = {str(column).lower(): column for column in table}
    if any(name in lower for name in (*STRUCTURE_NAMES, *FORMULA_NAMES)):
        return None
    column = next((lower[name] for name in ID_NAMES if name in lower), None)
    return None if column is None else [str(i).strip() for i in table[column]]


def look_up(ids: list[str], known: Side, what: str, where: str) -> NDArray[np.int64]:
    """Rows of materials named by their ids.

    Raises
    ------
    DataError
        If an id is there twice or unknown.
    """
    index = pd.Index(known.material_id)
    _check_distinct(np.array(ids, dtype=object), what)
    rows = index.get_indexer(pd.Index(ids, dtype=object))
    if (rows < 0).any():
        lost = [i for i, row in zip(ids, rows, strict=True) if row < 0]
        near = difflib.get_close_matches(lost[0], index[:20000].tolist(), n=3, cutoff=0.6)
        hint = f"; did you mean {' or '.join(near)}?" if near else ""
        raise DataError(
            f"{what} materials: {len(lost)} of {len(ids)} ids are not in {where}, "
            f"such as {lost[0]}{hint}"
        )
    return rows.astype(np.int64)


def shared(mine: Side, other: Side) -> NDArray[np.bool_]:
    """Which of my materials the other side has too: same id and formula, or same structure."""
    pairs = set(zip(other.material_id, other.formula, strict=True))
    named = [pair in pairs for pair in zip(mine.material_id, mine.formula, strict=True)]
    digests = set(other.content) - {""}
    same = [digest in digests for digest in mine.content]
    found: NDArray[np.bool_] = np.array(named, dtype=bool) | np.array(same, dtype=bool)
    return found
