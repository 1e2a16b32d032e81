"""Time and error of models on the same rows, each in a process of its own.

    python benchmarks/bench_models.py --data mp2018.parquet --features features.parquet
    python benchmarks/bench_models.py ... --models lgbm xgb "lgbm?num_leaves=127&max_bin=255"
    python benchmarks/bench_models.py ... --models lgbm xgb --splits element=F space_group=225
    python benchmarks/bench_models.py ... --steps

``--data`` holds ``material_id``, ``formula`` and the target, one row each; ``--features`` holds
``material_id`` and the features. ``--splits`` names what is held out, one training each: ``random``
(a tenth, or the rows where ``--test-column`` is "test") or a group of a criterion. Rows where a
column of ``--exclude`` is true are dropped.

Processor seconds are those of all threads: unlike wall time they can be compared on a machine that
does other work too, with one thread (several wait for each other, and that counts). Peak memory is
what the process held at most, less what it had held before the fit. ``--steps`` shows what each of
the settings of ``lgbm`` is good for, beginning with LightGBM as it comes.
"""

from __future__ import annotations

import argparse
import json
import tempfile
import time
from concurrent.futures import ProcessPoolExecutor
from dataclasses import dataclass
from multiprocessing import get_context
from pathlib import Path
from typing import Any
from urllib.parse import parse_qsl

import numpy as np
import pandas as pd

from offmap.models.base import make_model

STOCK = "lightgbm:LGBMRegressor?verbosity=-1&deterministic=true&force_row_wise=true"
_CONSTANT = "lgbm?learning_rate=0.05&learning_rate_rise=1&max_depth=-1&reg_lambda=0"
STEPS = {
    "xgb": "XGBoost, the study's settings",
    STOCK: "LightGBM as it comes: 100 trees of 31 leaves",
    f"{STOCK}&n_estimators=1000&num_leaves=127&learning_rate=0.05": "1000 trees of 127 leaves",
    f"{_CONSTANT}&n_estimators=1000&num_leaves=255&max_bin=255&colsample_bytree=1": (
        "255 leaves, at least 5 materials in each"
    ),
    f"{_CONSTANT}&n_estimators=1000&num_leaves=255&max_bin=255": "a share of the features per tree",
    f"{_CONSTANT}&n_estimators=1000&num_leaves=255": "31 bins",
    f"{_CONSTANT}&n_estimators=1000&num_leaves=255&max_depth=10&reg_lambda=2": (
        "depth at most 10, reg_lambda 2"
    ),
    f"{_CONSTANT}&max_depth=10&reg_lambda=2": "size by the rule",
    "lgbm": "a rising step: `lgbm`",
    "lgbm?subsample=0.7&subsample_freq=1": "tried: 70 % of the rows per tree",
    "lgbm?data_sample_strategy=goss": "tried: gradient-based sampling (GOSS)",
    "lgbm?extra_trees=true": "tried: random thresholds (extra trees)",
    "lgbm?path_smooth=1": "tried: path smoothing",
    "lgbm?objective=huber": "tried: Huber loss",
    "lgbm?objective=l1": "tried: absolute loss",
    "lgbm?max_bin=63": "tried: 63 bins",
    "lgbm?max_bin=15": "tried: 15 bins",
}


@dataclass(frozen=True)
class Job:
    """One model on one split, whose arrays lie in a folder."""

    model: str
    threads: int
    arrays: Path


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--data", type=Path, required=True)
    parser.add_argument("--features", type=Path, required=True)
    parser.add_argument("--target", default="formation_energy_per_atom")
    parser.add_argument("--models", nargs="+", default=["xgb", "lgbm", "rf", "knn", "dummy"])
    parser.add_argument("--steps", action="store_true", help="instead: how lgbm came about")
    parser.add_argument("--rows", type=int, default=0, help="training rows (0: all)")
    parser.add_argument("--threads", type=int, default=1)
    parser.add_argument("--seed", type=int, default=0, help="of the held-out tenth and of --rows")
    parser.add_argument("--test-column", default="", help='text column; "test" is held out')
    parser.add_argument("--exclude", nargs="*", default=[], help="boolean columns")
    parser.add_argument("--splits", nargs="+", default=["random"], metavar="CRITERION=VALUE")
    parser.add_argument("--space-group", default="space_group", help="column of space groups")
    parser.add_argument("--json", type=Path, help="also write the rows here, one per line")
    given = parser.parse_args()
    frame, X, y = read(given)
    for name, test in splits(frame, given).items():
        train = np.flatnonzero(~test)
        if given.rows:
            rng = np.random.default_rng(given.seed)
            train = np.sort(rng.choice(train, min(given.rows, len(train)), replace=False))
        print(
            f"\n{name}: {len(train)} training rows, {test.sum()} test rows, {X.shape[1]} features,"
            f" {given.threads} threads\n\n{HEADER}",
            flush=True,
        )
        with tempfile.TemporaryDirectory() as folder:
            parts = (X[train], y[train], X[test], y[test])
            for part, array in zip(PARTS, parts, strict=True):
                np.save(Path(folder) / f"{part}.npy", array)
            rows: list[dict[str, Any]] = []
            for model in STEPS if given.steps else given.models:
                job = Job(model, given.threads, Path(folder))
                rows.append({"split": name, "model": model, **measured(job)})
                print(line(rows), flush=True)
                if given.json:
                    with given.json.open("a") as file:
                        file.write(json.dumps(rows[-1]) + "\n")


PARTS = ("X", "y", "X_test", "y_test")
HEADER = (
    "| model | fit, wall s | fit, processor s | times less than xgb | predict, processor s"
    " | MAE | RMSE | bias | peak MB |\n|---|---|---|---|---|---|---|---|---|"
)


def line(rows: list[dict[str, Any]]) -> str:
    """The last row in Markdown, beside xgb where that was measured."""
    row = rows[-1]
    cpu = next((r["fit_cpu"] for r in rows if r["model"] == "xgb"), np.nan)
    ratio = f"{cpu / row['fit_cpu']:.1f}" if np.isfinite(cpu) and row["fit_cpu"] > 0.05 else ""
    what = STEPS.get(row["model"], "") if row["model"] not in ("xgb", "lgbm") else ""
    name = f"{what} `{row['model']}`" if what else f"`{row['model']}`"
    if row["error"]:
        return f"| {name} | {row['error']} |" + " |" * 7
    return (
        f"| {name} | {row['fit_wall']:.1f} | {row['fit_cpu']:.1f} | {ratio}"
        f" | {row['predict_cpu']:.2f} | {row['mae']:.4f} | {row['rmse']:.4f} | {row['bias']:+.4f}"
        f" | {row['peak_mb']:.0f} |"
    )


def read(given: argparse.Namespace) -> tuple[pd.DataFrame, np.ndarray, np.ndarray]:
    """Rows with a target, their features as float32, and the target."""
    import pyarrow.parquet as pq

    wanted = {"material_id", "formula", given.target, given.test_column, given.space_group}
    names = [n for n in pq.read_schema(given.data).names if n in wanted | set(given.exclude)]
    frame = pd.read_parquet(given.data, columns=names)
    features = pd.read_parquet(given.features).set_index("material_id")
    features = features.loc[frame["material_id"]]
    keep = frame[given.target].notna().to_numpy()
    for column in given.exclude:
        keep &= ~frame[column].fillna(False).to_numpy(bool)
    X = np.ascontiguousarray(features.to_numpy(np.float32)[keep])
    frame = frame[keep].reset_index(drop=True)
    return frame, X, frame[given.target].to_numpy(np.float64)


def splits(frame: pd.DataFrame, given: argparse.Namespace) -> dict[str, np.ndarray]:
    """Test mask of each split, by name."""
    found = {}
    for text in given.splits:
        criterion, _, value = text.partition("=")
        if value:
            found[text] = held_out(frame, criterion, value, given.space_group)
        elif given.test_column:
            found[text] = (frame[given.test_column] == "test").to_numpy()
        else:
            found[text] = np.random.default_rng(given.seed).random(len(frame)) < 0.1
    return found


def held_out(frame: pd.DataFrame, criterion: str, value: str, column: str) -> np.ndarray:
    """Materials of one group of a criterion of chemistry or symmetry."""
    from offmap.tasks.splitter import LeaveOneXOut

    if criterion in ("space_group", "crystal_system"):
        number = frame[column].to_numpy()
        systems = "triclinic monoclinic orthorhombic tetragonal trigonal hexagonal cubic".split()
        system = np.searchsorted([1, 3, 16, 75, 143, 168, 195], number, side="right") - 1
        return (
            system == systems.index(value) if criterion != "space_group" else number == int(value)
        )
    formulas = frame["formula"].tolist()
    splitter = LeaveOneXOut(criterion, min_size=1)
    names = splitter.names(formulas)
    if value not in names:
        raise SystemExit(f"{criterion} has no {value!r}, only {', '.join(names)}")
    mask = np.zeros(len(frame), dtype=bool)
    mask[list(splitter.split(formulas))[names.index(value)][1]] = True
    return mask


def measured(job: Job) -> dict[str, Any]:
    """Fit and predict in a fresh process, so that memory and threads are those of this model."""
    with ProcessPoolExecutor(1, mp_context=get_context("spawn")) as pool:
        return pool.submit(fit_predict, job).result()


def fit_predict(job: Job) -> dict[str, Any]:
    name, _, text = job.model.partition("?")
    X, y, X_test, y_test = (np.load(job.arrays / f"{part}.npy") for part in PARTS)
    try:
        model = make_model(name, {k: plain(v) for k, v in parse_qsl(text)}, 0, job.threads)
        before, wall, cpu = peak_mb(), time.perf_counter(), time.process_time()
        model.fit(X, y)
        fitted_wall, fitted_cpu = time.perf_counter(), time.process_time()
        y_pred = model.predict(X_test)
    except Exception as error:  # a setting that fails is a row of the table
        what = str(error).splitlines()[0][:80]
        return {"error": f"{type(error).__name__}: {what}", "fit_cpu": 0.0}
    error = y_pred - y_test
    return {
        "error": "",
        "fit_wall": fitted_wall - wall,
        "fit_cpu": fitted_cpu - cpu,
        "predict_cpu": time.process_time() - fitted_cpu,
        "mae": float(np.abs(error).mean()),
        "rmse": float(np.sqrt((error**2).mean())),
        "bias": float(error.mean()),
        "peak_mb": peak_mb() - before,
        "n_train": len(y),
        "n_test": len(y_test),
        "threads": job.threads,
    }


def plain(text: str) -> Any:
    """A number, true or false where the text is one."""
    try:
        return json.loads(text)
    except ValueError:
        return text


def peak_mb() -> float:
    """Most memory that this process ever held; NaN where the system does not say (not Linux)."""
    try:
        status = Path("/proc/self/status").read_text()
    except OSError:
        return float("nan")
    return int(status.partition("VmHWM:")[2].split()[0]) / 1024


if __name__ == "__main__":
    main()
