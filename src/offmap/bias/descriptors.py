"""Which descriptors speak of composition, which of structure; and what pruning leaves of them."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from offmap.errors import DataError, SettingsError
from offmap.inputs import Inputs
from offmap.progress import Reporter, Silent
from offmap.representations.featurize import featurize, load_representation

COMPOSITION, STRUCTURE, LOCAL_DIFFERENCE = "composition", "structure", "local_difference"

PARTS = (COMPOSITION, STRUCTURE, LOCAL_DIFFERENCE)
"""Disjoint parts of the descriptors. ``local_difference`` is matminer's LocalPropertyDifference:
how much neighbouring sites differ in a property of their elements, so a bit of both; it is kept
apart and counted with ``structure`` (as the study does) or with ``composition``."""

_FALLBACKS = ("matminer", "magpie")


@dataclass(frozen=True, eq=False)
class Descriptors:
    """What an error is attributed to.

    Parameters
    ----------
    values
        Shape (n_materials, n_columns), float32.
    columns
        Name of each column.
    part
        Index into :data:`PARTS` of each column, shape (n_columns,).
    representation
        Name of the representation they come from.
    """

    values: NDArray[np.float32]
    columns: tuple[str, ...]
    part: NDArray[np.int64]
    representation: str

    def take(self, kept: NDArray[np.int64]) -> Descriptors:
        """Some of the columns."""
        columns = tuple(self.columns[j] for j in kept)
        values = np.ascontiguousarray(self.values[:, kept])
        return Descriptors(values, columns, self.part[kept], self.representation)

    @property
    def has_structure(self) -> bool:
        """Whether anything but the composition is described."""
        return bool((self.part != PARTS.index(COMPOSITION)).any())


def describe(inputs: Inputs, jobs: int = 1, reporter: Reporter | None = None) -> Descriptors:
    """The descriptors by which errors are explained, whatever the models were given.

    A representation of the study is used if its columns are divided into ``structure`` and
    ``composition``; models of graphs, text or embeddings are explained through matminer's. Where
    only formulas are known, all there is to see is composition.

    Raises
    ------
    DataError
        If the materials cannot be described.
    """
    for name, features in inputs.features.items():
        blocks = blocks_of(name)
        if blocks.get(STRUCTURE) and blocks.get(COMPOSITION):
            return _divided(features.values, features.columns, blocks, name)
    name = _FALLBACKS[0 if inputs.dataset.crystals.has_structure else 1]
    with (reporter or Silent()).step(f"Describe crystals ({name})") as progress:
        features = featurize(inputs.dataset.crystals, name, jobs, progress)
    if len(features.reasons) == len(inputs):
        raise DataError(f"no material can be described by {name}: {features.reasons[0]}")
    return _divided(features.values, features.columns, blocks_of(name), name)


def blocks_of(name: str) -> dict[str, tuple[str, ...]]:
    """The named groups of columns of a representation; empty if it has none."""
    return dict(getattr(load_representation(name), "blocks", {}))


def _divided(
    values: NDArray[Any], columns: tuple[str, ...], blocks: dict[str, tuple[str, ...]], name: str
) -> Descriptors:
    where = dict.fromkeys(blocks.get(COMPOSITION, ()), PARTS.index(COMPOSITION))
    where |= dict.fromkeys(blocks.get(STRUCTURE, ()), PARTS.index(STRUCTURE))
    where |= dict.fromkeys(
        blocks.get("local_property_difference", ()), PARTS.index(LOCAL_DIFFERENCE)
    )
    kept = np.array([j for j, column in enumerate(columns) if column in where])
    part = np.array([where[columns[j]] for j in kept])
    named = tuple(columns[j] for j in kept)
    return Descriptors(np.ascontiguousarray(values[:, kept], dtype=np.float32), named, part, name)


def counted_as(local_difference: str) -> dict[str, tuple[int, ...]]:
    """Which :data:`PARTS` make up ``composition`` and ``structure``.

    Parameters
    ----------
    local_difference
        ``"structure"`` or ``"composition"``: what LocalPropertyDifference counts as.
    """
    if local_difference not in (COMPOSITION, STRUCTURE):
        raise SettingsError(
            "LocalPropertyDifference counts as 'structure' or 'composition',"
            f" not {local_difference!r}"
        )
    grouped = {COMPOSITION: [0], STRUCTURE: [1]}
    grouped[local_difference].append(PARTS.index(LOCAL_DIFFERENCE))
    return {name: tuple(parts) for name, parts in grouped.items()}


def prune(descriptors: Descriptors, threshold: float = 0.7, across: bool = False) -> Descriptors:
    """Drop columns that never vary, then columns that say what an earlier column says.

    Going through the columns in order, each is kept unless its absolute Pearson correlation with a
    column kept before is at or above the threshold. No pair that is left reaches it.

    Parameters
    ----------
    descriptors
        Rows with a missing value are not looked at.
    threshold
        Absolute Pearson correlation; 0.7 in the study.
    across
        Compare columns of different parts too, as the study does. Its structural columns come
        first, so that what both parts know is then credited to structure; by default columns
        compete only within their part.
    """
    correlation, varies = _correlations(descriptors.values)
    alive = varies.copy()
    for j in np.flatnonzero(varies):
        if alive[j]:
            rivals = np.abs(correlation[j]) >= threshold
            rivals[: j + 1] = False
            if not across:
                rivals &= descriptors.part == descriptors.part[j]
            alive &= ~rivals
    return descriptors.take(np.flatnonzero(alive))


def _correlations(values: NDArray[np.float32]) -> tuple[NDArray[np.float64], NDArray[np.bool_]]:
    """Pearson correlations of columns, shape (p, p), and which columns vary, shape (p,)."""
    complete = values[np.isfinite(values).all(axis=1)]
    if not len(complete):
        raise DataError("no material has all descriptors")
    varies = np.ptp(complete, axis=0) > 0
    mean = complete.mean(axis=0, dtype=np.float64)
    gram = np.zeros((len(mean), len(mean)))
    for start in range(0, len(complete), 8192):  # float64 copies of a few rows at a time
        centred = complete[start : start + 8192] - mean
        gram += centred.T @ centred
    scale = np.sqrt(np.diag(gram))
    scale[~varies] = 1.0
    return gram / np.outer(scale, scale), varies
