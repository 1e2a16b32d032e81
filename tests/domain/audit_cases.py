"""Representations and a criterion of the tests' own, ``tests.domain.audit_cases:<name>``."""

from __future__ import annotations

import numpy as np

from offmap.attributes import Attributes
from offmap.crystals import Crystals
from offmap.representations.base import Features


def fluoride(attributes: Attributes) -> list[str | None]:
    """One task: the fluorides."""
    return ["F" if has else None for has in attributes.has_element[:, 9]]


class Constant:
    """Says the same of every crystal."""

    name, version, needs_structure = "constant", 1, False
    columns = ("a", "b")
    blocks: dict[str, tuple[str, ...]] = {}

    def featurize(self, crystals: Crystals) -> Features:
        return Features(np.ones((len(crystals), 2)), self.columns)


class Gaps:
    """Number fractions of some elements, one constant column, and NaN for every selenide."""

    name, version, needs_structure = "gaps", 1, False
    columns = ("volume", "anion", "metal", "same")
    blocks: dict[str, tuple[str, ...]] = {}

    def featurize(self, crystals: Crystals) -> Features:
        z = np.arange(119)
        share = crystals.counts / crystals.counts.sum(axis=1, keepdims=True)
        heaviest = np.where(crystals.counts > 0, z, 0).max(axis=1)
        values = np.column_stack(
            [crystals.volume / crystals.n_sites, share @ z, heaviest, np.ones(len(crystals))]
        )
        values[crystals.counts[:, 34] > 0, 1] = np.nan
        return Features(values, self.columns)
