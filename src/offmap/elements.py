"""Facts about the chemical elements that the whole package shares.

Symbols and atomic numbers are IUPAC's; electronegativities are Pauling's scale (W. M. Haynes, CRC
Handbook of Chemistry and Physics, 95th ed.). Lanthanides and actinides count as group 3
of periods 6 and 7, the convention of pymatgen and of Li et al., Commun. Mater. 6, 9 (2025).
"""

from __future__ import annotations

import re

import numpy as np
from numpy.typing import NDArray

SYMBOLS: tuple[str, ...] = tuple(
    """
    X H He Li Be B C N O F Ne Na Mg Al Si P S Cl Ar K Ca Sc Ti V Cr Mn Fe Co Ni Cu Zn Ga Ge As Se
    Br Kr Rb Sr Y Zr Nb Mo Tc Ru Rh Pd Ag Cd In Sn Sb Te I Xe Cs Ba La Ce Pr Nd Pm Sm Eu Gd Tb Dy
    Ho Er Tm Yb Lu Hf Ta W Re Os Ir Pt Au Hg Tl Pb Bi Po At Rn Fr Ra Ac Th Pa U Np Pu Am Cm Bk Cf
    Es Fm Md No Lr Rf Db Sg Bh Hs Mt Ds Rg Cn Nh Fl Mc Lv Ts Og
    """.split()
)
"""Symbol of each atomic number; index 0 is the dummy ``X``."""

NUMBERS: dict[str, int] = {symbol: z for z, symbol in enumerate(SYMBOLS) if z} | {"D": 1, "T": 1}
"""Atomic number of each symbol; deuterium and tritium count as hydrogen."""

N_ELEMENTS = len(SYMBOLS)

NOBLE_GASES: tuple[str, ...] = ("He", "Ne", "Ar", "Kr", "Xe", "Rn", "Og")

_PERIOD_ENDS = (2, 10, 18, 36, 54, 86, 118)

# Pauling electronegativity by atomic number; 0 where no value is tabulated.
_ELECTRONEGATIVITY = """
    0 2.20 0 0.98 1.57 2.04 2.55 3.04 3.44 3.98 0 0.93 1.31 1.61 1.90 2.19 2.58 3.16 0 0.82 1.00
    1.36 1.54 1.63 1.66 1.55 1.83 1.88 1.91 1.90 1.65 1.81 2.01 2.18 2.55 2.96 3.00 0.82 0.95 1.22
    1.33 1.60 2.16 1.90 2.20 2.28 2.20 1.93 1.69 1.78 1.96 2.05 2.10 2.66 2.60 0.79 0.89 1.10 1.12
    1.13 1.14 1.13 1.17 1.20 1.20 1.10 1.22 1.23 1.24 1.25 1.10 1.27 1.30 1.50 2.36 1.90 2.20 2.20
    2.28 2.54 2.00 1.62 2.33 2.02 2.00 2.20 2.20 0.70 0.90 1.10 1.30 1.50 1.38 1.36 1.28 1.30 1.30
    1.30 1.30 1.30 1.30 1.30 1.30 1.30 1.30
"""


def _periods() -> NDArray[np.int8]:
    periods = np.zeros(N_ELEMENTS, dtype=np.int8)
    periods[1:] = np.searchsorted(_PERIOD_ENDS, np.arange(1, N_ELEMENTS), side="left") + 1
    return periods


def _group(z: int) -> int:
    if z in (1, 2):
        return 1 if z == 1 else 18
    period = int(PERIOD[z])
    first = _PERIOD_ENDS[period - 2] + 1
    position = z - first + 1  # 1-based place in the row
    if period <= 3:
        return position if position <= 2 else position + 10
    if period <= 5:
        return position
    # Rows of 32: the 15 elements La-Lu and Ac-Lr all sit in group 3.
    return position if position <= 2 else 3 if position <= 17 else position - 14


PERIOD: NDArray[np.int8] = _periods()
"""Period (row) of each atomic number, 1 to 7."""

GROUP: NDArray[np.int8] = np.array([0] + [_group(z) for z in range(1, N_ELEMENTS)], dtype=np.int8)
"""Group (column) of each atomic number, 1 to 18; La-Lu and Ac-Lr are group 3."""

FAMILIES = ((1, 2), (3,), (4, 5, 6, 7), (8, 9, 10, 11, 12), (13, 14), (15,), (16,), (17,))
"""Groups of the periodic table whose elements act alike."""

ELECTRONEGATIVITY: NDArray[np.float64] = np.array(
    [float(v) for v in _ELECTRONEGATIVITY.split()]
    + [0.0] * (N_ELEMENTS - len(_ELECTRONEGATIVITY.split()))
)
"""Pauling electronegativity of each atomic number; 0 where unknown."""

FORMULA_ORDER: NDArray[np.int64] = np.array(
    sorted(range(N_ELEMENTS), key=lambda z: (ELECTRONEGATIVITY[z] or 9.9, SYMBOLS[z]))
)
"""Atomic numbers in the order of a formula: least electronegative first, unknown ones last."""

_AMOUNT = r"(\d+\.?\d*|\.\d+)?"
_TOKEN = re.compile(rf"([A-Z][a-z]?){_AMOUNT}|([(\[])|([)\]]){_AMOUNT}")


def parse_formula(formula: str) -> dict[int, float]:
    """Read a chemical formula into amounts.

    Parameters
    ----------
    formula
        Such as ``"Ca(OH)2"`` or ``"Fe2O3"``.

    Returns
    -------
    dict
        Amount of each atomic number.

    Raises
    ------
    ValueError
        If the text is no formula or names an unknown element.
    """
    text = "".join(str(formula).split())
    stack: list[dict[int, float]] = [{}]
    at = 0
    while at < len(text):
        match = _TOKEN.match(text, at)
        if match is None:
            raise ValueError(f"{formula!r} is not a chemical formula (stopped at {text[at:]!r})")
        at = match.end()
        symbol, amount, opened, closed, times = match.groups()
        if opened:
            stack.append({})
        elif closed:
            if len(stack) == 1:
                raise ValueError(f"{formula!r} has an unmatched bracket")
            _add(stack[-2], stack.pop(), float(times or 1))
        elif symbol in NUMBERS:
            _add(stack[-1], {NUMBERS[symbol]: float(amount or 1)}, 1.0)
        else:
            raise ValueError(f"{formula!r} names an unknown element {symbol!r}")
    if len(stack) != 1:
        raise ValueError(f"{formula!r} has an unmatched bracket")
    amounts = {z: n for z, n in stack[0].items() if n > 0}
    if not amounts:
        raise ValueError(f"{formula!r} is not a chemical formula")
    return amounts


def _add(total: dict[int, float], part: dict[int, float], times: float) -> None:
    for z, n in part.items():
        total[z] = total.get(z, 0.0) + n * times


def formula_part(z: int, amount: int) -> str:
    """One element of a formula, such as ``"Fe2"``."""
    return SYMBOLS[z] if amount == 1 else f"{SYMBOLS[z]}{amount}"
