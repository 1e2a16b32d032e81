"""Choices of the data to add do what their names say."""

from __future__ import annotations

import numpy as np
import pytest

from offmap.elements import SYMBOLS
from offmap.scaling.additions import (
    beside,
    diverse_first,
    elements_beside,
    nearest_first,
    related_first,
)

rng = np.random.default_rng(0)
BASE = rng.normal(size=(20, 4)).astype(np.float32)
REST = np.concatenate([rng.normal(size=(300, 4)), rng.normal(size=(40, 4)) + 6]).astype(np.float32)
GAP = (rng.normal(size=(30, 4)) + 6).astype(np.float32)


def test_the_nearest_to_the_gap_come_first() -> None:
    order = nearest_first(BASE, REST, GAP, 60)
    assert len(set(order.tolist())) == len(order) >= 60
    assert set(order[:20].tolist()) <= set(range(300, 340))
    assert set(order[:60].tolist()) >= set(range(300, 340))
    distance = np.linalg.norm(GAP[:, None] - REST[None], axis=2)
    assert set(order[:5].tolist()) <= set(distance.argmin(axis=1).tolist())


def test_the_most_diverse_cover_the_space() -> None:
    order = diverse_first(BASE, REST, GAP, 60)
    assert len(set(order.tolist())) == 60
    apart = np.linalg.norm(REST[:, None] - BASE[None], axis=2).min(axis=1)
    assert order[0] == apart.argmax()

    def radius(rows: np.ndarray) -> float:
        taken = np.concatenate([BASE, REST[rows]])
        return float(np.linalg.norm(REST[:, None] - taken[None], axis=2).min(axis=1).max())

    assert radius(order) < 0.7 * radius(np.arange(60))
    # k-centre, greedy: the next one is never further away than the last.
    steps = [radius(order[:k]) for k in range(0, 60, 10)]
    assert steps == sorted(steps, reverse=True)


def test_related_materials_come_first_in_the_order_they_had() -> None:
    related = np.array([False, True, False, True])
    assert related_first(related).tolist() == [1, 3, 0, 2]


@pytest.mark.parametrize(
    ("symbol", "others"),
    [("F", "O Cl Ne"), ("Fe", "Mn Co Ru"), ("Ce", "La Pr Th"), ("Y", "Sr Zr Sc La")],
)
def test_elements_beside_another(symbol: str, others: str) -> None:
    assert beside(symbol) == set(others.split())


def test_being_beside_is_mutual() -> None:
    assert all(a in beside(b) for a in SYMBOLS[1:] for b in beside(a))


def test_a_group_has_neighbours_too() -> None:
    assert {"O", "S", "Ne", "Ar"} <= elements_beside("group", "17")
    assert not elements_beside("group", "17") & {"F", "Cl", "Br", "I"}
    assert elements_beside("space_group", "225") == set()
