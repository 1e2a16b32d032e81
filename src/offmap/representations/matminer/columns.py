"""Names of the 273 descriptors, in matminer's order and spelling."""

from __future__ import annotations

MAGPIE_PROPERTIES: tuple[str, ...] = (
    "Number",
    "MendeleevNumber",
    "AtomicWeight",
    "MeltingT",
    "Column",
    "Row",
    "CovalentRadius",
    "Electronegativity",
    "NsValence",
    "NpValence",
    "NdValence",
    "NfValence",
    "NValence",
    "NsUnfilled",
    "NpUnfilled",
    "NdUnfilled",
    "NfUnfilled",
    "NUnfilled",
    "GSvolume_pa",
    "GSbandgap",
    "GSmagmom",
    "SpaceGroupNumber",
)
"""Element properties of Ward et al., npj Comput. Mater. 2, 16028 (2016)."""

SITE_STATISTICS = ("minimum", "maximum", "range", "mean", "avg_dev")
ELEMENT_STATISTICS = ("minimum", "maximum", "range", "mean", "avg_dev", "mode")
NORMS = (0, 2, 3, 5, 7, 10)
ORBITALS = ("s", "p", "d", "f")

COORDINATION = tuple(f"{s} CN_VoronoiNN" for s in SITE_STATISTICS)
LOCAL_PROPERTY_DIFFERENCE = tuple(
    f"{s} local difference in {p}" for p in MAGPIE_PROPERTIES for s in SITE_STATISTICS
)
HETEROGENEITY = (
    "mean absolute deviation in relative bond length",
    "max relative bond length",
    "min relative bond length",
    *(f"{s} neighbor distance variation" for s in SITE_STATISTICS),
    "mean absolute deviation in relative cell size",
)
PACKING = ("max packing efficiency",)
ORDERING = tuple(f"mean ordering parameter shell {n}" for n in (1, 2, 3))

STRUCTURE = COORDINATION + LOCAL_PROPERTY_DIFFERENCE + HETEROGENEITY + PACKING + ORDERING
"""The 128 structural descriptors (Ward et al., Phys. Rev. B 96, 024104, 2017)."""

STOICHIOMETRY = tuple(f"{p}-norm" for p in NORMS)
ELEMENT_PROPERTY = tuple(
    f"MagpieData {s} {p}" for p in MAGPIE_PROPERTIES for s in ELEMENT_STATISTICS
)
VALENCE_ORBITAL = tuple(f"frac {o} valence electrons" for o in ORBITALS)
ION_PROPERTY = ("compound possible", "max ionic char", "avg ionic char")

COMPOSITION = STOICHIOMETRY + ELEMENT_PROPERTY + VALENCE_ORBITAL + ION_PROPERTY
"""The 145 compositional descriptors (Ward et al., npj Comput. Mater. 2, 16028, 2016)."""
