"""Replace a new element by known ones, to see how much the answer depends on which.

A model that has never seen silicon treats it like some mixture of the elements around it in the
periodic table. Where compounds of those neighbours differ much, or lie far from what the model
says, it cannot be right about all of them. An additive model of compositions is enough to tell, and
its normal equations are sums over materials: those of a training set follow by subtraction.
"""

from __future__ import annotations

from functools import cache, cached_property

import numpy as np
from numpy.typing import NDArray

from offmap.elements import ELECTRONEGATIVITY, FAMILIES, GROUP, PERIOD
from offmap.representations.matminer.columns import MAGPIE_PROPERTIES
from offmap.representations.matminer.tables import element_table

Array = NDArray[np.float64]
Rows = NDArray[np.int64]

CHI: Array = np.where(ELECTRONEGATIVITY > 0, ELECTRONEGATIVITY, 1.3)
"""Electronegativity of each element; that of the heaviest known where none is tabulated."""

N_REPLACEMENTS = 8
"""Known elements that take the place of a new one."""
# Materials that an element needs in training to count as known.
_KNOWN_FROM = 20
_RIDGE = 1.0
# Elements that are like no other of their family.
_ALONE = (1, 8, 9)
_CHUNK = 8192


class Compositions:
    """An additive model of the label: each element, in the company of each family of elements.

    Parameters
    ----------
    fractions
        Atomic fractions, shape (n, 119); column = atomic number.
    y
        Labels, shape (n,).
    """

    def __init__(self, fractions: NDArray[np.floating], y: Array) -> None:
        self.fractions = np.asarray(fractions, dtype=np.float32)
        self.y = y
        self.used = np.flatnonzero(self.fractions.any(axis=0))

    def terms(self, fractions: NDArray[np.float32]) -> NDArray[np.float32]:
        """Fraction of each element, alone and times the fraction of each family; (n, n_terms)."""
        mine = fractions[:, self.used]
        company = fractions @ _membership()
        return np.hstack([mine, *(2 * mine * column[:, None] for column in company.T)])

    @cached_property
    def _sums(self) -> tuple[Array, Array]:
        return self._sums_over(np.arange(len(self.y)))

    def _sums_over(self, rows: Rows) -> tuple[Array, Array]:
        """Normal equations of some rows."""
        n_terms = len(self.used) * (1 + _membership().shape[1])
        gram, moment = np.zeros((n_terms, n_terms)), np.zeros(n_terms)
        for start in range(0, len(rows), _CHUNK):
            part = rows[start : start + _CHUNK]
            terms = self.terms(self.fractions[part])
            gram += terms.T @ terms
            moment += terms.T.astype(np.float64) @ self.y[part]
        return gram, moment

    def fit(self, test: NDArray[np.bool_]) -> Array:
        """Coefficients from all materials but the test set, shape (n_terms,)."""
        from scipy.linalg import cho_factor, cho_solve

        gram, moment = (
            all_ - left
            for all_, left in zip(self._sums, self._sums_over(np.flatnonzero(test)), strict=True)
        )
        gram[np.diag_indices_from(gram)] += _RIDGE
        found: Array = cho_solve(cho_factor(gram), moment)
        return found

    def new_elements(self, test: NDArray[np.bool_]) -> NDArray[np.int64]:
        """Atomic numbers in the test set that hardly any other material has."""
        known = (self.fractions[~test] > 0).sum(axis=0) >= _KNOWN_FROM
        return np.flatnonzero((self.fractions[test] > 0).any(axis=0) & ~known)

    def replaced(self, test: NDArray[np.bool_], rows: Rows) -> Array:
        """Labels of rows when every new element becomes its nearest known ones, one after another.

        Parameters
        ----------
        test
            Test set, shape (n,).
        rows
            Which materials.

        Returns
        -------
        ndarray
            Shape (n_rows, n_replacements), in the unit of the label.
        """
        coefficients, new = self.fit(test).astype(np.float32), self.new_elements(test)
        known = np.setdiff1d(self.used, new)
        nearest = [known[np.argsort(_distance(z, known), kind="stable")] for z in new]
        found = np.zeros((len(rows), min(N_REPLACEMENTS, len(known))))
        for start in range(0, len(rows), _CHUNK):
            part = slice(start, start + _CHUNK)
            for place in range(found.shape[1]):
                changed = self.fractions[rows[part]]
                for z, instead in zip(new, nearest, strict=True):
                    changed[:, instead[place]] += changed[:, z]
                    changed[:, z] = 0
                found[part, place] = self.terms(changed) @ coefficients
        return found


@cache
def properties() -> Array:
    """Place of each element, in standard deviations over the elements: shape (119, 4).

    Group, period, electronegativity and the logarithm of the melting point.
    """
    melting = element_table().magpie[:, MAGPIE_PROPERTIES.index("MeltingT")]
    values = np.column_stack([GROUP, PERIOD, CHI, np.log(np.maximum(melting, 1))]).astype(float)
    usual = values[1:95]
    scaled: Array = (values - usual.mean(axis=0)) / usual.std(axis=0)
    return scaled


def _distance(z: int, others: NDArray[np.int64]) -> Array:
    place = properties()
    distance: Array = np.linalg.norm(place[others] - place[z], axis=1)
    return distance


def _membership() -> NDArray[np.float32]:
    """Which family each element is of, shape (119, 11)."""
    found = np.stack([np.isin(GROUP, family) for family in FAMILIES], axis=1)
    found[list(_ALONE)] = False
    alone = np.zeros((len(GROUP), len(_ALONE)), dtype=bool)
    alone[list(_ALONE), range(len(_ALONE))] = True
    return np.hstack([found, alone]).astype(np.float32)
