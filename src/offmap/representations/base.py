"""What every representation returns, and what it must offer."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Protocol

import numpy as np
from numpy.typing import NDArray

if TYPE_CHECKING:
    from offmap.crystals import Crystals

NO_STRUCTURE = "it has no structure (lattice or positions are missing)"
NO_ATOMS = "it has no atoms"


@dataclass(frozen=True, eq=False)
class Features:
    """Numbers that describe crystals, one row each.

    Parameters
    ----------
    values
        Shape (n_crystals, n_columns), float64; a row of NaN where a crystal could not be described.
    columns
        Name of each column.
    reasons
        Row -> why it could not be described, in words.
    """

    values: NDArray[np.float64]
    columns: tuple[str, ...]
    reasons: dict[int, str] = field(default_factory=dict)


class Representation(Protocol):
    """Crystals -> features. ``version`` changes whenever a value does, so that caches notice."""

    name: str
    version: int
    columns: tuple[str, ...]
    needs_structure: bool
    blocks: dict[str, tuple[str, ...]]
    """Named groups of columns, such as ``structure`` and ``composition``."""

    def featurize(self, crystals: Crystals) -> Features:
        """Describe a batch of crystals in this process, on one core."""
        ...
