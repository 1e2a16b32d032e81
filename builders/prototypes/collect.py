"""Turn finished shards into the dataset: labels, filters, duplicates, rounding, card."""

from __future__ import annotations

from collections import Counter
from math import gcd
from pathlib import Path

import numpy as np
import pyarrow as pa
from ase.data import chemical_symbols
from card import make_card
from decorate import load_elements
from prototypes import Crystal, load_prototypes, smallest_distance, space_group
from shards import read_json, read_shards, write_json, write_parquet

MAX_ENERGY = 5.0  # eV/atom, absolute formation energy
MIN_DISTANCE = 0.6  # angstrom
MAX_VOLUME = 120.0  # angstrom**3/atom
SAME_ENERGY = 0.001  # eV/atom
SAME_VOLUME = 0.01  # relative

SCHEMA = pa.schema(
    [
        ("material_id", pa.string()),
        ("formula", pa.string()),
        ("formation_energy_per_atom", pa.float64()),
        ("volume_per_atom", pa.float64()),
        ("prototype", pa.string()),
        ("dimensionality", pa.int8()),
        ("lattice", pa.list_(pa.float64())),
        ("numbers", pa.list_(pa.uint8())),
        ("frac_coords", pa.list_(pa.float32())),
    ]
)


def collect(work: Path, out: Path) -> dict:
    """Write ``prototypes.parquet`` and its card ``prototypes.json``; return the card."""
    references = read_json(work / "references.json")
    rows = read_shards(work)
    kept, dropped = [], Counter()
    for row in rows:
        entry, reason = label(row, references["energies"])
        if reason:
            dropped[reason] += 1
        else:
            kept.append(entry)
    kept, n_duplicates = without_duplicates(kept)
    dropped["duplicate"] = n_duplicates
    out.mkdir(parents=True, exist_ok=True)
    columns = [{name: entry[name] for name in SCHEMA.names} for entry in kept]
    table = pa.Table.from_pylist(columns, schema=SCHEMA)
    write_parquet(out / "prototypes.parquet", table, **parquet_options())
    n_candidates = len(read_json(work / "candidates.json"))
    card = make_card(kept, dropped, len(rows), n_candidates, references)
    write_json(out / "prototypes.json", card)
    return card


def parquet_options() -> dict:
    """Return the write options that make the file small."""
    numeric = ["formation_energy_per_atom", "volume_per_atom", "lattice.list.element"]
    return {
        "compression": "zstd",
        "compression_level": 19,
        "use_dictionary": ["prototype", "numbers.list.element", "frac_coords.list.element"],
        "column_encoding": dict.fromkeys(numeric, "BYTE_STREAM_SPLIT"),
        "row_group_size": 100_000,
    }


def label(row: dict, energies: dict[str, float]) -> tuple[dict | None, str]:
    """Return the dataset entry of a relaxed crystal, or why it is dropped."""
    if row["reason"]:
        return None, row["reason"]
    crystal = rounded(
        Crystal(
            np.array(row["lattice"]).reshape(3, 3),
            np.array(row["numbers"]),
            np.array(row["frac_coords"]).reshape(-1, 3),
        )
    )
    volume = crystal.volume / len(crystal.numbers)
    reference = np.mean([energies[chemical_symbols[n]] for n in crystal.numbers])
    formation = row["energy"] - float(reference)
    if volume > MAX_VOLUME:
        return None, "volume above 120 A^3/atom"
    if smallest_distance(crystal) < MIN_DISTANCE:
        return None, "atoms closer than 0.6 A"
    if abs(formation) > MAX_ENERGY:
        return None, "|formation energy| above 5 eV/atom"
    return _entry(row, crystal, formation, volume), ""


def _entry(row: dict, crystal: Crystal, formation: float, volume: float) -> dict:
    return {
        "material_id": f"proto-{row['index'] + 1:05d}",
        "formula": reduced_formula(crystal.numbers),
        "formation_energy_per_atom": round(formation, 5),
        "volume_per_atom": round(volume, 4),
        "prototype": row["prototype"],
        "dimensionality": load_prototypes()[row["prototype"]].dims,
        "lattice": crystal.lattice.ravel().tolist(),
        "numbers": crystal.numbers.tolist(),
        "frac_coords": crystal.frac_coords.astype(np.float32).ravel().tolist(),
        "space_group": space_group(crystal, symprec=0.01),
        "evaluations": row["evaluations"],
    }


def rounded(crystal: Crystal) -> Crystal:
    """Turn the cell so that a is along x and b in the xy plane; round to 1e-5 A and 1e-6."""
    r = np.linalg.qr(crystal.lattice.T, mode="r")
    lattice = (r * np.sign(np.diag(r))[:, None]).T
    frac = np.round(crystal.frac_coords, 6) % 1.0
    return Crystal(np.round(lattice, 5) + 0.0, crystal.numbers, frac)


def reduced_formula(numbers) -> str:
    """Return the reduced formula, elements in order of electronegativity."""
    table = load_elements()
    counts = Counter(chemical_symbols[n] for n in numbers)
    divisor = gcd(*counts.values())
    ordered = sorted(counts, key=lambda e: (table[e]["x"], e))
    amounts = [(e, counts[e] // divisor) for e in ordered]
    return "".join(e + (str(n) if n > 1 else "") for e, n in amounts)


def without_duplicates(entries: list[dict]) -> tuple[list[dict], int]:
    """Keep one of the crystals with equal formula and space group, energy and volume.

    Energies within 1 meV/atom and volumes within 1 % count as equal; the first is kept.
    """
    groups: dict[tuple, list[dict]] = {}
    for entry in entries:
        same = groups.setdefault((entry["formula"], entry["space_group"]), [])
        if not any(_equal(entry, other) for other in same):
            same.append(entry)
    kept = [entry for same in groups.values() for entry in same]
    return sorted(kept, key=lambda e: e["material_id"]), len(entries) - len(kept)


def _equal(one: dict, other: dict) -> bool:
    energy = abs(one["formation_energy_per_atom"] - other["formation_energy_per_atom"])
    volume = abs(one["volume_per_atom"] / other["volume_per_atom"] - 1)
    return energy < SAME_ENERGY and volume < SAME_VOLUME
