"""Parts of a grid beside each other in one folder, as a job array runs them."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest

from offmap import Study
from offmap.engines import Shard
from offmap.errors import SettingsError, StudyError
from offmap.evaluate import cells
from offmap.stages import run, score, train
from offmap.store import Store, states

SCRIPT = Path(__file__).parents[2] / "docs" / "slurm-shards.sh"


@pytest.mark.parametrize(
    "text", ["", "1", "0/3", "4/3", "1/0", "-1/3", "1/3/5", "a/b", "1.0/3", "²/3"]
)
def test_what_is_no_shard(text: str) -> None:
    with pytest.raises(SettingsError, match="--shard must be i/n"):
        Shard.parse(text)


@pytest.mark.parametrize("count", [1, 2, 3, 10, 50])
def test_shards_make_up_the_whole(count: int) -> None:
    grid = list(range(37))
    parts = [Shard.parse(f"{i}/{count}").of(grid) for i in range(1, count + 1)]
    assert sorted(cell for part in parts for cell in part) == grid
    assert max(map(len, parts)) - min(map(len, parts)) <= 1


@pytest.fixture
def study(toy_file: Path) -> Study:
    return Study(
        dataset=str(toy_file), target="energy", min_size=60, representations=("magpie",),
        criteria=("crystal_system",), models=("dummy",), n_bootstrap=10,
    )  # fmt: skip


def test_who_may_work_beside_whom(tmp_path: Path, study: Study) -> None:
    one, two = Shard(1, 2), Shard(2, 2)
    store = run(study, tmp_path / "s", jobs=1, shard=one).store
    grid = cells(store)
    assert states(store, grid)["done"] == grid[::2]
    assert not store.has_table("scores")
    before = {cell: store.run_facts(cell) for cell in grid[::2]}
    with store.lock(one.name):
        with pytest.raises(StudyError, match="shard 1-of-2 is working in"):
            train(store, shard=one)
        with pytest.raises(StudyError, match="shard 1-of-2 is working in"), store.lock():
            pass
        train(store, shard=two)
    assert states(store, grid)["missing"] == []
    assert {cell: store.run_facts(cell) for cell in grid[::2]} == before
    assert len(score(store)) > len(grid)
    with store.lock(), pytest.raises(StudyError, match="another run is working in"):
        offmap_locks_wait_less(store)


def offmap_locks_wait_less(store: Store) -> None:
    """Ask for the folder as a shard does, without the patience."""
    from offmap import locks

    with locks._locked(store.folder, ".lock", "another run", 0.1):
        pass


@pytest.mark.skipif(os.name != "posix", reason="a shell script")
def test_the_slurm_script_runs_shards_of_an_array(tmp_path: Path, study: Study) -> None:
    import tomli_w

    file, folder = tmp_path / "study.toml", tmp_path / "study"
    file.write_text(tomli_w.dumps(study.to_dict()))
    subprocess.run(["bash", "-n", SCRIPT], check=True)
    (tmp_path / "bin").mkdir()
    command = tmp_path / "bin" / "offmap"
    command.write_text(f'#!/bin/sh\nexec {sys.executable} -m offmap "$@"\n')
    command.chmod(0o755)
    jobs = [
        subprocess.Popen(
            ["bash", str(SCRIPT), str(file), str(folder)],
            env=os.environ
            | {
                "PATH": f"{command.parent}:{os.environ['PATH']}",
                "SLURM_ARRAY_TASK_ID": str(task),
                "SLURM_ARRAY_TASK_MIN": "5",
                "SLURM_ARRAY_TASK_COUNT": "2",
                "SLURM_CPUS_PER_TASK": "1",
            },
            stdout=subprocess.PIPE,
            text=True,
        )
        for task in (5, 6)
    ]
    said = [job.communicate(timeout=300)[0] for job in jobs]
    assert [job.returncode for job in jobs] == [0, 0]
    assert "shard 1-of-2 is done; when all are, run once more without --shard" in said[0]
    assert "shard 2/2 on " in said[1]
    store = Store.open(folder)
    assert set(states(store, cells(store))["done"]) == set(cells(store))
