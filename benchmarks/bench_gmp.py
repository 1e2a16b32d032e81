"""Gaussian multipoles: atoms per second on one core.

    python benchmarks/bench_gmp.py mp2018.parquet --n 300
    python benchmarks/bench_gmp.py prototypes

Processor seconds of this process, after the first crystal has been described (and everything
compiled). ``--tolerance`` is what terms must reach to count; the largest difference to 1e-12 is
shown, relative to the largest value of each feature.
"""

from __future__ import annotations

import argparse
import time

import numpy as np

from offmap.datasets import load
from offmap.representations.gmp import atom_features


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("data", help="name or path of a dataset")
    parser.add_argument("--n", type=int, default=300, help="random crystals")
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--tolerance", type=float, default=1e-8)
    given = parser.parse_args()
    crystals = load(given.data).crystals
    rows = np.random.default_rng(given.seed).choice(len(crystals), given.n, replace=False)
    crystals = crystals.take(np.sort(rows))
    atom_features(crystals.take(np.arange(1)))
    begun = time.process_time()
    values, reasons = atom_features(crystals, tolerance=given.tolerance)
    seconds = time.process_time() - begun
    few = crystals.take(np.arange(min(given.n, 20)))
    exact, _ = atom_features(few, tolerance=1e-12)
    error = np.abs(values[: len(exact)] - exact).max(axis=0) / np.abs(exact).max(axis=0)
    print("| crystals | atoms | processor s | atoms per s | not described | largest error |")
    print("|---|---|---|---|---|---|")
    print(
        f"| {given.n} | {len(values)} | {seconds:.2f} | {len(values) / seconds:.0f}"
        f" | {len(reasons)} | {np.nanmax(error):.1e} |"
    )


if __name__ == "__main__":
    main()
