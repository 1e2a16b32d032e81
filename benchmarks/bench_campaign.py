"""What a full campaign costs, on paper: 700 tasks, models of the study, up to a million crystals.

    python benchmarks/bench_campaign.py mp2018.parquet --target formation_energy_per_atom

Trees: the processor seconds of one fit in docs/models.md, carried on with the number of rows.
Networks: the seconds of further epochs on a few crystals are measured here, on one core, and
multiplied by epochs and crystals; what is done once per crystal (graphs, multipoles) is not in it.
"""

from __future__ import annotations

import argparse
import time

import numpy as np
import pandas as pd

from offmap.datasets import load
from offmap.models.base import make_model

TASKS = 700
TRAINED = 0.93  # of the crystals, in a mean task
SIZES = (50_000, 100_000, 1_000_000)
STUDY = (75_000, 150_000, 1_000_000)  # crystals of its three datasets
MEASURED_ROWS = 45_643
TREES = {"lgbm": 10.5, "xgb": 131.5, "rf": 184.3}
CRYSTALS = {"gmp": 256, "alignn": 24}


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("dataset")
    parser.add_argument("--target", default="")
    parser.add_argument("--networks", nargs="*", default=list(CRYSTALS), choices=list(CRYSTALS))
    given = parser.parse_args()
    rows = {model: [hours(model, n) for n in (*SIZES, *STUDY)] for model in TREES}
    for model in given.networks:
        seconds, epochs = per_crystal(model, given.dataset, given.target)
        print(f"{model}: {1e3 * seconds:.2f} ms per crystal and epoch, {epochs} epochs", flush=True)
        each = TASKS * TRAINED * seconds * epochs / 3600
        rows[model] = [n * each for n in (*SIZES, *STUDY)]
    table = pd.DataFrame.from_dict(rows, orient="index")
    shown = table.iloc[:, : len(SIZES)].set_axis([f"{n:,}" for n in SIZES], axis=1)
    shown["the study"] = table.iloc[:, len(SIZES) :].sum(axis=1)
    print("core-hours for", TASKS, "tasks on so many crystals")
    print(shown.round(1).to_string())


def hours(model: str, n: int) -> float:
    """Core-hours of trees: rows, times log rows for a forest, times rows^(1/3) trees for lgbm."""
    rows = TRAINED * n
    growth = rows / MEASURED_ROWS
    if model == "rf":
        growth *= np.log(rows) / np.log(MEASURED_ROWS)
    if model == "lgbm":
        growth *= min(19 * rows ** (1 / 3), 2000) / (19 * MEASURED_ROWS ** (1 / 3))
    return float(TASKS * TREES[model] * growth / 3600)


def per_crystal(model: str, dataset: str, target: str) -> tuple[float, int]:
    """Processor seconds per crystal and epoch, and epochs of the recipe."""
    import torch

    torch.set_num_threads(1)
    data = load(dataset, target, limit=CRYSTALS[model])
    y = data.frame[data.target(target)].to_numpy(float)
    taken = []
    for epochs in (1, 1, 4):  # the first time, graphs and multipoles are made
        network = make_model(model, {}, 0, 1).set_params(epochs=epochs)
        begun = time.process_time()
        network.fit(data.crystals, y)
        taken.append(time.process_time() - begun)
    epochs = make_model(model, {}, 0, 1).make_recipe().epochs
    return (taken[2] - taken[1]) / 3 / len(data), int(epochs)


if __name__ == "__main__":
    main()
