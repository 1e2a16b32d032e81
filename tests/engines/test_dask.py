"""A real cluster on loopback: workers and scheduler may die; nothing is lost or done twice."""

from __future__ import annotations

import gc
import os
import signal
import time
import warnings
from collections import Counter
from collections.abc import Iterator, Mapping
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest

import offmap
from offmap import Study
from offmap.engines import CRASHED
from offmap.engines import dask as engine
from offmap.engines.dask import Dask
from offmap.errors import OffmapError, SettingsError
from offmap.evaluate import cells, evaluate
from offmap.inputs import Inputs, prepare
from offmap.progress import Silent
from offmap.stages import create
from offmap.store import Cell

from .cluster import Cluster, free_port


@pytest.fixture(autouse=True)
def _swept() -> Iterator[None]:
    """Collect what distributed leaves of a scheduler that was killed: a socket it never closes."""
    yield
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", ResourceWarning)
        gc.collect()


@pytest.fixture(scope="module")
def cluster(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Cluster]:
    made = Cluster(tmp_path_factory.mktemp("cluster"))
    made.start(workers=2)
    yield made
    made.stop()


@pytest.fixture
def log(tmp_path: Path) -> Path:
    path = tmp_path / "log"
    path.touch()
    return path


def cell(name: object, model: str = "m") -> Cell:
    return Cell("d", "t", "r", model, "c", str(name))


def count(todo: Cell, shared: Mapping[str, Any], threads: int) -> tuple[str, float, int, int]:
    """Take a while, and write down that it was done and by whom."""
    if todo.held_out == "crash":
        time.sleep(0.2)
        os._exit(3)
    if todo.held_out == "raise":
        raise ValueError("no luck")
    time.sleep(0.15)
    with Path(str(shared["log"])).open("a") as file:
        file.write(f"{todo.held_out} {os.getpid()}\n")
    return todo.held_out, float(shared["data"].sum()), threads, os.getpid()


def done(log: Path) -> Counter[str]:
    return Counter(line.split()[0] for line in log.read_text().splitlines())


def by(log: Path) -> set[int]:
    return {int(line.split()[1]) for line in log.read_text().splitlines()}


def start(
    cluster: Cluster, names: list[str], log: Path, said: list[str] | None = None
) -> Iterator[tuple[Cell, Any]]:
    shared = {"data": np.arange(1000.0), "log": str(log)}
    return Dask(1, cluster.address, patience=60).run(
        count,
        [cell(name, "gpu" if name.startswith("gpu") else "m") for name in names],
        shared,
        lambda _: ["data", "log"],
        lambda c: c.model == "gpu",
        (said if said is not None else []).append,
    )


@pytest.fixture(scope="module")
def inputs(toy_file: Path) -> Inputs:
    study = Study(
        dataset=str(toy_file), target="energy", min_size=60, representations=("magpie",),
        criteria=("crystal_system",), models=("lgbm", "knn"),
        model_settings={"lgbm": {"n_estimators": 10, "n_jobs": 1}},
    )  # fmt: skip
    return prepare(study)


def test_results_are_those_of_a_local_run_and_a_run_goes_on_elsewhere(
    cluster: Cluster, inputs: Inputs, tmp_path: Path
) -> None:
    local, there = create(tmp_path / "local", inputs), create(tmp_path / "there", inputs)
    grid = cells(local)
    evaluate(local, inputs)
    begun = grid[::3]  # begun here, gone on with on the cluster
    evaluate(there, inputs, chosen=begun)
    before = {c: there.run_facts(c) for c in begun}
    outcomes = evaluate(there, inputs, engine=Dask(1, cluster.address))
    assert {outcome.cell for outcome in outcomes} == set(grid) - set(begun)
    assert not [outcome.error for outcome in outcomes if outcome.error]
    assert {c: there.run_facts(c) for c in begun} == before
    assert {there.run_facts(c)["threads"] for c in set(grid) - set(begun)} == {2}
    mine, theirs = local.read_predictions(grid), there.read_predictions(grid)
    pd.testing.assert_frame_equal(mine, theirs, check_exact=True)


@pytest.mark.parametrize("processes", [False, pytest.param(True, marks=pytest.mark.slow)])
def test_an_adaptive_cluster_begins_with_no_worker_and_ends_with_none(
    inputs: Inputs, tmp_path: Path, processes: bool, monkeypatch: pytest.MonkeyPatch
) -> None:
    from distributed import Client, LocalCluster

    scatter = Client.scatter

    def slowly(*arguments: Any, **options: Any) -> Any:
        time.sleep(0.4)  # many data: long enough for idle workers to be let go
        return scatter(*arguments, **options)

    monkeypatch.setattr(Client, "scatter", slowly)

    local, there = create(tmp_path / "local", inputs), create(tmp_path / "there", inputs)
    chosen = cells(local)[:6]
    evaluate(local, inputs, chosen=chosen)
    # Workers that are threads speak without sockets: distributed leaves those of retired ones open.
    speak = {"host": "127.0.0.1", "protocol": "tcp"} if processes else {"protocol": "inproc"}
    with LocalCluster(
        n_workers=0, threads_per_worker=1, processes=processes, dashboard_address="127.0.0.1:0",
        local_directory=str(tmp_path), **speak,
    ) as adaptive:  # fmt: skip
        adaptive.adapt(minimum=0, maximum=2, interval="50ms", wait_count=3)
        assert not adaptive.workers
        scheduler = Dask(1, adaptive.scheduler_address)
        outcomes = evaluate(
            there, inputs, chosen=chosen, engine=scheduler, reporter=(log := Said())
        )
        until = time.monotonic() + 60
        while adaptive.workers and time.monotonic() < until:
            time.sleep(0.05)
        assert not adaptive.workers
    assert "no worker is there yet: waiting for the first one" in log.lines
    assert not [outcome.error for outcome in outcomes if outcome.error]
    mine, theirs = local.read_predictions(chosen), there.read_predictions(chosen)
    pd.testing.assert_frame_equal(mine, theirs, check_exact=True)


class Said(Silent):
    """A reporter that keeps what was said."""

    def __init__(self) -> None:
        self.lines: list[str] = []

    def say(self, text: str) -> None:
        self.lines.append(text)


def test_a_worker_killed_midway_and_one_that_comes_late_without_data(
    cluster: Cluster, log: Path
) -> None:
    names = [f"{i}" for i in range(30)]
    results = start(cluster, [*names, "raise", "gpu"], log, said := [])
    found = dict([next(results) for _ in range(4)])
    handed_over = {c.held_out for c in found}
    assert said[0].startswith(f"Dask cluster {cluster.address}: 2 workers")
    assert said[1] == "1 cells wait for a worker started with --resources GPU=1"
    late = cluster.add_worker("--resources", "GPU=1")
    dead = cluster.workers[0]
    dead.kill()
    dead.wait()
    found |= dict(results)
    by_name = {c.held_out: result for c, result in found.items()}
    assert by_name.pop("raise") == "ValueError: no luck"
    assert by_name.keys() == {*names, "gpu"}
    assert {total for _, total, _, _ in by_name.values()} == {499500.0}
    assert by_name["gpu"][3] == late.pid
    # Only what the dead worker had in hand, not handed over yet, was done again.
    counted = done(log)
    assert counted.keys() == by_name.keys()
    again = {name for name, times in counted.items() if times > 1}
    assert len(again) <= 2
    assert not again & handed_over
    assert late.pid in by(log)


def test_all_workers_killed_and_their_data_with_them(cluster: Cluster, log: Path) -> None:
    names = [f"{i}" for i in range(12)]
    results = start(cluster, names, log)
    found = dict([next(results) for _ in range(3)])
    for worker in cluster.workers:
        worker.kill()
        worker.wait()
    finished = done(log)
    cluster.workers.clear()
    cluster.add_worker()
    found |= dict(results)
    assert {c.held_out for c in found} == set(names)
    again = {name for name, times in done(log).items() if times > 1}
    assert len(again) <= len(finished) - 3  # none of those that had been handed over
    assert not again & {c.held_out for c in list(found)[:3]}


def test_a_scheduler_killed_and_started_again(cluster: Cluster, log: Path) -> None:
    names = [f"{i}" for i in range(30)]  # more than are done before the scheduler is
    results = start(cluster, names, log, said := [])
    found = dict([next(results) for _ in range(3)])
    handed_over = {c.held_out for c in found}
    cluster.stop()
    with ThreadPoolExecutor(1) as pool:
        rest = pool.submit(dict, results)
        until = time.monotonic() + 60
        while not any(text.startswith("the scheduler was lost") for text in said):
            assert time.monotonic() < until
            time.sleep(0.05)
        cluster.start(workers=1)
        found |= rest.result()
    assert {c.held_out for c in found} == set(names)
    assert not handed_over & {name for name, times in done(log).items() if times > 1}


def test_a_cell_that_kills_its_workers_is_named(cluster: Cluster, log: Path) -> None:
    """And nothing is said of those that were on a worker when it died, once or again."""
    cluster.add_worker()
    others = ["1", "2", "3", "4", "5", "6"]
    with cluster.kept_up():
        found = dict(start(cluster, ["crash", *others], log))
    by_name = {c.held_out: result for c, result in found.items()}
    assert by_name.pop("crash") == CRASHED
    assert [by_name[name][0] for name in others] == others


def test_a_worker_with_other_versions_is_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    ours = engine.versions()
    assert ours["offmap"] == offmap.__version__
    answer = engine.run_there(lambda *_: 1, cell("1"), {}, ours | {"numpy": "0.1", "torch": "9"})
    assert answer[0] is None
    with pytest.raises(OffmapError, match=r"numpy .*, not 0\.1.*not be those of a local run"):
        engine._checked(answer)
    monkeypatch.setenv("OMP_NUM_THREADS", "3")
    assert engine.run_there(lambda _c, _a, threads: threads, cell("1"), {}, ours) == (3, "")


def test_addresses_that_lead_nowhere(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(engine, "_ANSWER", 0.3)
    with pytest.raises(SettingsError, match="--scheduler tcp://HOST:8786"):
        Dask(1)
    for address in (f"tcp://127.0.0.1:{free_port()}", "nonsense://x", "::"):
        nowhere = Dask(1, address).run(count, [cell(1)], {}, lambda _: [], lambda _: False, print)
        with pytest.raises(OffmapError, match="no Dask scheduler answers at"):
            next(nowhere)


@pytest.mark.skipif(os.name != "posix", reason="signals of POSIX")
def test_leaving_early_cancels_what_is_left(cluster: Cluster, log: Path) -> None:
    before = signal.getsignal(signal.SIGINT)  # ignored, where the tests run in the background
    cluster.add_worker()
    results = start(cluster, [f"{i}" for i in range(50)], log)
    next(results)
    results.close()
    time.sleep(0.5)
    counted = sum(done(log).values())
    time.sleep(0.6)
    assert sum(done(log).values()) == counted < 20
    assert signal.getsignal(signal.SIGINT) is before
