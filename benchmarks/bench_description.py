"""Seconds of processor time that Robocrystallographer takes for a crystal, and how often it fails.

``python benchmarks/bench_description.py FILE --n 30``
"""

from __future__ import annotations

import argparse
import time
from collections import Counter

import numpy as np

from offmap import datasets
from offmap.representations.text import robocrys


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("data", help="dataset, as for offmap run")
    parser.add_argument("--n", type=int, default=30)
    parser.add_argument("--seed", type=int, default=0)
    asked = parser.parse_args()
    crystals = datasets.load(asked.data, target=None).crystals
    rows = np.random.default_rng(asked.seed).permutation(len(crystals))[: asked.n]
    begun = time.process_time()
    robocrys.start()
    print(f"to make a process ready: {time.process_time() - begun:.1f} s", flush=True)
    seconds, sites, words, reasons = [], [], [], Counter[str]()
    for row in np.sort(rows):
        crystal = crystals.crystal(int(row))
        begun = time.process_time()
        try:
            words.append(len(robocrys.describe(crystal).split()))
        except Exception as error:
            reasons[f"{type(error).__name__}: {error}"] += 1
        seconds.append(time.process_time() - begun)
        sites.append(len(crystal.numbers))
        n, mean = len(seconds), np.mean(seconds)
        low, middle, high = np.percentile(seconds, [0, 50, 100])
        print(
            f"{n} crystals of {np.mean(sites):.1f} sites: {mean:.2f} s each"
            f" ({low:.2f} to {high:.2f}, median {middle:.2f}), {sum(reasons.values())} failed,"
            f" {np.mean(words or [0]):.0f} words",
            flush=True,
        )
    for reason, count in reasons.items():
        print(f"{count} x {reason}")


if __name__ == "__main__":
    main()
