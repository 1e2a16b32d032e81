"""Build the embedded dataset ``prototypes``: candidates, references, relax, collect.

Every step reads and writes the work folder given with ``--work`` and may be stopped and run
again: what is already there is not done twice.
"""

from __future__ import annotations

import argparse
import json
import os
import subprocess
import sys
import time
from pathlib import Path

from collect import collect
from decorate import candidates
from prototypes import ideal_crystal, load_prototypes
from queue_order import cheap_first, remaining
from shards import (
    SHARD_SIZE,
    import_finished,
    read_json,
    read_shards,
    record,
    write_json,
    write_shard,
)

HERE = Path(__file__).parent
WORKER_ENVIRONMENT = {
    "OMP_NUM_THREADS": "1",
    "MKL_NUM_THREADS": "1",
    "MALLOC_MMAP_THRESHOLD_": "4294967295",
    "MALLOC_TRIM_THRESHOLD_": "8589934592",
    "MALLOC_TOP_PAD_": "268435456",
}


def make_candidates(work: Path, seed: int, scale: float) -> None:
    """Write the seeded candidate list, unless it is there."""
    path = work / "candidates.json"
    if path.exists():
        print(f"{path} is there: kept")
        return
    found = candidates(seed=seed, scale=scale)
    write_json(path, found)
    print(f"{len(found)} candidates -> {path}")


def make_references(work: Path) -> None:
    """Relax the elemental structures and write the table of trials."""
    from potential import Potential
    from references import reference_energies, relax_references

    path = work / "references.json"
    if path.exists():
        print(f"{path} is there: kept")
        return
    start = time.time()
    rows = relax_references(Potential())
    energies = reference_energies(rows)
    write_json(path, {"energies": energies, "trials": rows, "seconds": time.time() - start})
    print(f"{len(energies)} references from {len(rows)} trials in {time.time() - start:.0f} s")


def relax_share(options: argparse.Namespace) -> None:
    """Relax this worker's share of the candidates that are not done, shard after shard."""
    from potential import Potential

    rows = read_json(options.work / "candidates.json")
    done = read_shards(options.work)
    goal = options.group_goal
    todo = remaining(rows, done) if goal is None else cheap_first(rows, done, goal)
    shards = [todo[i : i + SHARD_SIZE] for i in range(0, len(todo), SHARD_SIZE)]
    potential = Potential()
    for number in range(options.worker, len(shards), options.workers):
        start = time.time()
        write_shard(options.work, relax_shard(potential, shards[number], rows))
        print(f"shard {number} of {len(shards)}: {time.time() - start:.0f} s", flush=True)


def relax_shard(potential, indices: list[int], rows: list[dict]) -> list[dict]:
    """Relax the candidates of one shard and return its rows."""
    from relax import relax_all

    table = load_prototypes()
    crystals = (
        (i, ideal_crystal(table[rows[i]["prototype"]], rows[i]["elements"], rows[i]["seed"]))
        for i in indices
    )
    records = [record(i, rows[i]["prototype"], done) for i, done in relax_all(potential, crystals)]
    return sorted(records, key=lambda row: row["index"])


def relax_with_workers(arguments: list[str], workers: int) -> int:
    """Start one process per worker, each on one thread, and wait for all."""
    command = [sys.executable, str(HERE / "build.py"), *arguments]
    processes = [
        subprocess.Popen([*command, "--worker", str(w)], env={**os.environ, **WORKER_ENVIRONMENT})
        for w in range(workers)
    ]
    return max(process.wait() for process in processes)


def parse(arguments=None) -> argparse.Namespace:
    """Parse the command line."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("step", choices=["candidates", "references", "relax", "collect"])
    parser.add_argument("--work", type=Path, required=True, help="folder of the checkpoints")
    parser.add_argument("--out", type=Path, help="folder of prototypes.parquet (collect)")
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--scale", type=float, default=1.0, help="times the draws (candidates)")
    parser.add_argument("--workers", type=int, default=2)
    parser.add_argument("--worker", type=int, help="run only this worker, in this process")
    parser.add_argument("--reuse", type=Path, help="an earlier work folder with finished rows")
    parser.add_argument(
        "--group-goal", type=int, help="relax first what brings space groups to this many"
    )
    return parser.parse_args(arguments)


def main(arguments=None) -> int:
    """Run one step."""
    options = parse(arguments)
    options.work.mkdir(parents=True, exist_ok=True)
    if options.step == "candidates":
        make_candidates(options.work, options.seed, options.scale)
    elif options.step == "references":
        make_references(options.work)
    elif options.step == "collect":
        card = collect(options.work, options.out)
        print(json.dumps(card["counts"], indent=1))
    elif options.worker is None:
        if options.reuse is not None:
            import_finished(options.work, options.reuse)
        return relax_with_workers(arguments or sys.argv[1:], options.workers)
    else:
        relax_share(options)
    return 0


if __name__ == "__main__":
    sys.exit(main())
