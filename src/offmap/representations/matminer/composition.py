"""The 145 compositional descriptors, vectorised over a batch of crystals.

Definitions: L. Ward et al., npj Comput. Mater. 2, 16028 (2016), as matminer 0.10 computes them
(``Stoichiometry``, ``ElementProperty`` with the Magpie preset, ``ValenceOrbital``, and
``IonProperty`` with ``fast=True``).
"""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

from offmap.representations.matminer.columns import COMPOSITION, MAGPIE_PROPERTIES, NORMS
from offmap.representations.matminer.tables import ElementTable

Floats = NDArray[np.float64]


def composition_descriptors(counts: NDArray[np.int32], table: ElementTable) -> Floats:
    """Describe compositions.

    Parameters
    ----------
    counts
        Atoms of each element, shape (n, 119); every row has at least one atom.
    table
        Element facts.

    Returns
    -------
    ndarray
        Shape (n, 145), in the order of ``columns.COMPOSITION``.
    """
    numbers, amounts = _padded(counts)
    fractions = amounts / amounts.sum(axis=1, keepdims=True)
    blocks = (
        _stoichiometry(fractions),
        _element_property(numbers, amounts, fractions, table.magpie),
        _valence_orbital(numbers, fractions, table.magpie),
        _ion_property(numbers, amounts, fractions, table),
    )
    values = np.concatenate(blocks, axis=1)
    assert values.shape[1] == len(COMPOSITION)
    return values


def _padded(counts: NDArray[np.int32]) -> tuple[NDArray[np.int64], Floats]:
    """Elements of each row and their amounts, both (n, most elements); amount 0 pads."""
    rows, elements = np.nonzero(counts)
    n_elements = np.bincount(rows, minlength=len(counts))
    starts = np.cumsum(n_elements) - n_elements
    places = np.arange(len(rows)) - starts[rows]
    shape = (len(counts), int(n_elements.max(initial=1)))
    # Padding repeats the first element, so that minima and maxima need no mask.
    first = elements[np.minimum(starts, max(len(elements) - 1, 0))] if len(elements) else starts
    numbers = np.repeat(first.astype(np.int64)[:, None], shape[1], axis=1)
    amounts = np.zeros(shape)
    numbers[rows, places] = elements
    amounts[rows, places] = counts[rows, elements]
    return numbers, amounts


def _stoichiometry(fractions: Floats) -> Floats:
    norms: list[Any] = [(fractions > 0).sum(axis=1)]
    norms += [(fractions**p).sum(axis=1) ** (1.0 / p) for p in NORMS[1:]]
    return np.stack(norms, axis=1).astype(np.float64)


def _element_property(
    numbers: NDArray[np.int64], amounts: Floats, fractions: Floats, magpie: Floats
) -> Floats:
    values = magpie[numbers]  # (n, elements, 22)
    weights = fractions[:, :, None]
    low, high = values.min(axis=1), values.max(axis=1)
    mean = (values * weights).sum(axis=1)
    deviation = (np.abs(values - mean[:, None]) * weights).sum(axis=1)
    commonest = amounts == amounts.max(axis=1, keepdims=True)
    mode = np.where(commonest[:, :, None], values, np.inf).min(axis=1)
    statistics: Floats = np.stack([low, high, high - low, mean, deviation, mode], axis=2)
    return statistics.reshape(len(numbers), -1)


def _valence_orbital(numbers: NDArray[np.int64], fractions: Floats, magpie: Floats) -> Floats:
    at = [MAGPIE_PROPERTIES.index(f"N{orbital}Valence") for orbital in "spdf"]
    means = np.einsum("ne,nep->np", fractions, magpie[numbers][:, :, at])
    total = (fractions * magpie[numbers, MAGPIE_PROPERTIES.index("NValence")]).sum(axis=1)
    shares: Floats = means / total[:, None]
    return shares


def _ion_property(
    numbers: NDArray[np.int64], amounts: Floats, fractions: Floats, table: ElementTable
) -> Floats:
    x = table.electronegativity[numbers]
    ionic = 1.0 - np.exp(-0.25 * (x[:, :, None] - x[:, None, :]) ** 2)
    # Padding repeats the first element: its ionic character with itself is 0.
    largest = ionic.max(axis=(1, 2))
    mean = 0.5 * np.einsum("na,nb,nab->n", fractions, fractions, ionic)
    possible = [_neutral(z, n, table) for z, n in zip(numbers, amounts.astype(int), strict=True)]
    return np.stack([np.array(possible, dtype=np.float64), largest, mean], axis=1)


def _neutral(numbers: NDArray[np.int64], amounts: NDArray[Any], table: ElementTable) -> bool:
    """Whether one common oxidation state per element can make the compound neutral."""
    present = [(z, n) for z, n in zip(numbers.tolist(), amounts.tolist(), strict=True) if n]
    if len(present) == 1:
        return True
    charges = {0}
    for z, n in present:
        charges = {charge + n * state for charge in charges for state in table.oxidation_states[z]}
    return 0 in charges
