"""Speed-up of a grid on a real Dask cluster of 1 and 2 worker processes on this machine.

    python benchmarks/bench_dask.py --limit 3000
    python benchmarks/bench_dask.py mp2018.parquet --target formation_energy_per_atom --limit 10000

The same cells are run by the local engine, one at a time with one thread, and by a scheduler with
workers of one thread each. Wall time holds all that a user waits for: connecting, scattering,
training, saving. Predictions are compared bit for bit. Processor seconds in the cells say what two
workers take from each other, and from other work on the machine.
"""

from __future__ import annotations

import argparse
import os
import subprocess
import sys
import time
from contextlib import ExitStack
from pathlib import Path
from tempfile import TemporaryDirectory

import pandas as pd

from offmap import Study
from offmap.engines import Local
from offmap.engines.dask import Dask
from offmap.evaluate import cells, evaluate
from offmap.inputs import Inputs, prepare
from offmap.stages import create
from offmap.store import Store

ONE_THREAD = {"OMP_NUM_THREADS": "1"}


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("dataset", nargs="?", default="prototypes")
    parser.add_argument("--target", default="")
    parser.add_argument("--limit", type=int, default=3000)
    parser.add_argument("--model", default="lgbm")
    parser.add_argument("--criterion", nargs="+", default=["crystal_system", "period"])
    parser.add_argument("--workers", type=int, nargs="+", default=[1, 2])
    given = parser.parse_args()
    study = Study(
        dataset=given.dataset,
        target=given.target,
        limit=given.limit,
        models=(given.model,),
        criteria=tuple(given.criterion),
        model_settings={given.model: {"n_jobs": 1}},
    )
    inputs = prepare(study, os.cpu_count() or 1)
    with TemporaryDirectory() as folder:
        home = Path(folder)
        store, seconds = timed(home / "local", inputs, Local(1))
        grid = cells(store)
        rows = [row("local, one process", 1, seconds, store)]
        reference = store.read_predictions(grid)
        for n in given.workers:
            with ExitStack() as stack:
                address = cluster(stack, home / f"cluster-{n}", n)
                store, seconds = timed(home / f"dask-{n}", inputs, Dask(1, address))
            pd.testing.assert_frame_equal(store.read_predictions(grid), reference, check_exact=True)
            rows.append(row(f"dask, {n} workers", n, seconds, store))
    table = pd.DataFrame(rows)
    table["speed-up"] = table["seconds"].iloc[0] / table["seconds"]
    table["efficiency"] = table["speed-up"] / table["processes"]
    print(table.round(2).to_string(index=False))
    print(f"{len(grid)} cells, bit for bit the same")


def row(engine: str, processes: int, seconds: float, store: Store) -> dict[str, object]:
    """Seconds waited, and processor seconds in the cells: more of them, where cores are shared."""
    facts = [store.run_facts(cell) for cell in cells(store)]
    cpu = sum(fact["cpu_seconds"] for fact in facts)
    return {"engine": engine, "processes": processes, "seconds": seconds, "in cells": cpu}


def timed(folder: Path, inputs: Inputs, engine: Local | Dask) -> tuple[Store, float]:
    """Run the whole grid into a new folder; the seconds it took."""
    store = create(folder, inputs)
    begun = time.perf_counter()
    outcomes = evaluate(store, inputs, 1, engine=engine)
    assert not [outcome.error for outcome in outcomes if outcome.error]
    return store, time.perf_counter() - begun


def cluster(stack: ExitStack, folder: Path, workers: int) -> str:
    """Start a scheduler and workers that end with the stack; the address when all are there."""
    from distributed import Client

    folder.mkdir()
    file = folder / "scheduler.json"
    flags = ["--scheduler-file", str(file), "--no-dashboard"]
    start(stack, folder, "dask_scheduler", [*flags, "--host", "127.0.0.1", "--port", "0"])
    for _ in range(workers):
        start(stack, folder, "dask_worker", [*flags, "--nthreads", "1", "--no-nanny"])
    while not file.exists():
        time.sleep(0.1)
    with Client(scheduler_file=str(file)) as client:
        client.wait_for_workers(workers)
        return str(client.scheduler.address)


def start(stack: ExitStack, folder: Path, module: str, flags: list[str]) -> None:
    """Start one process of Dask."""
    with (folder / "log").open("ab") as log:
        process = subprocess.Popen(
            [sys.executable, "-m", f"distributed.cli.{module}", *flags],
            env=os.environ | ONE_THREAD,
            stdout=log,
            stderr=log,
        )
    stack.callback(process.wait)
    stack.callback(process.terminate)


if __name__ == "__main__":
    main()
