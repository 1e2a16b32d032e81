"""What an audit without a study knows: verdicts and expected errors from the training set alone.

``python benchmarks/bench_rehearsal.py STUDY [--tasks element/F,element/O] [--jobs 2]``

Each task of a finished study is audited as a split, without the study: ``offmap audit --train A
--test B``, with and without rehearsal. Beside it stand the errors that the study's own model made
without the task. Printed per task and over tasks: share out of domain, area under the ROC curve for
errors above the in-distribution 95th percentile, expected error and what the intervals of the small
trees held, and processor seconds.
"""

from __future__ import annotations

import argparse
import time
from pathlib import Path

import numpy as np
import pandas as pd

import offmap
from offmap.columns import MATERIAL_ID
from offmap.domain.finished import reopen
from offmap.domain.from_study import materials_of, numbers_of, predictions
from offmap.domain.head_to_head import rank_correlation
from offmap.domain.two_sample import area
from offmap.inputs import Inputs
from offmap.store import Store

TASKS = "F,O,H,N,Nb,Cl,Si,Ge,Al,Pt,Li,Tl,Eu,Ti,Cu,Ho,Sr,Se,Rb,V,P,Pd"
MOST = 1500


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("study", type=Path)
    parser.add_argument("--tasks", default=",".join(f"element/{z}" for z in TASKS.split(",")))
    parser.add_argument("--jobs", type=int, default=2)
    given = parser.parse_args()
    store = Store.open(given.study)
    inputs = reopen(store)
    name = next(iter(inputs.features))
    materials, tasks = materials_of(inputs, name)
    model = predictions(store, inputs, name, tasks)[0]
    usual = np.abs(model.in_distribution - materials.y)
    large = float(np.nanquantile(usual, 0.95))
    rows = []
    for task in numbers_of(tasks, given.tasks.split(",")):
        error = np.abs(model.y_pred[task] - materials.y[materials.test[:, task]])
        held_out = str(tasks["held_out"][task])
        row = {"held_out": held_out} | look(
            inputs, name, materials.test[:, task], error, large, given.jobs
        )
        rows.append(row)
        print({k: round(v, 3) if isinstance(v, float) else v for k, v in row.items()}, flush=True)
    table = pd.DataFrame(rows).set_index("held_out")
    print(table.round(3).to_string())
    print(table.mean(numeric_only=True).round(3).to_string())
    for column in ("out", "out_rehearsed", "expected"):
        rank = rank_correlation(table[column].to_numpy(), table["mae"].to_numpy())
        print(f"{column}, MAE: {rank:.2f}")


def look(
    inputs: Inputs, name: str, test: np.ndarray, error: np.ndarray, large: float, jobs: int
) -> dict[str, float]:
    """One split, audited twice."""
    some = np.sort(np.random.default_rng(0).permutation(len(error))[:MOST])
    asked, error = np.flatnonzero(test)[some], error[some]
    train, ids = inputs.dataset.take(np.flatnonzero(~test)), inputs.material_id[asked]
    row: dict[str, float] = {"mae": float(error.mean())}
    for ending, rehearse in (("", False), ("_rehearsed", True)):
        started = time.process_time()
        found = offmap.audit(
            train, inputs.dataset.take(asked), target=inputs.target, representation=name,
            rehearse=rehearse, jobs=jobs,
        )  # fmt: skip
        row[f"seconds{ending}"] = time.process_time() - started
        materials = found.materials.set_index(MATERIAL_ID).loc[list(ids)]
        row[f"out{ending}"] = 1 - found.coverage
        row[f"auroc{ending}"] = area(materials["combined"].to_numpy(float), error > large)
    half = ((materials["interval_high"] - materials["interval_low"]) / 2).to_numpy(float)
    own, known = np.abs(materials["error"].to_numpy(float)), np.isfinite(half)
    row |= {
        "expected": float(materials["expected_error"].mean()),
        "of_trees": float(own.mean()),
        "in_distribution": float(found.numbers["expected_error_in_distribution"]),
        "no_interval": float((~known).mean()),
        "held": float((own[known] <= half[known]).mean()) if known.any() else np.nan,
    }
    return row


if __name__ == "__main__":
    main()
