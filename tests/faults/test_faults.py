"""Killed, full, damaged, doubled: afterwards the scores are those of an undisturbed run."""

from __future__ import annotations

import os
import random
import shutil
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pandas as pd
import pytest

from offmap import Study
from offmap.errors import StudyError
from offmap.evaluate import cells
from offmap.inputs import Inputs, prepare
from offmap.store import Store, states

if sys.platform == "win32":
    pytest.skip("signals and limits of POSIX", allow_module_level=True)

from .job import run, start, start_command

FEW = 12
"""Kills of the default run; 200 with ``-m slow``."""

LAST_CALL = 410
"""Calls on files of the study in an undisturbed run of it, about."""


@pytest.fixture(scope="module")
def inputs(toy_file: Path) -> Inputs:
    study = Study(
        dataset=str(toy_file), target="energy", min_size=60, representations=("magpie",),
        criteria=("crystal_system",), models=("dummy",), n_bootstrap=10, limit=400,
    )  # fmt: skip
    return prepare(study)


@pytest.fixture(scope="module")
def whole(inputs: Inputs, tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("whole") / "study"
    run(inputs, folder)
    return folder


def same_scores(folder: Path, whole: Path) -> None:
    mine, theirs = (Store.open(path).read_table("scores") for path in (folder, whole))
    pd.testing.assert_frame_equal(mine, theirs, check_exact=True)
    left = [path.name for path in folder.rglob(".*") if path.name != ".lock"]
    assert not left


def readable(folder: Path) -> None:
    """Whatever happened, what is there can be opened, and what counts as done is whole."""
    store = Store(folder)
    if not (folder / "study.toml").exists():
        return
    assert store.study() is not None
    if store.has_table("tasks"):
        done = states(store, cells(store))["done"]
        assert store.verify(done) == {}
        assert len(store.read_predictions(done)["y_pred"]) >= len(done)


# -- killed ----------------------------------------------------------------------------------------


def kill_until_done(inputs: Inputs, folder: Path, draw: random.Random, most: int) -> int:
    """Kill run after run of one study, until one comes through; how many were killed."""
    for killed in range(most):
        if draw.random() < 0.75:
            process = start(inputs, folder, die_at=draw.randint(1, LAST_CALL))
        else:
            process = start(inputs, folder)
            process.join(draw.uniform(0.0, 0.4))
            process.kill()
        process.join(120)
        if process.exitcode == 0:
            return killed
        assert process.exitcode == -signal.SIGKILL
        readable(folder)
    run(inputs, folder)
    return most


def kills(inputs: Inputs, whole: Path, tmp_path: Path, wanted: int, seed: int) -> int:
    """Run study after study, killed so often in all; how many studies came through."""
    draw, killed, done = random.Random(seed), 0, 0
    while killed < wanted:
        folder = tmp_path / f"study-{done}"
        killed += kill_until_done(inputs, folder, draw, min(wanted - killed, draw.randint(1, 8)))
        same_scores(folder, whole)
        shutil.rmtree(folder)
        done += 1
    return done


def test_killed_at_random_points(inputs: Inputs, whole: Path, tmp_path: Path) -> None:
    kills(inputs, whole, tmp_path, FEW, seed=1)


@pytest.mark.slow
def test_killed_two_hundred_times(inputs: Inputs, whole: Path, tmp_path: Path) -> None:
    done = kills(inputs, whole, tmp_path, 200, seed=2)
    print(f"200 kills in {done} studies")


@pytest.mark.parametrize(("how", "code"), [(signal.SIGTERM, 143), (signal.SIGINT, 130)])
def test_stopped_by_a_signal(
    inputs: Inputs, whole: Path, tmp_path: Path, how: signal.Signals, code: int
) -> None:
    folder, said = tmp_path / "study", tmp_path / "said"
    run(inputs, folder)
    shutil.rmtree(folder / "runs")
    slow = "tests.faults.slow:SlowMean"
    store = Store.open(folder)
    study = store.study().replace(models=("dummy", slow))
    Store.create(folder, study, store.provenance() | {"consumes": {"dummy": "features"}})
    process = start_command(["evaluate", str(folder), "--jobs", "1"], said)
    deadline = time.monotonic() + 120
    while not (folder / "runs").exists() and time.monotonic() < deadline and process.is_alive():
        time.sleep(0.02)
    assert process.pid is not None
    os.kill(process.pid, how)
    process.join(60)
    assert process.exitcode == code, said.read_text()
    assert said.read_text().endswith("stopped; run the same command again to go on\n")
    assert "Traceback" not in said.read_text()
    assert not list(folder.glob(".arrays-*"))
    readable(folder)


def test_two_runs_in_one_folder(inputs: Inputs, whole: Path, tmp_path: Path) -> None:
    folder = tmp_path / "study"
    both = [start(inputs, folder) for _ in range(2)]
    for process in both:
        process.join(120)
    codes = sorted(process.exitcode or 0 for process in both)
    assert codes in ([0, 2], [0, 0])  # kept out, or came when the other one was done
    same_scores(folder, whole)


# -- full ------------------------------------------------------------------------------------------


@pytest.mark.parametrize("most_bytes", [10, 1500, 5000])
def test_files_that_cannot_be_written_to_their_end(
    inputs: Inputs, whole: Path, tmp_path: Path, most_bytes: int
) -> None:
    folder = tmp_path / "study"
    process = start(inputs, folder, most_bytes=most_bytes)
    process.join(120)
    assert process.exitcode == 2
    readable(folder)
    assert not list(folder.rglob(".writing-*"))
    run(inputs, folder)
    same_scores(folder, whole)


@pytest.fixture
def small_disk(tmp_path: Path) -> Iterator[Path]:
    disk = tmp_path / "disk"
    disk.mkdir()
    mount = ["mount", "-t", "tmpfs", "-o", "size=120k", "tmpfs", str(disk)]
    if shutil.which("mount") is None or subprocess.run(mount, capture_output=True).returncode:
        pytest.skip("mounting a small disk is not permitted here")
    yield disk
    subprocess.run(["umount", "-l", str(disk)], check=True)


def test_a_full_disk(inputs: Inputs, whole: Path, small_disk: Path) -> None:
    folder = small_disk / "study"
    with pytest.raises(StudyError, match=r"cannot write .* run the same command again"):
        run(inputs, folder)
    readable(folder)
    larger = ["mount", "-o", "remount,size=64m", str(small_disk)]
    subprocess.run(larger, check=True, capture_output=True)
    run(inputs, folder)
    same_scores(folder, whole)


# -- damaged ---------------------------------------------------------------------------------------


def cut(data: bytes) -> bytes:
    return data[: len(data) // 2]


def flip(data: bytes) -> bytes:
    at = len(data) // 3
    return data[:at] + bytes(byte ^ 0x15 for byte in data[at : at + 4]) + data[at + 4 :]


def one_bit(data: bytes) -> bytes:
    at = 2 * len(data) // 3
    return data[:at] + bytes([data[at] ^ 1]) + data[at + 1 :]


DAMAGES = {
    "empty": lambda data: b"",
    "one bit": one_bit,
    "cut": cut,
    "flipped": flip,
    "longer": lambda data: data + data[:50],
    "garbage": lambda data: random.Random(0).randbytes(len(data)),
    "gone": None,
}
CELL = "runs/**/held_out"
FILES = {
    "study.toml": "",
    "_study.toml": "",
    "tasks.parquet": "",
    "members.parquet": "",
    "materials.parquet": "",
    "scores.parquet": "",
    "scores.csv": "",
    "rejected.csv": "",
    "predictions.parquet": "to be done again: dummy crystal_system/cubic",
    "_run.json": "",
}


def damage(path: Path, how: str) -> None:
    change = DAMAGES[how]
    if change is None:
        path.unlink()
    else:
        path.write_bytes(change(path.read_bytes()))


def check_damage(inputs: Inputs, whole: Path, folder: Path, name: str, how: str) -> None:
    shutil.copytree(whole, folder)
    store = Store.open(folder)
    cell = next(c for c in cells(store) if c.held_out == "cubic")
    inside = store.cell_folder(cell) / name
    damage(inside if inside.exists() else folder / name, how)
    said = run(inputs, folder)
    assert FILES[name] in "\n".join(said)
    same_scores(folder, whole)
    shutil.rmtree(folder)


@pytest.mark.parametrize("name", FILES)
def test_damaged_files_are_made_again(
    inputs: Inputs, whole: Path, tmp_path: Path, name: str
) -> None:
    draw = random.Random(name)
    for how in draw.sample(sorted(DAMAGES), 2):
        check_damage(inputs, whole, tmp_path / "study", name, how)


@pytest.mark.slow
@pytest.mark.parametrize("name", FILES)
@pytest.mark.parametrize("how", DAMAGES)
def test_every_damage_to_every_file(
    inputs: Inputs, whole: Path, tmp_path: Path, name: str, how: str
) -> None:
    check_damage(inputs, whole, tmp_path / "study", name, how)


def test_tables_that_a_run_does_not_make_are_set_aside(
    inputs: Inputs, whole: Path, tmp_path: Path
) -> None:
    folder = tmp_path / "study"
    shutil.copytree(whole, folder)
    store = Store.open(folder)
    store.write_table("domain", pd.DataFrame({"distance": np.random.default_rng(0).random(5000)}))
    damage(folder / "domain.parquet", "flipped")
    with pytest.raises(StudyError, match=r"domain\.parquet is damaged .*'offmap domain'"):
        store.read_table("domain")
    said = run(inputs, folder)
    assert f"domain.parquet was damaged and is set aside; 'offmap domain {folder}'" in said[0]
    assert (folder / "_damaged-domain.parquet").exists()
    same_scores(folder, whole)


def test_a_study_file_and_its_twin_both_damaged(
    inputs: Inputs, whole: Path, tmp_path: Path
) -> None:
    folder = tmp_path / "study"
    shutil.copytree(whole, folder)
    for name in ("study.toml", "_study.toml"):
        damage(folder / name, "garbage")
    with pytest.raises(StudyError, match=r"and its twin are damaged .* choose another --out"):
        run(inputs, folder)


def test_predictions_changed_on_disk_are_not_scored(
    inputs: Inputs, whole: Path, tmp_path: Path
) -> None:
    folder = tmp_path / "study"
    shutil.copytree(whole, folder)
    store = Store.open(folder)
    damage(store.cell_folder(cells(store)[0]) / "predictions.parquet", "flipped")
    with pytest.raises(StudyError, match=r"damaged .*: run 'offmap evaluate .*' to make it again"):
        store.read_predictions(cells(store))
