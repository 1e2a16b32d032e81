"""What the further checks find in real data with known flaws, and planted drifts of references.

``python benchmarks/bench_checks.py mp2018.parquet`` needs a table of crystals with formation
energies and a boolean column ``suspect`` (labels that differ between sources by more than 0.1
eV/atom, or more than 100 cubic angstrom per atom). Drifts are planted in one half of the materials
and looked for by comparison with the other half, which shares compositions but no material.
"""

from __future__ import annotations

import argparse
import time
from dataclasses import replace

import numpy as np
import pandas as pd

from offmap.columns import MATERIAL_ID
from offmap.datasets import load
from offmap.datasets.base import Dataset
from offmap.datasets.checks import BLOWN_UP, check, reference_drift
from offmap.elements import NUMBERS

PLANTED = {"O": 0.3, "F": -0.2, "Fe": 0.15, "N": 0.1}
"""Shifts of the label per fraction of an element, eV/atom."""


def against_suspects(data: Dataset, tables: dict[str, pd.DataFrame]) -> pd.DataFrame:
    """Materials that each check flags, how many of them are suspect, and of how many suspects."""
    suspect = data.frame[MATERIAL_ID][data.frame["suspect"].to_numpy(bool)]
    per_atom = data.crystals.volume / data.crystals.n_sites
    large = set(data.frame[MATERIAL_ID][per_atom > BLOWN_UP])
    kinds = {"blown_up": suspect[suspect.isin(large)], "near_twins": suspect}
    kinds["conflicting_labels"] = suspect[~suspect.isin(large)]
    rows = []
    for name, wanted in kinds.items():
        flagged = set(tables[name][MATERIAL_ID])
        rows.append((name, len(flagged), len(flagged & set(suspect)), len(wanted)))
    return pd.DataFrame(rows, columns=["check", "flagged", "of them suspect", "suspects in all"])


def planted_drift(data: Dataset, seed: int) -> pd.DataFrame:
    """Planted and found drifts; the largest one found where nothing was planted."""
    target = data.target()
    rng = np.random.default_rng(seed)
    half = rng.permutation(len(data)) < len(data) // 2
    counts = data.crystals.counts
    fractions = counts / counts.sum(axis=1, keepdims=True)
    shift = sum(by * fractions[:, NUMBERS[symbol]] for symbol, by in PLANTED.items())
    one, other = data.take(half), data.take(~half)
    shifted = replace(one, frame=one.frame.assign(**{target: one.frame[target] + shift[half]}))
    found = reference_drift(shifted, other).set_index("element")
    found = found[found["n_formulas"] >= 50]
    rows = [(e, by, found["drift"][e], found["standard_error"][e]) for e, by in PLANTED.items()]
    rest = found.drop(index=list(PLANTED))["drift"].abs()
    rows.append((f"worst of {len(rest)} others ({rest.idxmax()})", 0.0, rest.max(), np.nan))
    rows.append(("median of the others", 0.0, rest.median(), np.nan))
    return pd.DataFrame(rows, columns=["element", "planted", "found", "standard error"])


def main() -> None:
    """Print both tables."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("dataset")
    parser.add_argument("--seed", type=int, default=0)
    options = parser.parse_args()
    data = load(options.dataset)
    begun = time.perf_counter(), time.process_time()
    tables = check(data)
    wall, cpu = time.perf_counter() - begun[0], time.process_time() - begun[1]
    print(f"{len(data)} materials checked in {wall:.0f} s ({cpu:.0f} s of CPU)")
    print(against_suspects(data, tables).to_string(index=False))
    print(planted_drift(data, options.seed).to_string(index=False, float_format="%.3f"))


if __name__ == "__main__":
    main()
