"""Small files in exactly the forms in which databases publish theirs, made from any crystals."""

from __future__ import annotations

import gzip
import io
import json
import zipfile

import numpy as np

from offmap.crystals import Crystals
from offmap.elements import SYMBOLS


def jarvis_atoms(crystal) -> dict:
    """A JARVIS ``Atoms`` object as it is published."""
    lengths = np.linalg.norm(crystal.lattice, axis=1)
    a, b, c = crystal.lattice / lengths[:, None]
    angles = np.degrees(np.arccos(np.clip([b @ c, a @ c, a @ b], -1, 1)))
    return {
        "lattice_mat": crystal.lattice.tolist(),
        "coords": crystal.frac_coords.tolist(),
        "elements": [SYMBOLS[z] for z in crystal.numbers],
        "abc": lengths.tolist(),
        "angles": angles.tolist(),
        "cartesian": False,
        "props": [""] * len(crystal.numbers),
    }


def zipped(name: str, data: bytes) -> bytes:
    """A zip archive of one member."""
    buffer = io.BytesIO()
    with zipfile.ZipFile(buffer, "w", zipfile.ZIP_DEFLATED) as archive:
        archive.writestr(name, data)
    return buffer.getvalue()


def jarvis_zip(crystals: Crystals, energies, name: str = "jdft_3d-12-12-2022.json") -> bytes:
    """A zip of one JSON list of dicts, missing values as ``"na"``."""
    rows = [
        {
            "jid": c.material_id,
            "spg_number": 225,
            "formula": "whatever",
            "formation_energy_peratom": float(e),
            "optb88vdw_bandgap": 0.0 if i % 3 else "na",
            "mbj_bandgap": "na",
            "elastic_tensor": [[1.0] * 6] * 6,
            "atoms": jarvis_atoms(c),
        }
        for i, (c, e) in enumerate(zip(crystals, energies, strict=True))
    ]
    return zipped(name, json.dumps(rows).encode())


def oqmd_zip(crystals: Crystals, energies) -> bytes:
    """As JARVIS publishes OQMD: symbols with a trailing space, one site with two elements."""
    rows = []
    for i, (c, e) in enumerate(zip(crystals, energies, strict=True)):
        atoms = jarvis_atoms(c)
        atoms["elements"] = [f"{s} " for s in atoms["elements"]]
        rows.append(
            {
                "_oqmd_entry_id": 1000 + i,
                "_oqmd_delta_e": float(e),
                "_oqmd_band_gap": 0.0,
                "_oqmd_stability": -0.1,
                "atoms": atoms,
            }
        )
    rows[0]["atoms"]["elements"][0] = "(Cs,Os) "
    return zipped("all_oqmd.json", json.dumps(rows).encode())


def matbench_gz(crystals: Crystals, energies, column: str = "e_form") -> bytes:
    """A pandas table in split orientation with pymatgen dicts, gzipped."""
    structures = [s.as_dict() for s in crystals.to_pymatgen()]
    table = {
        "index": list(range(len(structures))),
        "columns": ["structure", column],
        "data": [[s, float(e)] for s, e in zip(structures, energies, strict=True)],
    }
    return gzip.compress(json.dumps(table).encode())


def study_pickle(crystals: Crystals, energies) -> bytes:
    """A pickled pandas table: structures, labels, then 273 columns of features."""
    import pandas as pd

    ids = [f"mp-{i}" for i in range(len(crystals))]
    table = pd.DataFrame(
        {
            "formula": crystals.formula,
            "structure": crystals.to_pymatgen(),
            "e_form": np.asarray(energies, float),
            "bandgap": 0.0,
        },
        index=pd.Index(ids, name="material_id"),
    )
    features = pd.DataFrame(
        np.zeros((len(ids), 273)), index=ids, columns=[f"feature {i}" for i in range(273)]
    )
    buffer = io.BytesIO()
    pd.concat([table, features], axis=1).to_pickle(buffer)
    return buffer.getvalue()


def optimade_page(crystals: Crystals, energies, following: str | None, total: int) -> bytes:
    """One page of an OPTIMADE provider."""
    data = [
        {
            "id": c.material_id,
            "type": "structures",
            "attributes": {
                "lattice_vectors": c.lattice.tolist(),
                "cartesian_site_positions": (c.frac_coords @ c.lattice).tolist(),
                "species_at_sites": [SYMBOLS[z] for z in c.numbers],
                "species": [
                    {"name": SYMBOLS[z], "chemical_symbols": [SYMBOLS[z]], "concentration": [1.0]}
                    for z in np.unique(c.numbers)
                ],
                "chemical_formula_reduced": "X",
                "_oqmd_delta_e": float(e),
                "_oqmd_band_gap": None,
            },
        }
        for c, e in zip(crystals, energies, strict=True)
    ]
    links = {"next": {"href": following} if following else None}
    return json.dumps({"data": data, "links": links, "meta": {"data_returned": total}}).encode()
