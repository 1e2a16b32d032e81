"""The same study gives the same predictions, to the last bit, however it is run."""

from __future__ import annotations

import random
from collections.abc import Iterator
from pathlib import Path

import pandas as pd
import pytest
from threadpoolctl import threadpool_info, threadpool_limits

from offmap import Study
from offmap.engines import Local, Shard
from offmap.evaluate import cells, evaluate
from offmap.inputs import Inputs, prepare
from offmap.stages import create
from offmap.store import Store

MODELS = ("lgbm", "rf", "xgb", "knn", "dummy")


@pytest.fixture(scope="module")
def inputs(toy_file: Path) -> Inputs:
    study = Study(
        dataset=str(toy_file), target="energy", min_size=60, representations=("magpie",),
        criteria=("crystal_system",), models=MODELS, n_folds=2,
        model_settings={name: {"n_estimators": 5} for name in ("lgbm", "rf", "xgb")},
    )  # fmt: skip
    return prepare(study)


@pytest.fixture(scope="module")
def reference(inputs: Inputs, tmp_path_factory: pytest.TempPathFactory) -> Store:
    store = create(tmp_path_factory.mktemp("reference") / "study", inputs)
    assert not [o.error for o in evaluate(store, inputs, engine=OneThread()) if o.error]
    return store


class OneThread(Local):
    """One cell at a time, with one thread."""

    threads = 1

    def __init__(self) -> None:
        super().__init__(1)


def same(store: Store, reference: Store) -> None:
    grid = cells(reference)
    pd.testing.assert_frame_equal(
        store.read_predictions(grid), reference.read_predictions(grid), check_exact=True
    )


@pytest.mark.parametrize("jobs", [1, 2])
def test_jobs(inputs: Inputs, reference: Store, tmp_path: Path, jobs: int) -> None:
    store = create(tmp_path / "study", inputs)
    evaluate(store, inputs, jobs)
    same(store, reference)


def test_order_and_restart(inputs: Inputs, reference: Store, tmp_path: Path) -> None:
    store = create(tmp_path / "study", inputs)
    order = cells(store)
    random.Random(3).shuffle(order)
    for part in (order[:5], order[:9], order):
        evaluate(store, inputs, 1, chosen=part)
    same(store, reference)
    other = create(tmp_path / "shards", inputs)
    for i in (3, 1, 2):
        evaluate(other, inputs, 1, shard=Shard(i, 3))
    same(other, reference)


def test_rows_in_another_order(
    inputs: Inputs, reference: Store, toy_file: Path, tmp_path: Path
) -> None:
    kept = set(inputs.material_id)
    frame = pd.read_parquet(toy_file)
    frame = frame[frame["material_id"].isin(kept)].sample(frac=1, random_state=1)
    frame.to_parquet(tmp_path / "toy.parquet", index=False)
    study = inputs.study.replace(dataset=str(tmp_path / "toy.parquet"), limit=0)
    store = create(tmp_path / "study", prepare(study))
    evaluate(store, prepare(study))
    same(store, reference)


@pytest.fixture
def _limited() -> Iterator[None]:
    with threadpool_limits(1):
        yield


@pytest.mark.usefixtures("_limited")
def test_a_run_in_this_process_gives_its_thread_limits_back(inputs: Inputs, tmp_path: Path) -> None:
    store = create(tmp_path / "study", inputs)
    before = [(pool["filepath"], pool["num_threads"]) for pool in threadpool_info()]
    evaluate(store, inputs, 1, chosen=cells(store)[-2:])
    after = [(pool["filepath"], pool["num_threads"]) for pool in threadpool_info()]
    assert [pool for pool in after if pool[0] in dict(before)] == before
