"""Criteria of chemistry: which elements a material contains, and how many."""

from __future__ import annotations

import numpy as np

from offmap.attributes import Attributes
from offmap.columns import N_ELEMENTS
from offmap.elements import GROUP, NOBLE_GASES, PERIOD, SYMBOLS
from offmap.tasks.membership import Groups

MORE_THAN = (2, 3, 4, 5)
AT_MOST = (2, 3, 4)


def element(attributes: Attributes) -> Groups:
    """All materials that contain the element, for every element present but the noble gases."""
    present = attributes.has_element.any(axis=0)
    numbers = [z for z in np.flatnonzero(present) if z and SYMBOLS[z] not in NOBLE_GASES]
    return Groups(tuple(SYMBOLS[z] for z in numbers), attributes.has_element[:, numbers])


def period(attributes: Attributes) -> Groups:
    """All materials that contain any element of the period, 2 to 7; lanthanides are period 6."""
    return _any_of(attributes, PERIOD, range(2, 8))


def group(attributes: Attributes) -> Groups:
    """All materials that contain any element of the group, 1 to 17; f elements are group 3."""
    return _any_of(attributes, GROUP, range(1, 18))


def n_elements(attributes: Attributes) -> Groups:
    """Materials of more than n (2 to 5), or at most n (2 to 4), different elements."""
    n = attributes.frame[N_ELEMENTS].to_numpy()
    tests = [(f">{k}", n > k) for k in MORE_THAN] + [(f"<={k}", n <= k) for k in AT_MOST]
    return Groups(tuple(name for name, _ in tests), np.stack([mask for _, mask in tests], axis=1))


def _any_of(attributes: Attributes, place: np.ndarray, values: range) -> Groups:
    members = place[:, None] == np.array(values)[None, :]
    # Matrix product of counts rather than booleans: numpy's boolean product is slow.
    matrix = attributes.has_element.astype(np.float32) @ members.astype(np.float32) > 0
    return Groups(tuple(map(str, values)), matrix)
