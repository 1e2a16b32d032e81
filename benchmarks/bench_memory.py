"""Peak memory of each stage of a study, measured, and carried on by a line where that takes long.

    python benchmarks/bench_memory.py mp2018.parquet --target formation_energy_per_atom \
        --sizes 25000 50000 100000 1000000 --folder memory

Crystals are repeated, each copy with a lattice a little longer, until there are enough. Features
(shaken by 0.1 %) and space groups are those of the original, so that they need not be computed
again, and predictions are made up: their number is what counts. Each stage runs in a process of its
own, one job, from a study folder as its command does; memory is the most that it, and what it
started, ever held, mapped files included. Fewer trees than usual are grown (``--trees``); what a
forest needs for each is measured and reckoned up to 100. Kept in ``--folder``, results are not
measured again.
"""

from __future__ import annotations

import argparse
import json
import os
import resource
from collections.abc import Callable
from concurrent.futures import ProcessPoolExecutor
from multiprocessing import get_context
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd

from offmap import Study
from offmap.crystals import Crystals
from offmap.datasets import load
from offmap.evaluate import cells
from offmap.inputs import Inputs, prepare, save_arrays
from offmap.representations.featurize import FeatureCache, featurize, load_representation
from offmap.stages import create, report, score
from offmap.store import Store
from offmap.worker import Work, fit_cell

TASK = "crystal_system/cubic"
LARGEST = {"domain": 50_000, "bias": 50_000, "scaling": 50_000, "report": 50_000}
"""Stages that are not measured beyond a size, but carried on."""


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("dataset")
    parser.add_argument("--target", default="")
    parser.add_argument("--sizes", type=int, nargs="+", default=[50_000, 100_000])
    parser.add_argument("--trees", type=int, default=4)
    parser.add_argument("--folder", type=Path, default=Path("memory"))
    parser.add_argument("--stages", nargs="+", default=list(STAGES), choices=list(STAGES))
    given = parser.parse_args()
    os.environ.setdefault("OMP_NUM_THREADS", "1")
    table = pd.DataFrame(index=given.stages, columns=given.sizes, dtype=float)
    for n in given.sizes:
        home = given.folder.absolute() / str(n)
        if not (home / "made").exists():
            alone(make, home, given.dataset, given.target, n)
        for stage in given.stages:
            kept = home / f"{stage}.json"
            if not kept.exists() and n <= LARGEST.get(stage, n):
                kept.write_text(json.dumps(alone(STAGES[stage], home, given.trees)))
                print(n, stage, kept.read_text(), flush=True)
            if kept.exists():
                table.loc[stage, n] = json.loads(kept.read_text())
    print((table / 1e9).round(2).to_string(na_rep="line"), "\nGB; in KB per crystal:")
    for stage, row in table.iterrows():
        found = row.dropna()
        if len(found) > 1:
            slope, base = np.polyfit(found.index.to_numpy(float), found.to_numpy(), 1)
            print(f"{stage:20} {slope / 1e3:7.2f}, a million: {(base + 1e6 * slope) / 1e9:6.2f} GB")


def alone(stage: Callable[..., Any], home: Path, *arguments: Any) -> float:
    """Run something in a process of its own; bytes held at most, by it or one that it started."""
    with ProcessPoolExecutor(1, get_context("spawn")) as pool:
        return pool.submit(_measured, stage, home, arguments).result()


def _measured(stage: Callable[..., Any], home: Path, arguments: tuple[Any, ...]) -> float:
    if stage is not make:
        os.environ["OFFMAP_CACHE"] = str(home / "cache")
    more = stage(home, *arguments) or 0.0
    used = (resource.getrusage(who) for who in (resource.RUSAGE_SELF, resource.RUSAGE_CHILDREN))
    return max(one.ru_maxrss for one in used) * 1024 + more


# -- the materials ---------------------------------------------------------------------------------


def make(home: Path, dataset: str, target: str, n: int) -> None:
    """Lay out a study of n materials: data, features in a cache, space groups, predictions."""
    import pyarrow as pa
    import pyarrow.parquet as pq

    from offmap.attributes import space_groups

    home.mkdir(parents=True, exist_ok=True)
    real = load(dataset, target)
    features = featurize(real.crystals).values
    spare = home.parent / "space_groups.npy"
    if not spare.exists():
        np.save(spare, space_groups(real.crystals))
    copies = -(-n // len(real))
    crystals = Crystals.concat([_copy(real.crystals, k) for k in range(copies)]).take(np.arange(n))
    rng = np.random.default_rng(0)
    y = np.tile(real.frame[real.target(target)].to_numpy(float), copies)[:n]
    y += 0.01 * rng.standard_normal(n)  # or trees would not tell copies apart
    pq.write_table(crystals.to_arrow().append_column("y", pa.array(y)), home / "materials.parquet")
    os.environ["OFFMAP_CACHE"] = str(home / "cache")
    study = Study(dataset=str(home / "materials.parquet"), target="y", n_bootstrap=50)
    found = load(study.dataset, "y")
    cache = FeatureCache.of("matminer", load_representation("matminer"))
    keys = found.crystals.content_hash().astype("S32")
    for i in range(0, n, 512):
        part = features[np.arange(i, min(i + 512, n)) % len(real)]
        shaken = part * (1 + 1e-3 * rng.standard_normal(part.shape))
        cache.add(keys[i : i + 512], _features(shaken))
    store = Store.create(home / "study", study, {"data_sha256": found.sha256})
    groups = np.tile(np.load(spare), copies)[:n]
    known = {"material_id": found.frame["material_id"], "space_group": groups}
    store.write_table("materials", pd.DataFrame(known))
    inputs = prepare(study, store=store)
    save_arrays(inputs, home / "arrays")
    np.save(home / "criterion.npy", inputs.membership.criterion.astype(str))
    np.save(home / "held_out.npy", inputs.membership.held_out.astype(str))
    _predicted(create(store.folder, inputs), inputs, rng)
    (home / "made").touch()


def _copy(crystals: Crystals, k: int) -> Crystals:
    names = np.array([f"{name}-{k}" for name in crystals.material_id], dtype=object)
    lattice = crystals.lattice * (1 + 1e-3 * k)
    return Crystals(names, lattice, crystals.numbers, crystals.frac_coords, crystals.offsets)


def _features(values: Any) -> Any:
    from offmap.representations.base import Features

    return Features(values, load_representation("matminer").columns)


def _predicted(store: Store, inputs: Inputs, rng: np.random.Generator) -> None:
    """Predictions of every cell, made up."""
    for cell in cells(store):
        rows = np.flatnonzero(inputs.membership.test_rows(cell.criterion, cell.held_out))
        y = inputs.y[rows]
        frame = pd.DataFrame({"material_id": inputs.material_id[rows], "y_true": y})
        frame["y_pred"] = y + 0.1 * rng.standard_normal(len(y))
        store.save_predictions(cell, frame, {"n_test": len(y), "n_train": cell.n_train})


# -- stages, as their commands do them -------------------------------------------------------------


def read_stage(home: Path, trees: int) -> None:
    load(home / "materials.parquet", "y")


def describe_stage(home: Path, trees: int) -> None:
    _inputs(home)


def train_stage(model: str, home: Path, trees: int) -> float:
    """One worker that trains on one task; what its further trees would need, bytes."""
    store = Store.open(home / "study")
    names = (np.load(home / "criterion.npy"), np.load(home / "held_out.npy"))
    work = Work(home / "arrays", home, *names, {model: {"n_estimators": trees}}, 1)
    cell = next(c for c in cells(store) if f"{c.criterion}/{c.held_out}" == TASK)
    fitted = fit_cell(work, cell.__class__(**{**cell.keys(), "model": model}))
    assert fitted.frame is not None, fitted.trace
    return 0.0


def forest_stage(home: Path, trees: int) -> float:
    """A forest of few trees, and the bytes of those that it lacks to 100."""
    from offmap.models.forest import Forest

    sizes: list[float] = []
    fit = Forest.fit

    def weighed(self: Forest, *arguments: Any, **options: Any) -> Any:
        fit(self, *arguments, **options)
        sizes.extend(one.tree_.__getstate__()["nodes"].nbytes * 1.25 for one in self.estimators_)
        return self

    Forest.fit = weighed
    train_stage("rf", home, trees)
    return (100 - len(sizes)) * float(np.mean(sizes))


def lgbm_stage(home: Path, trees: int) -> None:
    train_stage("lgbm", home, trees)


def xgb_stage(home: Path, trees: int) -> None:
    train_stage("xgb", home, trees)


def score_stage(home: Path, trees: int) -> None:
    score(Store.open(home / "study"))


def report_stage(home: Path, trees: int) -> None:
    report(Store.open(home / "study"))


def domain_stage(home: Path, trees: int) -> None:
    from offmap.domain.analysis import domain

    domain(Store.open(home / "study"), _inputs(home), held_out=[TASK])


def bias_stage(home: Path, trees: int) -> None:
    from offmap.bias.job import bias

    bias(Store.open(home / "study"), _inputs(home), [TASK], n_permutations=1)


def scaling_stage(home: Path, trees: int) -> None:
    from offmap.scaling.job import scaling

    inputs = _inputs(home)
    study = inputs.study.replace(models=("dummy",))
    inputs = Inputs(**{**vars(inputs), "study": study})
    scaling(create(home / "scaling", inputs), inputs, [TASK])


def _inputs(home: Path) -> Inputs:
    store = Store.open(home / "study")
    return prepare(store.study(), store=store)


STAGES: dict[str, Callable[..., Any]] = {
    "read": read_stage,
    "describe and group": describe_stage,
    "train lgbm": lgbm_stage,
    "train xgb": xgb_stage,
    "train rf": forest_stage,
    "score": score_stage,
    "report": report_stage,
    "domain": domain_stage,
    "bias": bias_stage,
    "scaling": scaling_stage,
}

if __name__ == "__main__":
    main()
