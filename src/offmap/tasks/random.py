"""The in-distribution reference: random folds that do not depend on the order of the rows."""

from __future__ import annotations

import hashlib
from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray


def random_order(material_id: Sequence[str], seed: int) -> NDArray[np.int64]:
    """Rows in a random order that depends on ids and seed alone, shape (n,)."""
    prefix = f"{seed}\0"
    keys = [
        hashlib.blake2b((prefix + str(i)).encode(), digest_size=8).digest() for i in material_id
    ]
    return np.argsort(np.array(keys, dtype="S8"), kind="stable")


def folds(material_id: Sequence[str], n_folds: int = 5, seed: int = 0) -> NDArray[np.int64]:
    """Fold of each material, 0 to ``n_folds`` - 1, equal in size to within one; shape (n,)."""
    fold = np.empty(len(material_id), dtype=np.int64)
    fold[random_order(material_id, seed)] = np.arange(len(material_id)) % n_folds
    return fold


def fold_name(fold: int) -> str:
    """How a fold is named in the ``held_out`` column: ``fold-1`` and on."""
    return f"fold-{fold + 1}"
