"""Hard tasks of a study: those whose verdicts say so, large enough, and the same each time."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pandas as pd
import pytest

from offmap.cli import app
from offmap.domain.hard import check, hard_tasks_of_study
from offmap.errors import DataError, StudyError, UnknownNameError
from offmap.inputs import Inputs
from offmap.stages import create
from offmap.store import Store
from offmap.tasks.hard import read, write

SHARES = {"F": 1.0, "Cl": 0.7, "Br": 0.4, "S": 0.0}


@pytest.fixture
def store(inputs: Inputs, tmp_path: Path) -> Store:
    """A study whose table ``domain`` puts planted shares of four groups out of domain."""
    made = create(tmp_path / "study", inputs)
    parts = []
    for held_out, share in SHARES.items():
        ids = inputs.material_id[inputs.membership.test_rows("element", held_out)]
        out = np.arange(len(ids)) < round(share * len(ids))
        keys = {"criterion": "element", "held_out": held_out, "out_of_domain": out}
        parts.append(pd.DataFrame({"material_id": ids, **keys}))
    table = pd.concat(parts, ignore_index=True)
    made.write_table("domain", table.assign(model="knn", representation="magpie"))
    return made


def test_planted_groups_are_found_with_their_share_and_size(store: Store, inputs: Inputs) -> None:
    found, about = hard_tasks_of_study(store, inputs, min_out=0.5, min_size=50)
    tasks = found.tasks.set_index("held_out")
    assert set(tasks.index) == {"F", "Cl"}
    assert (tasks["share_out"] >= 0.5).all()
    assert (tasks["n_test"] >= 50).all()
    assert tasks["kind"].to_dict() == {"F": "selected", "Cl": "selected"}
    harder, _ = hard_tasks_of_study(store, inputs, min_out=0.9, min_size=50)
    built = harder.tasks.set_index("held_out").loc["Cl"]
    assert (built["kind"], built["share_out"]) == ("built", 1.0)
    assert (built["n_test"], built["n_unused"]) == (62, 26)
    assert about["verdicts_of"] == {"model": "knn"}
    assert len(about["material_id_sha256"]) == 64


def test_the_manifest_is_made_again_and_verified(
    store: Store, inputs: Inputs, tmp_path: Path
) -> None:
    hard, about = hard_tasks_of_study(store, inputs, 0.5, min_size=50)
    first = [path.read_bytes() for path in write(hard, about, tmp_path / "a/hard.json")]
    again, same = hard_tasks_of_study(store, inputs, 0.5, min_size=50)
    check(tmp_path / "a/hard.json", again, same)
    assert first == [path.read_bytes() for path in write(again, same, tmp_path / "b/hard.json")]
    train, test = read(tmp_path / "a/hard.json").split(0)
    assert not set(train) & set(test)
    other, differs = hard_tasks_of_study(store, inputs, 0.9, min_size=50)
    with pytest.raises(DataError, match=r"1 of 2 tasks differ .* element/Cl.* min_out"):
        check(tmp_path / "a/hard.json", other, differs)


def test_the_command_verifies_on_the_second_call(store: Store, tmp_path: Path) -> None:
    from typer.testing import CliRunner

    flags = ["--hard", "--min-out", "0.5", "--min-size", "50", "-o", str(tmp_path / "a/hard.json")]
    first = CliRunner().invoke(app, ["export", str(store.folder), *flags])
    assert first.exit_code == 0, first.output
    manifest = json.loads((tmp_path / "a/hard.json").read_text())
    assert {task["held_out"] for task in manifest["tasks"]} == {"F", "Cl"}
    flags[-1] = str(tmp_path / "b/hard.json")
    second = CliRunner().invoke(
        app, ["export", str(store.folder), *flags, "--check", str(tmp_path / "a/hard.json")]
    )
    assert second.exit_code == 0, second.output
    assert (tmp_path / "b/hard.json").read_bytes() == (tmp_path / "a/hard.json").read_bytes()


def test_what_a_study_cannot_give_is_said(store: Store, inputs: Inputs) -> None:
    with pytest.raises(UnknownNameError, match="model in the table domain"):
        hard_tasks_of_study(store, inputs, model="knm")
    with pytest.raises(DataError, match="no task has 500"):
        hard_tasks_of_study(store, inputs, 0.5, min_size=500)
    table = store.read_table("domain")
    store.write_table("domain", table.assign(out_of_domain=False))
    with pytest.raises(StudyError, match="no material out of domain"):
        hard_tasks_of_study(store, inputs)
