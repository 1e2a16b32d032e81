"""Toy crystals described by the 273 descriptors, with errors planted where the test wants them."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
import pytest

from offmap.attributes import attributes
from offmap.bias.case import Case
from offmap.bias.descriptors import PARTS, Descriptors, prune
from offmap.datasets.base import Dataset
from offmap.representations.featurize import featurize, load_representation

Planted = Callable[..., Case]


@pytest.fixture(scope="session")
def described(toy_dataset: Dataset) -> Descriptors:
    """All descriptors of the toy crystals."""
    features = featurize(toy_dataset.crystals, "matminer")
    blocks = load_representation("matminer").blocks
    local = set(blocks["local_property_difference"])
    composition = set(blocks["composition"])
    part = [0 if c in composition else 2 if c in local else 1 for c in features.columns]
    values = features.values.astype(np.float32)
    assert len(PARTS) == 3
    return Descriptors(values, features.columns, np.array(part), "matminer")


@pytest.fixture(scope="session")
def planted(toy_dataset: Dataset, described: Descriptors) -> Planted:
    """A case whose held-out group is predicted wrong by ``shift`` plus a little noise."""
    found = attributes(toy_dataset.crystals)
    y = toy_dataset.frame["energy"].to_numpy(float)
    pruned = prune(described)

    def make(group: np.ndarray, shift: float, noise: float = 0.02, seed: int = 0) -> Case:
        error = noise * np.random.default_rng(seed).normal(size=len(y)) + shift * group
        return Case(
            train=np.flatnonzero(~group),
            test=np.flatnonzero(group),
            y_true=y,
            y_pred=y + error,
            X=pruned.values,
            part=pruned.part,
            X_all=described.values,
            part_all=described.part,
            system=found.frame["chemical_system"].to_numpy(object),
        )

    return make


@pytest.fixture(scope="session")
def groups(toy_dataset: Dataset) -> dict[str, np.ndarray]:
    """Masks: fluorides, tellurides, wurtzites (the only fourfold coordination)."""
    crystals = toy_dataset.crystals
    return {
        "F": crystals.counts[:, 9] > 0,
        "Te": crystals.counts[:, 52] > 0,
        "wurtzite": crystals.n_sites == 4,
    }
