"""Electron densities of free atoms as sums of Gaussians: what the multipoles are taken of.

Embedded are the X-ray form factors of the International Tables; the pseudo-densities that the
study's features were made of are fetched once, with a checksum.
"""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from offmap.cache import cache_folder
from offmap.elements import NUMBERS, SYMBOLS
from offmap.errors import DataError, UnknownNameError

Floats = NDArray[np.float64]

FORM_FACTORS = "form_factors"
"""Name of the embedded densities."""

_PUBLISHED = (
    "https://raw.githubusercontent.com/TRI-AMDD/GMP-featurizer"
    "/79ba57464cc1bcc710ad7e4bf884c1667bd6238f/pseudopotentials/"
)
PSEUDO_DENSITIES = {
    "QE-kjpaw": "sha256:911bf3fc47fae80b7421dce0bddcca25a74bd5f0fed9df7f84c527f8531632e4",
    "NC-SR": "sha256:e063f582777001f47b2e1ee3353e509b86fe9a4054f240fb171d00b3fcf5694e",
}
"""Published files of pseudo-densities (``.gpsp``; Lei and Montoya, JOSS 8, 5476, 2023)."""

# A form factor is four Gaussians and a constant, which stands for what is narrower than all of
# them. It becomes a Gaussian too, as narrow (0.036 angstrom) as the narrowest probe.
_WIDTH_OF_CONSTANT = 0.1


@dataclass(frozen=True, eq=False)
class Densities:
    """Density of each element: sum over k of ``weights[k] * exp(-exponents[k] * r**2)``.

    Parameters
    ----------
    name
        Where they are from.
    weights, exponents
        Shape (119, n_gaussians), by atomic number; electrons per cubic angstrom, and per square
        angstrom. Missing Gaussians have weight 0 and exponent 1.
    known
        Whether there is a density for the element, shape (119,).
    """

    name: str
    weights: Floats
    exponents: Floats
    known: NDArray[np.bool_]

    def electrons(self) -> Floats:
        """Integral of each density, shape (119,)."""
        total: Floats = (self.weights * (np.pi / self.exponents) ** 1.5).sum(axis=1)
        return total


def densities(name: str = FORM_FACTORS) -> Densities:
    """Atomic densities by name.

    Parameters
    ----------
    name
        ``"form_factors"`` (embedded), the name of a published file (``"QE-kjpaw"``, ``"NC-SR"``),
        or the path of a ``.gpsp`` file.

    Raises
    ------
    DataError
        If a file cannot be had or read.
    UnknownNameError
        If there is no such file or name.
    """
    if name == FORM_FACTORS:
        return form_factors()
    if name in PSEUDO_DENSITIES:
        from offmap.datasets.download import download

        target = cache_folder("gmp") / f"{name}.gpsp"
        return read_gpsp(download(f"{_PUBLISHED}{name}.gpsp", target, PSEUDO_DENSITIES[name]))
    if Path(name).is_file():
        return read_gpsp(Path(name))
    raise UnknownNameError("atomic density", name, [FORM_FACTORS, *PSEUDO_DENSITIES])


def form_factors() -> Densities:
    """Densities behind the X-ray form factors f(s) = sum of a exp(-b s^2), plus c.

    References
    ----------
    International Tables for Crystallography C (1992), table 6.1.1.4 (Cromer and Mann), as gemmi has
    them (Wojdyr, JOSS 7, 4200, 2022); Z = 1 to 98.
    """
    import gemmi

    found: dict[int, list[tuple[float, float]]] = {}
    for number in range(1, 119):
        coefficients = gemmi.Element(number).it92
        if coefficients is not None:
            terms = [*zip(coefficients.a, coefficients.b, strict=True)]
            terms.append((coefficients.c, _WIDTH_OF_CONSTANT))
            found[number] = [(a * (4 * np.pi / b) ** 1.5, 4 * np.pi**2 / b) for a, b in terms]
    return _table(FORM_FACTORS, found)


def read_gpsp(path: Path) -> Densities:
    """Read a ``.gpsp`` file: blocks of an element line and lines of weight and exponent.

    Raises
    ------
    DataError
        If it is not one.
    """
    found: dict[int, list[tuple[float, float]]] = {}
    try:
        blocks = path.read_text(encoding="utf-8").split("****")[1:]
        for block in blocks:
            lines = [line.split() for line in block.splitlines() if line.strip()]
            if lines and lines[0][0] in NUMBERS:
                rows = lines[1 : 1 + int(lines[0][2])]
                found[NUMBERS[lines[0][0]]] = [(float(w), float(e)) for w, e in rows]
    except (OSError, ValueError, IndexError) as error:
        raise DataError(f"{path} is not a .gpsp file of atomic densities: {error}") from error
    if not found or any(e <= 0 for terms in found.values() for _, e in terms):
        raise DataError(f"{path} holds no atomic densities with positive exponents")
    return _table(path.stem, found)


def _table(name: str, found: dict[int, list[tuple[float, float]]]) -> Densities:
    n = max(len(terms) for terms in found.values())
    weights, exponents = np.zeros((len(SYMBOLS), n)), np.ones((len(SYMBOLS), n))
    for number, terms in found.items():
        weights[number, : len(terms)], exponents[number, : len(terms)] = np.transpose(terms)
    known = np.isin(np.arange(len(SYMBOLS)), list(found))
    return Densities(name, weights, exponents, known)
