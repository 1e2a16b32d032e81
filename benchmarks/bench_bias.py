"""Time the bias analysis: ``python benchmarks/bench_bias.py DATASET [--jobs N] [--limit N] ...``.

Every leave-one-element-out task is decomposed, with all checks, through the public function and a
study folder: that of ``--study``, or one whose predictions are made up (label plus noise, plus a
shift per task), since what they are hardly changes the time. A run in a folder that is kept
(``--study``, or ``--folder`` for made-up predictions) and that was stopped goes on where it was,
and its seconds count. ``--tasks N`` takes N tasks spread over the sizes and scales the time to all
of them by the rows they have; ``--profile`` shows on one task of median size what the time goes
into, and what the same SHAP values would cost with larger trees. Processor seconds, unlike the
others, do not count what else the machine does.
"""

from __future__ import annotations

import argparse
import os
import tempfile
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
from lightgbm import LGBMRegressor

from offmap.bias import Settings, bias
from offmap.bias.case import Case
from offmap.bias.checks import ablation, interventional, permutation_null
from offmap.bias.decompose import corrected, decompose, fit_residuals
from offmap.bias.descriptors import describe, prune
from offmap.bias.residual_model import FAST, contributions, study_trees
from offmap.columns import IN_DISTRIBUTION
from offmap.evaluate import cells
from offmap.inputs import Inputs, prepare
from offmap.progress import Progress
from offmap.stages import create
from offmap.store import Cell, Store, states
from offmap.study import Study


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("dataset")
    parser.add_argument("--jobs", type=int, default=2)
    parser.add_argument("--limit", type=int, default=0)
    parser.add_argument("--min-size", type=int, default=200)
    parser.add_argument("--tasks", type=int, default=0)
    parser.add_argument("--faithful", action="store_true", help="the study's XGBoost, no checks")
    parser.add_argument("--profile", action="store_true")
    parser.add_argument("--study", type=Path, help="a study folder with its predictions")
    parser.add_argument("--held-out", default="", help="tasks, such as element/H,element/F")
    parser.add_argument("--exclude", action="append", default=[], help="set rows aside")
    parser.add_argument("--folder", type=Path, help="kept, so that a stopped run can go on")
    given = parser.parse_args()
    study = Study(
        given.dataset, criteria=("element",), limit=given.limit, min_size=given.min_size,
        exclude=tuple(given.exclude),
    )  # fmt: skip
    made = Store.open(given.study) if given.study else None
    inputs = prepare(made.study() if made else study, given.jobs, store=made)
    if given.profile:
        profile(inputs)
        return
    if made:
        done = states(made, cells(made))["done"]
        timed(made, inputs, [cell for cell in done if cell.criterion == "element"], given)
        return
    with tempfile.TemporaryDirectory() as folder:
        store = create((given.folder or Path(folder)) / "study", inputs)
        tasks = [cell for cell in cells(store) if cell.criterion != IN_DISTRIBUTION]
        for cell in states(store, cells(store))["missing"]:
            store.save_predictions(cell, made_up(inputs, cell), {})
        timed(store, inputs, tasks, given)


def made_up(inputs: Inputs, cell: Cell) -> pd.DataFrame:
    """Predictions of a model that is off by noise, and by a shift outside of the random folds."""
    test = inputs.membership.test_rows(cell.criterion, cell.held_out)
    rng = np.random.default_rng([len(cell.held_out), int(test.sum())])
    y = inputs.y[test]
    shift = 0.0 if cell.criterion == IN_DISTRIBUTION else rng.normal(0, 0.2)
    y_pred = y + shift + 0.1 * rng.standard_t(3, len(y))
    return pd.DataFrame({"material_id": inputs.material_id[test], "y_true": y, "y_pred": y_pred})


class Clock:
    """Seconds since the start, those of earlier runs in the folder included.

    It hears of every finished task and notes the seconds down, so that a killed run loses at most
    one task's. What the tables had not saved yet is done again and counts twice.
    """

    def __init__(self, store: Store) -> None:
        self._file = store.folder / "_seconds"
        self.earlier = float(self._file.read_text()) if self._file.exists() else 0.0
        self._begun = time.perf_counter()

    @property
    def seconds(self) -> float:
        """Seconds so far."""
        return self.earlier + time.perf_counter() - self._begun

    @contextmanager
    def step(self, title: str) -> Iterator[Progress]:
        """Tell how far a step is."""
        before = self.seconds

        def progress(done: int, total: int) -> None:
            self._file.write_text(str(self.seconds))
            print(f"{self.seconds:7.0f} s  {title}: {done} of {total}", flush=True)

        yield progress
        print(f"{self.seconds - before:7.0f} s for {title!r}", flush=True)

    def say(self, text: str) -> None:
        """Tell one thing."""
        print(text, flush=True)


def timed(store: Store, inputs: Inputs, tasks: list[Cell], given: argparse.Namespace) -> None:
    """Run the public function on all or some tasks."""
    size = {c: inputs.membership.test_rows(c.criterion, c.held_out).sum() for c in tasks}
    order = sorted(tasks, key=lambda cell: size[cell])
    n = given.tasks or len(tasks)
    chosen = [order[i] for i in np.unique(np.linspace(0, len(order) - 1, n).astype(int))]
    if given.held_out:
        chosen = [c for c in order if f"element/{c.held_out}" in given.held_out.split(",")]
    named = [f"{c.criterion}/{c.held_out}" for c in chosen]
    clock, before = Clock(store), os.times()
    found = bias(store, inputs, named, given.jobs, clock, faithful=given.faithful,
                 checks=not given.faithful)  # fmt: skip
    assert not found.failed
    cpu = sum(os.times()[:4]) - sum(before[:4])
    print(f"{len(inputs)} materials, {len(tasks)} tasks, {sum(size.values())} test rows in all")
    print(f"{len(chosen)} tasks: {clock.seconds:.0f} s with {given.jobs} jobs"
          + (f", {clock.earlier:.0f} s of them in earlier runs" if clock.earlier else "")
          + f"; {cpu:.0f} processor seconds in this run")  # fmt: skip
    if len(chosen) < len(tasks):
        rows = pd.Series({c: size[c] for c in chosen})
        share = len(tasks) / len(chosen), sum(size.values()) / rows.sum()
        print(f"all: between {cpu * min(share) / 60:.0f} and {cpu * max(share) / 60:.0f} processor"
              " minutes (by tasks and by test rows)")  # fmt: skip


def profile(inputs: Inputs) -> None:
    """Processor seconds of each step on the task of median size."""
    case = median_case(inputs)
    settings = Settings()
    rows = np.concatenate([case.known, case.test])
    print(f"{len(case.train)} train, {len(case.test)} test, {case.X.shape[1]} descriptors")
    model, row = None, {}

    def fit() -> None:
        nonlocal model
        model = fit_residuals(case, settings, rows)

    def whole() -> None:
        nonlocal row
        row, _, _ = decompose(case, settings)

    steps: dict[str, Callable[[], Any]] = {
        "prune (once per study)": lambda: prune(describe(inputs)),
        "fit the residual model": fit,
        "path-dependent SHAP": lambda: contributions(model, case.X[case.test]),
        "kept-out fifth": lambda: corrected(case, settings, np.zeros(len(case.test))),
        "all of the decomposition": whole,
        "interventional SHAP": lambda: interventional(case, settings, model),
        "permutation null": lambda: permutation_null(case, settings, row),
        "ablation": lambda: ablation(case, settings),
    }
    interventional(case, settings, fit_residuals(case, settings, rows[:500]))  # compile
    print(show({name: cpu_seconds(step) for name, step in steps.items()}, "step"))
    print(show(larger_trees(case, rows), "residual model"))


def larger_trees(case: Case, rows: np.ndarray) -> dict[str, float]:
    """Processor seconds of SHAP values per 1,000 rows, for trees of other sizes."""
    some, few = rows[-20_000:], case.X[case.test[:200]]
    found = {}
    for label, settings in {
        "200 x 15 leaves": FAST | {"num_leaves": 15},
        "200 x 31 leaves, depth 6 (here)": FAST,
        "1000 x 127 leaves": FAST | {"n_estimators": 1000, "num_leaves": 127, "max_depth": -1},
    }.items():
        model = LGBMRegressor(**settings, n_jobs=1).fit(case.X[some], case.residual[some])
        found[label] = cpu_seconds(lambda m=model: contributions(m, few)) * 1000 / len(few)
    model = study_trees({}, 0).fit(case.X[some[:5000]], case.residual[some[:5000]])
    label = "XGBoost 4000 x depth 6 (the study)"
    found[label] = cpu_seconds(lambda: contributions(model, few)) * 1000 / len(few)
    return found


def median_case(inputs: Inputs) -> Case:
    described = describe(inputs)
    pruned = prune(described)
    sizes = inputs.membership.matrix.sum(axis=0)
    kept = np.flatnonzero(
        (sizes >= inputs.study.min_size) & (inputs.membership.criterion != IN_DISTRIBUTION)
    )
    test = inputs.membership.matrix[:, kept[np.argsort(sizes[kept])[len(kept) // 2]]]
    noise = 0.1 * np.random.default_rng(0).standard_t(3, len(test))
    return Case(
        np.flatnonzero(~test), np.flatnonzero(test), inputs.y, inputs.y + noise + 0.2 * test,
        pruned.values, pruned.part, described.values, described.part,
        inputs.attributes.frame["chemical_system"].to_numpy(object),
    )  # fmt: skip


def cpu_seconds(step: Callable[[], Any]) -> float:
    begun = time.process_time()
    step()
    return time.process_time() - begun


def show(seconds: dict[str, float], what: str) -> str:
    lines = [f"| {what} | processor seconds |", "|---|---|"]
    return "\n".join([*lines, *(f"| {name} | {value:.2f} |" for name, value in seconds.items())])


if __name__ == "__main__":
    main()
