"""The 273 Matminer descriptors: 128 of the structure, then 145 of the composition.

Same columns, order and names as the featurizers of matminer 0.10 (L. Ward et al., Comput. Mater.
Sci. 152, 60, 2018), computed for whole batches of columnar crystals.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from offmap.representations.base import NO_ATOMS, NO_STRUCTURE, Features
from offmap.representations.matminer import columns as names

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

    from offmap.crystals import Crystals

UNKNOWN_ELEMENT = "it has an atom that is no element (atomic number 0 or above 118)"
FAILURES = {
    1: "two of its atoms overlap (closer than 0.01 angstrom)",
    2: "a Voronoi cell has too many faces",
    3: "its cell has no volume",
    4: "its Voronoi cells do not fill it",
}


class Magpie:
    """The 145 compositional descriptors alone: for tables of formulas, no structure needed."""

    name = "magpie"
    version = 1
    needs_structure = False
    columns: tuple[str, ...] = names.COMPOSITION
    blocks: dict[str, tuple[str, ...]] = {"composition": names.COMPOSITION}

    def featurize(self, crystals: Crystals) -> Features:
        """Describe the composition of each crystal; see :class:`Features`."""
        reasons = _bad_atoms(crystals)
        return Features(_composition(crystals, reasons), self.columns, reasons)


class Matminer:
    """The 273 descriptors of structure and composition."""

    name = "matminer"
    version = 1
    needs_structure = True
    columns: tuple[str, ...] = names.STRUCTURE + names.COMPOSITION
    blocks: dict[str, tuple[str, ...]] = {
        "structure": names.STRUCTURE,
        "composition": names.COMPOSITION,
        "local_property_difference": names.LOCAL_PROPERTY_DIFFERENCE,
    }

    def featurize(self, crystals: Crystals) -> Features:
        """Describe each crystal; see :class:`Features`."""
        import numpy as np

        from offmap.representations.matminer.structure import describe
        from offmap.representations.matminer.tables import element_table

        reasons = _bad_atoms(crystals) | _bad_structure(crystals)
        good = _all_but(len(crystals), reasons)
        kept = crystals if good.all() else crystals.take(good)
        structure, statuses = describe(
            _array(kept.lattice, np.float64),
            _array(kept.numbers, np.uint8),
            _array(kept.frac_coords, np.float64),
            _array(kept.offsets, np.int64),
            element_table().magpie,
        )
        rows = np.flatnonzero(good)
        reasons |= {int(rows[k]): FAILURES[int(statuses[k])] for k in np.flatnonzero(statuses)}
        values = np.full((len(crystals), len(self.columns)), np.nan)
        values[rows, : len(names.STRUCTURE)] = structure
        values[:, len(names.STRUCTURE) :] = _composition(crystals, reasons)
        return Features(values, self.columns, dict(sorted(reasons.items())))


def _array(values: NDArray[Any], dtype: Any) -> NDArray[Any]:
    """One type and layout, whatever comes in: each other one would be compiled anew."""
    import numpy as np

    return np.require(values, dtype, ["C", "W"])


def _bad_atoms(crystals: Crystals) -> dict[int, str]:
    import numpy as np

    rows = np.repeat(np.arange(len(crystals)), crystals.n_sites)
    unknown = np.unique(rows[(crystals.numbers == 0) | (crystals.numbers > 118)])
    reasons = {int(row): UNKNOWN_ELEMENT for row in unknown}
    return reasons | {int(row): NO_ATOMS for row in np.flatnonzero(crystals.n_sites == 0)}


def _bad_structure(crystals: Crystals) -> dict[int, str]:
    import numpy as np

    return {int(row): NO_STRUCTURE for row in np.flatnonzero(~crystals.structure_known)}


def _all_but(n: int, rows: dict[int, str]) -> NDArray[np.bool_]:
    import numpy as np

    good: NDArray[np.bool_] = ~np.isin(np.arange(n), list(rows))
    return good


def _composition(crystals: Crystals, reasons: dict[int, str]) -> NDArray[np.float64]:
    import numpy as np

    from offmap.representations.matminer.composition import composition_descriptors
    from offmap.representations.matminer.tables import element_table

    good = _all_but(len(crystals), reasons)
    values = np.full((len(crystals), len(names.COMPOSITION)), np.nan)
    if good.any():
        counts = crystals.counts if good.all() else crystals.take(good).counts
        values[good] = composition_descriptors(counts, element_table())
    return values
