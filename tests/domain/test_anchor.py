"""In terms of an anchor one index serves all tasks, and each task's numbers stay its own."""

from dataclasses import replace
from types import SimpleNamespace
from typing import Any, cast

import numpy as np
import pytest

from offmap.domain import anchor as anchors
from offmap.domain.anchor import Anchor, anchor_of
from offmap.domain.detectors import DETECTORS, SIGNALS, make_detector
from offmap.domain.neighbours import neighbours
from offmap.domain.reference import Reference
from offmap.domain.scoring import Materials, TaskScores, score_task, score_tasks
from offmap.domain.shared_neighbours import SharedNeighbours
from offmap.domain.verdicts import Combined, Standings
from offmap.inputs import Inputs
from tests.domain.conftest import TASKS


@pytest.fixture(scope="module")
def anchored(planted: Materials) -> Materials:
    """The planted materials with an anchor of other ones, some as far out as any."""
    rng = np.random.default_rng(11)
    mixing = np.random.default_rng(3).normal(size=(12, 12))
    X = rng.normal(size=(800, 12)) @ mixing * 0.7
    y = X[:, 0] + 0.5 * X[:, 7] ** 2
    return replace(planted, anchor=Anchor(X.astype(np.float32), y))


@pytest.fixture(scope="module")
def scored(anchored: Materials) -> dict[str, TaskScores]:
    return dict(zip(TASKS, score_tasks(anchored, (*DETECTORS, *SIGNALS), jobs=2), strict=True))


@pytest.mark.parametrize("task", ["far", "half", "fold-1"])
@pytest.mark.parametrize("detector", [*DETECTORS, *SIGNALS])
def test_all_tasks_at_once_equals_each_task_alone(
    anchored: Materials, scored: dict[str, TaskScores], task: str, detector: str
) -> None:
    learn, calibration, test = anchored.rows(TASKS.index(task))
    alone = Reference(anchored.X[learn], anchored.y[learn], anchor=anchored.anchor)
    fitted = make_detector(detector).fit(alone)
    found = scored[task]
    sides = ((found.scores, test), (found.calibration_scores, calibration))
    for side, rows in sides:
        np.testing.assert_allclose(
            side[detector], fitted.score(anchored.X[rows]), rtol=2e-3, atol=2e-3
        )


def test_planted_truths_are_found(scored: dict[str, TaskScores]) -> None:
    for name in (*DETECTORS, "combined"):
        share = {}
        for task in ("far", "inside", "half"):
            standings = Standings.of(scored[task])
            if name == "combined":
                share[task] = Combined.mean(standings).out_of_domain.mean()
            else:
                share[task] = (standings.columns((name,)).test > 1).mean()
        assert share["far"] >= 0.95
        assert share["inside"] <= 0.15
        assert 0.4 <= share["half"] <= 0.65


def test_test_rows_change_nothing(anchored: Materials, scored: dict[str, TaskScores]) -> None:
    rows = np.flatnonzero(anchored.test[:, 0])
    X, y = anchored.X.copy(), anchored.y.copy()
    X[rows], y[rows] = 7.0, -1000.0
    other = replace(anchored, X=X, y=y)
    found = next(score_tasks(other, (*DETECTORS, *SIGNALS), [0]))
    for name, score in found.calibration_scores.items():
        expected = scored["far"].calibration_scores[name]
        np.testing.assert_allclose(score, expected, rtol=2e-3, atol=2e-3)


def test_some_rows_score_as_among_all(anchored: Materials, scored: dict[str, TaskScores]) -> None:
    _, calibration, test = anchored.rows(2)
    asked = np.sort(np.concatenate([test[::3], calibration[::2]]))
    found = score_task(anchored, 2, ("knn", "kde", "local_density"), asked=asked)
    for name in ("knn", "kde"):
        np.testing.assert_allclose(found.scores[name], scored["half"].scores[name][::3], rtol=2e-3)
    assert (found.calibration == calibration[::2]).all()


@pytest.mark.parametrize("size", [10, 400, 900])
def test_lists_without_the_test_set_are_exact(size: int) -> None:
    """A test set takes a few of a list, many, or nearly all of some lists."""
    rng = np.random.default_rng(size)
    points = rng.normal(size=(1000, 3)).astype(np.float32)
    usable = rng.random(1000) < 0.9
    held_out = np.zeros(1000, dtype=bool)
    held_out[np.argsort(points[:, 0])[:size]] = True
    lists = SharedNeighbours.of(points, usable, 0.3, jobs=2)
    rows = np.flatnonzero(held_out | ~usable)
    found = lists.around(rows, held_out, 10)
    learn = points[usable & ~held_out]
    expected = neighbours(points[rows], learn, 10, (0.3,))
    np.testing.assert_allclose(found.distance, expected.distance, atol=1e-5)
    assert (found.index == expected.index).mean() > 0.999
    np.testing.assert_allclose(found.log_density, expected.log_density, atol=2e-3)


def test_who_has_an_anchor(monkeypatch: pytest.MonkeyPatch) -> None:
    def study(name: str, n: int) -> Inputs:
        card = SimpleNamespace(name=name)
        return cast(Any, _Fake(n, SimpleNamespace(card=card)))

    assert anchor_of(study("prototypes", 20_000), "matminer") is None
    assert anchor_of(study("mine", anchors.FEWEST_MATERIALS - 1), "matminer") is None


class _Fake:
    def __init__(self, n: int, dataset: Any) -> None:
        self.n, self.dataset = n, dataset

    def __len__(self) -> int:
        return self.n
