"""One crystal in the words of Robocrystallographer; runs in worker processes of its own.

Ganose and Jain, MRS Commun. 9, 874 (2019), doi 10.1557/mrc.2019.94. Settings are its defaults;
oxidation states are not guessed, and molecules are not looked up on the internet.
"""

from __future__ import annotations

import re
import warnings
from functools import partial
from typing import Any

from offmap.crystals import Crystal, Crystals

_NUMPY_NUMBER = re.compile(r"np\.\w+\(([^()]*)\)")

_TOOLS: dict[str, Any] = {}  # once per process


def start() -> None:
    """Import what takes long and make this process ready."""
    warnings.simplefilter("ignore")
    from matminer.featurizers.site import fingerprint
    from pymatgen.core import local_env
    from robocrys import StructureCondenser, StructureDescriber
    from robocrys.condense import condenser, molecule

    # matminer 0.10 opens this table beside pymatgen.analysis.local_env; pymatgen 2026 has moved it.
    fingerprint.load_cn_motif_op_params = lambda: local_env.CN_OPT_PARAMS
    condenser.MoleculeNamer = partial(molecule.MoleculeNamer, use_online_pubchem=False)
    _TOOLS["condense"] = StructureCondenser().condense_structure
    _TOOLS["describe"] = StructureDescriber().describe


def describe(crystal: Crystal) -> str:
    """The description of one crystal."""
    structure = Crystals.from_list([crystal]).to_pymatgen()[0]
    return tidy(_TOOLS["describe"](_TOOLS["condense"](structure)))


def tidy(text: str) -> str:
    """Numbers as numbers, single spaces.

    Examples
    --------
    >>> tidy("sheets in the (np.int64(0), np.int64(1), np.int64(0))  direction")
    'sheets in the (0, 1, 0) direction'
    """
    return " ".join(_NUMPY_NUMBER.sub(r"\1", text).split())
