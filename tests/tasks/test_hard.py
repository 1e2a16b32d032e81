"""Hard tasks: selected or built where planted, written to the same bytes, refused when changed."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest

from offmap.errors import DataError
from offmap.tasks.hard import HardTasks, digest, read, select, write
from offmap.tasks.membership import Membership

IDS = np.array([f"m-{i:03d}" for i in range(100)], dtype=object)


def _membership() -> Membership:
    """Far (20 of 20 out), half (30 of 40 out), small (5 of 5), inside (0 of 30), a twin of far."""
    matrix = np.zeros((100, 6), dtype=bool, order="F")
    for t, rows in enumerate(
        (range(20), range(20, 60), range(60, 65), range(65, 95), range(20), range(50, 100))
    ):
        matrix[list(rows), t] = True
    criterion = ["element"] * 4 + ["group", "in_distribution"]
    held_out = ["far", "half", "small", "inside", "twin", "fold-1"]
    return Membership(np.array(criterion, object), np.array(held_out, object), matrix)


@pytest.fixture
def out() -> np.ndarray:
    out = _membership().matrix.copy()
    out[50:60, 1] = False
    out[:, 3] = False
    return out


@pytest.fixture
def hard(out: np.ndarray) -> HardTasks:
    return select(_membership(), IDS, out, min_out=0.8, min_size=10)


def test_selected_and_built(hard: HardTasks) -> None:
    tasks = hard.tasks.set_index("held_out")
    assert list(tasks.index) == ["far", "half"]
    assert tasks.loc["far", ["kind", "n_test", "n_unused", "n_train"]].tolist() == [
        "selected", 20, 0, 80,
    ]  # fmt: skip
    assert tasks.loc["half", ["kind", "n_test", "n_unused", "n_train"]].tolist() == [
        "built", 30, 10, 60,
    ]  # fmt: skip
    assert (tasks["share_out"] == 1).all()
    train, test = hard.split(1)
    assert not set(train) & set(test)
    assert not set(IDS[50:60]) & (set(train) | set(test))  # the inside of the group is in neither
    assert tasks.loc["half", "test_sha256"] == digest(reversed(IDS[20:50]))


def test_a_lower_bar_selects_the_whole_group(out: np.ndarray) -> None:
    tasks = select(_membership(), IDS, out, 0.5, 10).tasks.set_index("held_out")
    assert tasks.loc["half", "kind"] == "selected"
    assert tasks.loc["half", "share_out"] == 0.75
    assert tasks.loc["half", "n_test"] == 40


def test_the_same_bytes_and_back(hard: HardTasks, tmp_path: Path) -> None:
    about = {"dataset": "planted", "versions": {"offmap": "0"}}
    first = [path.read_bytes() for path in write(hard, about, tmp_path / "a" / "hard.json")]
    again = [path.read_bytes() for path in write(hard, about, tmp_path / "b" / "hard.json")]
    assert first == again
    back = read(tmp_path / "a" / "hard.json")
    np.testing.assert_array_equal(back.test, hard.test)
    np.testing.assert_array_equal(back.unused, hard.unused)
    assert back.tasks.to_dict() == hard.tasks[back.tasks.columns].to_dict()


def test_what_was_changed_is_noticed(hard: HardTasks, tmp_path: Path) -> None:
    manifest, members = write(hard, {}, tmp_path / "hard.json")
    text = members.read_text()
    members.write_text(text.replace("m-000", "m-090"))
    with pytest.raises(DataError, match="not the file"):
        read(manifest)
    members.write_text(text)
    facts = json.loads(manifest.read_text())
    facts["tasks"][0]["train_sha256"] = "0" * 64
    manifest.write_text(json.dumps(facts))
    with pytest.raises(DataError, match=r"element/far .* has other materials"):
        read(manifest)
    manifest.write_text("[]")
    with pytest.raises(DataError, match="not a manifest"):
        read(manifest)
    with pytest.raises(DataError, match="cannot read"):
        read(tmp_path / "none.json")


def test_nothing_hard_is_said(out: np.ndarray) -> None:
    with pytest.raises(DataError, match=r"no task has 50 .* element/half \(30 of 40\)"):
        select(_membership(), IDS, out, 0.8, 50)
    with pytest.raises(DataError, match="share out of domain"):
        select(_membership(), IDS, out, 0.0, 10)
