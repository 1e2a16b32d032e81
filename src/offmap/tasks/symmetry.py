"""Criteria of symmetry: space group, point group, crystal system."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import pandas as pd

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
    codes, present = pd.factorize(attributes.frame[column])
    code_of = {value: code for code, value in enumerate(present.tolist())}
    labels = [value for value in order if value in code_of]
    matrix = np.array([code_of[value] for value in labels])[:, None] == codes
    return Groups(tuple(map(str, labels)), matrix.reshape(len(labels), len(codes)).T)
