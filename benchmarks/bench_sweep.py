"""The sweep of all six criteria, beside the loop that it replaces.

    python benchmarks/bench_sweep.py mp2018.parquet --out sweep --exclude suspect
    python benchmarks/bench_sweep.py mp2018.parquet --out trial --limit 2000 --sample 3

``offmap run`` is called with its default model, two cells at a time: reading, features (kept from
an earlier run where there was one), symmetry, every task and fold, scores and report. The loop is
what one would write instead,

    for task in tasks:
        XGBRegressor(**study, n_jobs=threads).fit(X[train], y[train]).predict(X[test])

and is run on a few tasks spread over the sizes of the training sets; its time for all tasks follows
from seconds per training material. Both may be stopped and started again: finished cells are kept
in the study folder, finished tasks of the loop and the time of each start in ``<out>.jsonl``.

Processor seconds are compared besides wall time, since other work on a machine hardly changes them
with one thread per fit (``--threads 1``); several threads that wait for each other count twice.
"""

from __future__ import annotations

import argparse
import json
import time
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd

from offmap import Study, run
from offmap.columns import IN_DISTRIBUTION
from offmap.evaluate import cells
from offmap.inputs import prepare
from offmap.models.base import make_model
from offmap.store import Cell, Store, states
from offmap.terminal import reporter


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("dataset")
    parser.add_argument("--out", type=Path, required=True)
    parser.add_argument("--target", default="")
    parser.add_argument("--model", default="lgbm")
    parser.add_argument("--exclude", nargs="*", default=[])
    parser.add_argument("--jobs", type=int, default=2)
    parser.add_argument("--threads", type=int, default=1, help="of each fit of the loop")
    parser.add_argument("--sample", type=int, default=6, help="tasks of the loop (0: no loop)")
    parser.add_argument("--limit", type=int, default=0, help="materials, to try it out")
    parser.add_argument("--min-size", type=int, default=200)
    given = parser.parse_args()
    study = Study(
        dataset=given.dataset,
        target=given.target,
        models=(given.model,),
        exclude=tuple(given.exclude),
        limit=given.limit,
        min_size=given.min_size,
    )
    log = Log(given.out.with_name(f"{given.out.name}.jsonl"))
    sweep(study, given, log)
    if given.sample:
        loop(study, given, log)
    print(summary(Store(given.out), log, given))


class Log:
    """What was measured, one JSON object per line, kept from start to start."""

    def __init__(self, path: Path) -> None:
        self.path = path

    def add(self, **facts: Any) -> None:
        """Note one measurement."""
        with self.path.open("a") as file:
            file.write(json.dumps(facts) + "\n")

    def rows(self, kind: str) -> list[dict[str, Any]]:
        """Read what was measured of one kind."""
        lines = self.path.read_text().splitlines() if self.path.exists() else []
        return [row for row in map(json.loads, lines) if row["kind"] == kind]


def sweep(study: Study, given: argparse.Namespace, log: Log) -> None:
    """Run what is missing of the study, and note how long that took."""
    store = Store(given.out)
    before = len(states(store, cells(store))["done"]) if store.has_table("tasks") else 0
    begun = time.perf_counter()
    done = run(study, given.out, given.jobs, reporter())
    wall = time.perf_counter() - begun
    now = len(states(done.store, cells(done.store))["done"]) - before
    log.add(kind="sweep", wall=wall, cells=now, failed=len(done.failed), jobs=given.jobs)


def loop(study: Study, given: argparse.Namespace, log: Log) -> None:
    """Fit XGBoost at the study's settings on sampled tasks that were not yet done."""
    known = {(row["criterion"], row["held_out"]) for row in log.rows("loop")}
    todo = [c for c in sampled(Store(given.out), given) if (c.criterion, c.held_out) not in known]
    if not todo:
        return
    inputs = prepare(study, given.jobs, reporter())
    X = inputs.features["matminer"].values.astype(np.float32)
    for cell in todo:
        test = inputs.membership.test_rows(cell.criterion, cell.held_out)
        wall, cpu = time.perf_counter(), time.process_time()
        model = make_model("xgb", {}, study.seed, given.threads).fit(X[~test], inputs.y[~test])
        y_pred = model.predict(X[test])
        log.add(
            kind="loop",
            criterion=cell.criterion,
            held_out=cell.held_out,
            n_train=int((~test).sum()),
            n_test=int(test.sum()),
            wall=time.perf_counter() - wall,
            cpu=time.process_time() - cpu,
            mae=float(np.abs(y_pred - inputs.y[test]).mean()),
            threads=given.threads,
        )
        print(log.rows("loop")[-1], flush=True)


def sampled(store: Store, given: argparse.Namespace) -> list[Cell]:
    """Tasks at evenly spaced ranks of the number of training materials, and one random fold."""
    every = [cell for cell in cells(store) if cell.model == given.model]
    tasks = sorted(
        (cell for cell in every if cell.criterion != IN_DISTRIBUTION),
        key=lambda cell: (cell.n_train, cell.criterion, cell.held_out),
    )
    folds = [cell for cell in every if cell.criterion == IN_DISTRIBUTION]
    ranks = np.linspace(0, len(tasks) - 1, max(given.sample - 1, 0) + 2)[1:-1].astype(int)
    return folds[:1] + [tasks[rank] for rank in dict.fromkeys(ranks.tolist())]


def summary(store: Store, log: Log, given: argparse.Namespace) -> str:
    """Totals, and the sampled tasks one by one, in Markdown."""
    done = [cell for cell in states(store, cells(store))["done"] if cell.model == given.model]
    facts = [store.run_facts(cell) for cell in done]
    rows = sum(fact["n_train"] for fact in facts)
    cpu = sum(fact["cpu_seconds"] for fact in facts)
    starts, looped = log.rows("sweep"), log.rows("loop")
    wall = sum(row["wall"] for row in starts)
    lost = len(done) - sum(row["cells"] for row in starts)
    text = [
        f"{len(done)} fits (tasks and random folds) of {rows / len(done):.0f} materials on average,"
        f" {given.jobs} at a time; {sum(row['failed'] for row in starts[-1:])} failed",
        f"offmap run: {wall / 60:.1f} minutes from data to report in {len(starts)} start(s)"
        + (f", without {lost} fits of starts that were cut short" if lost else ""),
        "",
        "| | fits | processor s per fit | all fits, core-hours |",
        "|---|---|---|---|",
        f"| `offmap run`, `{given.model}` | {len(done)}, all run | {cpu / len(done):.1f}"
        f" | {cpu / 3600:.2f} |",
    ]
    if not looped:
        return "\n".join(text)
    spent, seen = sum(row["cpu"] for row in looped), sum(row["n_train"] for row in looped)
    total = spent / seen * rows
    text += [
        f"| loop over `XGBRegressor`, {looped[0]['threads']} thread(s) | {len(looped)} run, rest"
        f" extrapolated | {spent / len(looped):.1f} | {total / 3600:.2f} |",
        "",
        f"{total / cpu:.1f} times fewer processor seconds."
        f" MAE on the {len(looped)} tasks that the loop ran:",
        "",
        f"| task | n_train | n_test | `{given.model}` | `xgb` |",
        "|---|---|---|---|---|",
    ]
    ours = mae_of(store, done)
    pairs = [(ours[row["criterion"], row["held_out"]], row["mae"]) for row in looped]
    text += [
        f"| {row['criterion']} {row['held_out']} | {row['n_train']} | {row['n_test']}"
        f" | {mine:.4f} | {theirs:.4f} |"
        for row, (mine, theirs) in zip(looped, pairs, strict=True)
    ]
    mine, theirs = np.mean(pairs, axis=0)
    text.append(f"| mean | | | {mine:.4f} | {theirs:.4f} |")
    return "\n".join(text)


def mae_of(store: Store, done: list[Cell]) -> dict[tuple[str, str], float]:
    """Mean absolute error of each cell, by criterion and held-out group."""
    frame: pd.DataFrame = store.read_predictions(done)
    error = (frame["y_pred"] - frame["y_true"]).abs()
    keys = [frame["criterion"].astype(str), frame["held_out"].astype(str)]
    return {(str(c), str(h)): float(v) for (c, h), v in error.groupby(keys).mean().items()}


if __name__ == "__main__":
    main()
