"""Which columns are left, and what they speak of."""

from __future__ import annotations

import numpy as np
import pytest

from offmap.bias.descriptors import PARTS, Descriptors, blocks_of, counted_as, prune
from offmap.errors import SettingsError


def _made(values: np.ndarray, part: list[int]) -> Descriptors:
    columns = tuple(f"c{j}" for j in range(values.shape[1]))
    return Descriptors(values.astype(np.float32), columns, np.array(part), "made")


def test_constant_and_repeated_columns_go() -> None:
    a, b, noise = np.random.default_rng(0).normal(size=(3, 500))
    values = np.stack([a, np.full(500, 3.0), 2 * a + 1, -a + 0.1 * noise, b, a + 3 * noise], axis=1)
    assert prune(_made(values, [0] * 6)).columns == ("c0", "c4", "c5")


def test_no_pair_reaches_the_threshold(described: Descriptors) -> None:
    kept = prune(described, across=True)
    correlation = np.abs(np.corrcoef(kept.values.astype(float), rowvar=False))
    assert (correlation - np.eye(len(correlation))).max() < 0.7
    assert len(kept.columns) < len(prune(described).columns) < len(described.columns)


def test_pruning_is_the_greedy_loop(described: Descriptors) -> None:
    values = described.values.astype(float)
    varying = np.flatnonzero(np.ptp(values, axis=0) > 0)
    correlation = np.abs(np.corrcoef(values[:, varying], rowvar=False))
    kept: list[int] = []
    for j in range(len(varying)):
        if all(correlation[i, j] < 0.7 for i in kept):
            kept.append(j)
    assert prune(described, across=True).columns == tuple(
        described.columns[varying[j]] for j in kept
    )


def test_parts_compete_only_within_unless_asked() -> None:
    a = np.random.default_rng(0).normal(size=300)
    both = _made(np.stack([a, a], axis=1), [1, 0])
    assert prune(both).columns == ("c0", "c1")
    assert prune(both, across=True).columns == ("c0",)  # the structural column comes first


def test_rows_with_gaps_do_not_matter() -> None:
    values = np.random.default_rng(0).normal(size=(100, 3))
    values[5, 1] = np.nan
    assert prune(_made(values, [0] * 3)).columns == ("c0", "c1", "c2")


def test_local_difference_counts_as_either() -> None:
    assert counted_as("structure") == {"composition": (0,), "structure": (1, 2)}
    assert counted_as("composition") == {"composition": (0, 2), "structure": (1,)}
    with pytest.raises(SettingsError, match="both"):
        counted_as("both")


def test_matminer_is_divided_as_in_the_study(described: Descriptors) -> None:
    counts = np.bincount(described.part)
    assert dict(zip(PARTS, counts, strict=True)) == {
        "composition": 145,
        "structure": 18,
        "local_difference": 110,
    }
    assert described.has_structure
    assert set(blocks_of("magpie")) == {"composition"}
