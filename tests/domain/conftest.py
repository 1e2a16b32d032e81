"""Materials with planted truths: a group far outside, one well inside, one half and half."""

from __future__ import annotations

import shutil
from pathlib import Path

import numpy as np
import pytest

from offmap.domain.calibration import calibration_rows
from offmap.domain.scoring import Materials
from offmap.evaluate import evaluate
from offmap.inputs import Inputs, prepare
from offmap.stages import create
from offmap.store import Store
from offmap.study import Study

TASKS = ("far", "inside", "half", *(f"fold-{k + 1}" for k in range(5)))
N = 1500


@pytest.fixture(scope="session")
def planted() -> Materials:
    """1,500 materials in 12 features; tasks as in :data:`TASKS`."""
    rng = np.random.default_rng(3)
    mixing = rng.normal(size=(12, 12))
    X = rng.normal(size=(N, 12)) @ mixing * 0.5
    order = rng.permutation(N)
    far, inside, half = order[:120], order[120:240], order[240:360]
    step = np.abs(X).max(axis=0)
    X[far, :6] += 4 * step[:6]
    X[half[:60], 6:] -= 4 * step[6:]
    y = X[:, 0] + 0.5 * X[:, 7] ** 2 + 0.1 * rng.normal(size=N)
    test = np.zeros((N, len(TASKS)), dtype=bool)
    for task, rows in enumerate((far, inside, half)):
        test[rows, task] = True
    # The outlying rows are in no fold: they are not in distribution.
    fold = rng.integers(0, 5, N)
    for k in range(5):
        test[:, 3 + k] = fold == k
    calibration = calibration_rows([f"m-{i}" for i in range(N)])
    outlying = np.concatenate([far, half[:60]])
    test[outlying, 3:] = False
    calibration[outlying] = False
    return Materials(X.astype(np.float32), y, test, calibration)


@pytest.fixture(scope="session")
def inputs(toy_file: Path) -> Inputs:
    """A study of the toy crystals that leaves elements out."""
    study = Study(
        dataset=str(toy_file), target="energy", models=("knn",), representations=("magpie",),
        criteria=("element",), min_size=80, n_bootstrap=50, n_folds=3,
    )  # fmt: skip
    return prepare(study)


@pytest.fixture(scope="session")
def trained(inputs: Inputs, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Its folder with all tasks finished; to be copied."""
    store = create(tmp_path_factory.mktemp("trained") / "study", inputs)
    assert not [outcome for outcome in evaluate(store, inputs) if outcome.error]
    return store.folder


@pytest.fixture(scope="module")
def finished(trained: Path, tmp_path_factory: pytest.TempPathFactory) -> Store:
    """A copy of the finished study, of each module its own."""
    return Store(shutil.copytree(trained, tmp_path_factory.mktemp("finished") / "study"))
