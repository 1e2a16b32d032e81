"""Criteria of symmetry: space group, point group, crystal system."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from offmap.attributes import CRYSTAL_SYSTEMS, POINT_GROUPS, Attributes
from offmap.columns import CRYSTAL_SYSTEM, POINT_GROUP, SPACE_GROUP
from offmap.tasks.membership import Groups


def space_group(attributes: Attributes) -> Groups:
    """All materials of the space group, by international number."""
    return _classes(attributes, SPACE_GROUP, range(1, 231))


def point_group(attributes: Attributes) -> Groups:
    """All materials of the point group, by Hermann-Mauguin symbol."""
    return _classes(attributes, POINT_GROUP, POINT_GROUPS)


def crystal_system(attributes: Attributes) -> Groups:
    """All materials of the crystal system."""
    return _classes(attributes, CRYSTAL_SYSTEM, CRYSTAL_SYSTEMS)


def _classes(attributes: Attributes, column: str, order: Sequence[object]) -> Groups:
    values = attributes.frame[column].to_numpy()
    present = set(values.tolist())
    labels = [value for value in order if value in present]
    matrix = np.zeros((len(values), len(labels)), dtype=bool)
    for i, value in enumerate(labels):
        matrix[:, i] = values == value
    return Groups(tuple(map(str, labels)), matrix)
