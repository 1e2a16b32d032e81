"""Peak memory of each stage of a study, measured at some sizes and carried on to larger ones.

    python benchmarks/bench_memory.py mp2018.parquet --target formation_energy_per_atom

Each stage runs in a process of its own, so its peak is its own. The line through the measured
sizes gives what 50,000, 100,000 and 1,000,000 crystals need; ``offmap.memory`` warns by the same
kind of line. Features come from the cache where they were computed before.
"""

from __future__ import annotations

import argparse
import resource
from concurrent.futures import ProcessPoolExecutor
from multiprocessing import get_context
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import numpy as np
import pandas as pd

from offmap import Study
from offmap.datasets import load
from offmap.evaluate import cells
from offmap.inputs import Inputs, prepare
from offmap.stages import create, score
from offmap.store import Cell, Store
from offmap.worker import Work, fit_cell

STAGES = ("imports", "read", "describe, symmetry, tasks", "train one model", "score")


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("dataset")
    parser.add_argument("--target", default="")
    parser.add_argument("--sizes", type=int, nargs="+", default=[5_000, 20_000])
    parser.add_argument("--trees", type=int, default=20, help="more take longer, not more memory")
    given = parser.parse_args()
    rows = []
    for n in given.sizes:
        study = Study(
            dataset=given.dataset,
            target=given.target,
            limit=n,
            criteria=("crystal_system",),
            model_settings={"lgbm": {"n_estimators": given.trees}},
            n_bootstrap=100,
        )
        for stage in STAGES:
            rows.append({"stage": stage, "n": n, "GiB": peak(stage, study)})
            print(rows[-1], flush=True)
    table = pd.DataFrame(rows).pivot(index="stage", columns="n", values="GiB").loc[list(STAGES)]
    low, high = min(given.sizes), max(given.sizes)
    per_crystal = (table[high] - table[low]) / (high - low)
    for n in (50_000, 100_000, 1_000_000):
        table[f"{n:,} (line)"] = table[high] + per_crystal * (n - high)
    table["KiB per crystal"] = per_crystal * 2**20
    print(table.round(2).to_string())


def peak(stage: str, study: Study) -> float:
    """Largest resident memory of one stage in a process of its own, GiB."""
    with ProcessPoolExecutor(1, get_context("spawn")) as pool:
        return pool.submit(run, stage, study).result()


def run(stage: str, study: Study) -> float:
    """Run one stage here. What it starts from is made by a process before it."""
    if stage == "read":
        load(study.dataset, study.target or None)
    elif stage.startswith("describe"):
        prepare(study)
    elif stage == "train one model":
        train(prepare(study))
    elif stage == "score":
        with TemporaryDirectory() as folder:
            score(predicted(study, Path(folder) / "study"))
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 2**20


def train(inputs: Inputs) -> None:
    """Fit the first fold as a worker does, without the arrays of the parent."""
    names = (inputs.membership.criterion, inputs.membership.held_out)
    arrays: dict[str, Any] = {
        "y": inputs.y,
        "material_id": inputs.material_id.astype(str),
        "test": np.ascontiguousarray(inputs.membership.matrix.T),
        "features-matminer": inputs.features["matminer"].values.astype(np.float32),
    }
    work = Work(arrays, Path(), *names, dict(inputs.study.model_settings), 1)
    n_train = int((~inputs.membership.matrix[:, 0]).sum())
    fitted = fit_cell(
        work,
        Cell(
            inputs.dataset.name, inputs.target, "matminer", "lgbm",
            str(names[0][0]), str(names[1][0]), 0, n_train,
        ),
    )  # fmt: skip
    assert fitted.frame is not None, fitted.message


def predicted(study: Study, folder: Path) -> Store:
    """A study whose cells are all done, with predictions made up: their number is what counts."""
    inputs = prepare(
        study.replace(models=("dummy",), model_settings={}, representations=("magpie",))
    )
    store = create(folder, inputs)
    rng = np.random.default_rng(0)
    tests = dict(zip(zip(inputs.membership.criterion, inputs.membership.held_out, strict=True),
                     inputs.membership.matrix.T, strict=True))  # fmt: skip
    for cell in cells(store):
        rows = np.flatnonzero(tests[cell.criterion, cell.held_out])
        y = inputs.y[rows]
        frame = pd.DataFrame({"material_id": inputs.material_id[rows], "y_true": y})
        store.save_predictions(cell, frame.assign(y_pred=y + rng.normal(size=len(y))), {})
    return store


if __name__ == "__main__":
    main()
