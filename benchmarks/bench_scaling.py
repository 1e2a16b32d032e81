"""What size curves cost and what they say: twenty tasks, laws, forecasts of held-back sizes.

    python benchmarks/bench_scaling.py mp2018.parquet --out curves --exclude suspect
    python benchmarks/bench_scaling.py mp2018.parquet --out curves --exclude suspect --time --added
    python benchmarks/bench_scaling.py --out trial --limit 3000 --held-out element/O

The stages are timed one by one: size curves first, then, if asked, time curves and choices of the
data that are added, and last the fits. All may be stopped and started again: finished cells are
kept in ``--out``, and processor seconds are summed over finished cells, whenever they were run.
Unlike wall time these hardly change on a machine that does other work too. A study folder given by
``--domain`` lends its verdicts (tables ``domain`` and ``verdicts`` of the same materials).
"""

from __future__ import annotations

import argparse
import shutil
import time
from collections.abc import Sequence
from pathlib import Path

import numpy as np
import pandas as pd

from offmap import Study
from offmap.evaluate import cells, choose, evaluate
from offmap.inputs import Inputs, prepare
from offmap.scaling.added import added
from offmap.scaling.additions import DIVERSE, NEAREST, NEIGHBOURING
from offmap.scaling.curves import Sides
from offmap.scaling.grid import added_cells, curve_cells, time_cells
from offmap.scaling.job import analyse
from offmap.scaling.verdicts import INSIDE, OUTSIDE
from offmap.stages import create
from offmap.store import Cell, Store, states
from offmap.terminal import reporter

TASKS = (
    "element/H element/F element/O element/N element/S element/Cl element/Li element/Fe element/Bi"
    " element/La period/2 period/5 group/17 group/3 crystal_system/triclinic crystal_system/cubic"
    " point_group/m-3m point_group/mmm space_group/225 space_group/62"
).split()


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("dataset", nargs="?", default="prototypes")
    parser.add_argument("--out", type=Path, required=True)
    parser.add_argument("--model", default="lgbm")
    parser.add_argument("--exclude", nargs="*", default=[])
    parser.add_argument("--held-out", nargs="*", default=TASKS)
    parser.add_argument("--jobs", type=int, default=2)
    parser.add_argument("--limit", type=int, default=0, help="materials, to try it out")
    parser.add_argument("--min-size", type=int, default=200)
    parser.add_argument("--domain", type=Path, help="study folder with verdicts")
    parser.add_argument("--time", action="store_true", help="time curves too")
    parser.add_argument("--added", action="store_true", help="which data would help, too")
    given = parser.parse_args()
    study = Study(
        dataset=given.dataset,
        models=(given.model,),
        exclude=tuple(given.exclude),
        limit=given.limit,
        min_size=given.min_size,
    )
    inputs = prepare(study, given.jobs, reporter(), store=Store(given.out))
    store = create(given.out, inputs)
    for name in ("domain", "verdicts"):
        if given.domain and Store(given.domain).has_table(name):
            shutil.copy(Store(given.domain).table_file(name), store.table_file(name))
    print(train(store, inputs, given))
    print(findings(store))


def train(store: Store, inputs: Inputs, given: argparse.Namespace) -> str:
    """Run what is missing, and say what every stage took, in Markdown."""
    names, shown = given.held_out, reporter()
    domain = store.read_table("domain") if store.has_table("domain") else None
    sides = Sides(store.read_table("members"), domain)
    chosen = choose(cells(store), names or None)
    rows = [f"| {len(chosen)} tasks, {given.jobs} fits at a time | fits"
            " | processor minutes | minutes, this start |", "|---|---|---|---|"]  # fmt: skip
    begun = time.perf_counter()
    evaluate(store, inputs, given.jobs, shown, curve_cells(store, names))
    rows.append(_line("size curves", [(store, curve_cells(store, names))], begun))
    if given.time:
        begun = time.perf_counter()
        evaluate(store, inputs, given.jobs, shown, time_cells(store, names), by_round=True)
        rows.append(_line("time curves", [(store, time_cells(store, names))], begun))
    if given.added:
        begun = time.perf_counter()
        table, _ = added(store, inputs, names, sides, given.jobs, shown)
        store.write_table("scaling_added", table, csv=True)
        choices, wanted = (NEAREST, DIVERSE, NEIGHBOURING), added_cells(store, names)
        parts = [(store.additions(choice), wanted) for choice in choices]
        rows.append(_line("which data", parts, begun))
    begun, cpu = time.perf_counter(), time.process_time()
    analyse(store, sides, shown)
    wall, spent = time.perf_counter() - begun, time.process_time() - cpu
    rows.append(f"| scores, laws, intervals | | {spent / 60:.1f} | {wall / 60:.1f} |")
    return "\n".join(rows)


def _line(name: str, parts: Sequence[tuple[Store, Sequence[Cell]]], begun: float) -> str:
    wall = time.perf_counter() - begun
    facts = [s.run_facts(c) for s, cells in parts for c in states(s, list(cells))["done"]]
    spent = sum(fact["cpu_seconds"] for fact in facts)
    return f"| {name} | {len(facts)} | {spent / 60:.1f} | {wall / 60:.1f} |"


def findings(store: Store) -> str:
    """Exponents of each task, coverage of the held-back sizes, and what chosen data did."""
    laws = store.read_table("scaling_laws").astype({"criterion": str, "held_out": str})
    text = []
    for kind, part in laws.groupby("curve", sort=False):
        text += ["", f"| task ({kind}) | law in, out | verdict |", "|---|---|---|"]
        for (criterion, held_out), mine in part.groupby(["criterion", "held_out"], sort=False):
            by = mine.set_index("test")
            if {INSIDE, OUTSIDE} <= set(by.index):
                law = f"{by.at[INSIDE, 'law']}, {by.at[OUTSIDE, 'law']}"
                text.append(f"| {criterion} {held_out} | {law} | {by.at[OUTSIDE, 'verdict']} |")
    known = laws.dropna(subset=["covers"])
    for test, part in known.groupby("test", sort=False):
        off = np.abs(np.log(part["held_back"] / part["mae_largest"]))
        text.append(
            f"\n{test}: the interval foretold from smaller sizes covers the largest in"
            f" {int(part['covers'].sum())} of {len(part)} curves,"
            f" median deviation {off.median():.1%}"
        )
    text += ["", store.read_table("scaling_exponents").round(3).to_string(index=False)]
    if store.has_table("scaling_added"):
        text += ["", _choices(store.read_table("scaling_added"))]
    return "\n".join(text)


def _choices(table: pd.DataFrame) -> str:
    """Median over tasks of the error relative to random data of the same size."""
    ratio = table.dropna(subset=["mae_ratio"])
    better, worse = ratio["mae_ratio_high"] < 1, ratio["mae_ratio_low"] > 1
    share = ratio.groupby(["criterion", "held_out"], observed=True)["n_train"].rank("dense")
    frame = ratio.assign(better=better, worse=worse, step=share)
    found = frame.groupby(["choice", "test", "step"], observed=True).agg(
        tasks=("mae_ratio", "size"),
        median_ratio=("mae_ratio", "median"),
        better=("better", "sum"),
        worse=("worse", "sum"),
    )
    return str(found.round(3).reset_index().to_string(index=False))


if __name__ == "__main__":
    main()
