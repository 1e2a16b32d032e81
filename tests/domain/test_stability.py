"""How far a verdict depends on choices: the command, its table and its summary."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pandas as pd
import pytest
from typer.testing import CliRunner

from offmap.cli import app
from offmap.domain import faithful
from offmap.domain.from_study import materials_of, numbers_of
from offmap.domain.stability import _sample, summary, task_stability
from offmap.errors import UnknownNameError
from offmap.inputs import Inputs
from offmap.store import Store

TASK = "element/F"


@pytest.fixture
def quick_maps(monkeypatch: pytest.MonkeyPatch) -> None:
    """Two principal components in place of UMAP, turned by the seed."""

    def joint(X: np.ndarray, seed: int | None = None) -> np.ndarray:
        centred = (X - X.mean(axis=0)) / np.maximum(X.std(axis=0), 1e-9)
        axes = np.linalg.svd(centred, full_matrices=False)[2]
        return centred @ axes[[0, 1 + (seed or 0)]].T

    monkeypatch.setattr(faithful, "joint_map", joint)
    monkeypatch.setattr(faithful, "train_map", lambda X, test, seed: joint(X, seed))


def test_the_command_shows_both_methods(finished: Store, quick_maps: None) -> None:
    done = CliRunner().invoke(
        app, ["domain", str(finished.folder), "--stability", TASK, "--jobs", "1"]
    )
    assert done.exit_code == 0, done.output
    for word in ("expected_error", "mean_standing", "density", "published", "least", "most"):
        assert word in done.output
    table = finished.read_table("domain_stability")
    assert set(table["task"]) == {TASK}
    counts = table.groupby(["method", "decided_by"], observed=True)["setting"].nunique()
    assert counts["offmap", "expected_error"] == counts["offmap", "mean_standing"] == 9
    assert counts["published", "density"] == 8
    assert table["coverage"].between(0, 1).all()
    each = finished.read_table("domain_stability_materials")
    assert each.groupby("decided_by")["material_id"].nunique().eq(88).all()
    assert each["share_out"].between(0, 1).all()
    ranges = summary(table).set_index("method")
    assert (ranges["least"] <= ranges["coverage"]).all()
    # Fluorides are unlike all else here, and no choice hides it.
    ours = ranges.loc[["offmap"]].set_index("decided_by")
    assert ours.loc["expected_error", "most"] - ours.loc["expected_error", "least"] < 0.3
    assert "interpolation" not in ours.loc["expected_error", "verdicts"]


def test_a_sample_is_drawn_by_ids(inputs: Inputs) -> None:
    materials, tasks = materials_of(inputs, "magpie")
    task = numbers_of(tasks, [TASK])[0]
    sample = _sample(materials, task, 400, inputs)
    assert (len(sample.y), sample.test.shape, int(sample.calibration.sum())) == (400, (400, 1), 40)
    share = materials.test[:, task].mean()
    assert sample.test.mean() == pytest.approx(share, abs=0.05)
    again = _sample(materials, task, 400, inputs)
    np.testing.assert_array_equal(sample.y, again.y)


def test_a_task_that_is_not_there_is_named(finished: Store, inputs: Inputs) -> None:
    few = replace(inputs, membership=inputs.membership.select(np.arange(5)))
    with pytest.raises(UnknownNameError, match="kept task"):
        task_stability(finished, few, "element/Xx")


def test_the_summary_says_which_verdicts_occur() -> None:
    rows = [("default", 0.2), ("seed 1", 0.3), ("narrow kernels", 0.7)]
    table = pd.DataFrame(rows, columns=["setting", "coverage"])
    table = table.assign(task=TASK, method="published", decided_by="density", n_materials=10)
    found = summary(table).iloc[0]
    assert found["verdicts"] == "extrapolation, interpolation"
    assert (found["coverage"], found["least"], found["most"]) == (0.2, 0.2, 0.7)
