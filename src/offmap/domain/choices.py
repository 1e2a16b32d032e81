"""What could have been chosen otherwise, here and in the published procedure, and its effect."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import replace
from typing import NamedTuple

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from offmap.domain import faithful
from offmap.domain.calibration import FALSE_ALARMS, calibration_rows
from offmap.domain.detectors import DETECTORS, SIGNALS, Detector, KernelDensity, NearestNeighbours
from offmap.domain.experience import Experience
from offmap.domain.judge import Context, Predictions, judge
from offmap.domain.scoring import Materials, TaskScores, score_task
from offmap.domain.verdicts import Combined, Standings
from offmap.progress import Progress

Array = NDArray[np.float64]

BANDWIDTHS = (0.005, 0.02, 0.05)
"""Of the published density, besides the published one."""
_SEEDS, _SUBSETS, _SHARE = 3, 3, 2 / 3


Verdict = Callable[[TaskScores], Combined]


class Otherwise(NamedTuple):
    """Verdicts on the test materials of a task, with one thing chosen otherwise.

    Parameters
    ----------
    decided_by, setting
        How was decided, and what was chosen.
    out
        Verdict per test material, in the order of their rows, shape (n_test,).
    """

    decided_by: str
    setting: str
    out: NDArray[np.bool_]


def otherwise(
    materials: Materials,
    task: int,
    detectors: Sequence[str] = (*DETECTORS, *SIGNALS),
    rate: float = FALSE_ALARMS,
    verdicts: Mapping[str, Verdict] | None = None,
    progress: Progress | None = None,
) -> Iterator[Otherwise]:
    """Judge one task over seeds, bandwidths, numbers of neighbours and feature sets.

    Parameters
    ----------
    materials
        Features, labels and tasks.
    task
        Number of the task.
    detectors
        Names of the detectors and signals that are combined.
    rate
        False-alarm rate.
    verdicts
        Ways to decide, by name; by default the mean standing alone.
    """
    ways = dict(verdicts or {}) or {"mean_standing": mean_standing(rate)}
    settings = list(_settings(materials, tuple(detectors)))
    for done, (setting, changed, swap) in enumerate(settings, start=1):
        names = [swap.get(name, name) for name in detectors]
        back = dict(zip(names, detectors, strict=True))
        scores = _renamed(score_task(changed, task, names), back)
        for way, decide in ways.items():
            yield Otherwise(way, setting, decide(scores).out_of_domain)
        if progress:
            progress(done, len(settings))


def stability(found: Iterable[Otherwise], n_materials: int) -> pd.DataFrame:
    """Coverage of one task with each choice.

    Returns
    -------
    DataFrame
        ``decided_by``, ``setting``, ``coverage``, ``n_materials``; the default first.
    """
    rows = [(one.decided_by, one.setting, float(1 - one.out.mean())) for one in found]
    columns = ["decided_by", "setting", "coverage"]
    return pd.DataFrame(rows, columns=columns).assign(n_materials=n_materials)


def of_materials(found: Iterable[Otherwise], material_id: NDArray[np.object_]) -> pd.DataFrame:
    """How stable the verdict on each test material is.

    Returns
    -------
    DataFrame
        ``material_id``, ``decided_by``, ``out_of_domain`` with the default, ``share_out`` over all
        choices, and ``stable``: no choice gives another verdict.
    """
    by_way: dict[str, list[NDArray[np.bool_]]] = {}
    for one in found:
        by_way.setdefault(one.decided_by, []).append(one.out)
    parts = []
    for way, outs in by_way.items():
        share = np.mean(outs, axis=0)
        facts = {"material_id": material_id, "decided_by": way, "out_of_domain": outs[0]}
        parts.append(pd.DataFrame(facts | {"share_out": share, "stable": np.isin(share, [0, 1])}))
    return pd.concat(parts, ignore_index=True)


def mean_standing(rate: float = FALSE_ALARMS) -> Verdict:
    """The verdict that needs no finished task."""
    return lambda scores: Combined.mean(Standings.of(scores, rate), rate)


def expected_error(
    learned: Experience,
    predicted: Predictions,
    y: Array,
    seed: int,
    about: Callable[[TaskScores], Context],
    rate: float = FALSE_ALARMS,
) -> Verdict:
    """The verdict by the error that the finished tasks of a study, but this one, let expect.

    Parameters
    ----------
    learned
        What the study teaches without any material of the task.
    predicted, y
        Predictions of the study's model, and labels of all materials.
    seed
        Of the error model.
    about
        Says what the scored materials are made of.
    """

    def decide(scores: TaskScores) -> Combined:
        one = judge(scores, y, predicted, rate)
        names = tuple(name for name in learned.names if name in one.features.names)
        features, model = one.features.columns(names), learned.error_model(names, seed)
        beside = about(scores)
        return Combined(
            model.predict(features.test, beside.test),
            model.predict(features.calibration, beside.calibration),
            rate,
        )

    return decide


def _settings(
    materials: Materials, detectors: tuple[str, ...]
) -> Iterator[tuple[str, Materials, dict[str, str]]]:
    """What was chosen, what it makes of the materials, and which detectors take whose place."""
    yield "default", materials, {}
    rows = [str(i) for i in range(len(materials.y))]
    for seed in range(1, _SEEDS + 1):
        others = calibration_rows(rows, seed, int(materials.calibration.sum()))
        yield f"seed {seed}", replace(materials, calibration=others, seed=seed), {}
    for word in ("narrow", "wide"):
        swap = {"kde": f"{__name__}:{word}_kde", "knn": f"{__name__}:{word}_knn"}
        yield f"{word} kernels", materials, {k: v for k, v in swap.items() if k in detectors}
    p = materials.X.shape[1]
    for subset in range(1, _SUBSETS + 1):
        rng = np.random.default_rng(subset)
        columns = np.sort(rng.choice(p, max(int(_SHARE * p), 1), replace=False))
        anchor = materials.anchor.columns(columns) if materials.anchor else None
        part = replace(materials, X=materials.X[:, columns], anchor=anchor)
        yield f"two thirds of the features, draw {subset}", part, {}


def _renamed(scores: TaskScores, names: Mapping[str, str]) -> TaskScores:
    """Scores under the names of the detectors whose place was taken."""
    return replace(
        scores,
        scores={names[k]: v for k, v in scores.scores.items()},
        calibration_scores={names[k]: v for k, v in scores.calibration_scores.items()},
    )


def published(
    materials: Materials,
    task: int,
    seeds: Sequence[int] = (0, 1, 2),
    progress: Progress | None = None,
) -> pd.DataFrame:
    """The same of the published procedure: its seed, bandwidth, features and what it is fitted on.

    Parameters
    ----------
    materials, task
        As above; calibration rows count as training rows, as the procedure has none.
    seeds
        Of the maps; the study set none.

    Returns
    -------
    DataFrame
        As above; the first row is the procedure as published, with the first seed.
    """
    test, X = materials.test[:, task], materials.X.astype(np.float64)
    rows: list[tuple[str, str, float, int]] = []

    def look(setting: str, points: Array, bandwidth: float = faithful.BANDWIDTH) -> None:
        found = faithful.density(points[~test], points[test], bandwidth)
        rows.append(("density", setting, float((found > faithful.CUT).mean()), len(X)))

    for done, seed in enumerate(seeds, start=1):
        points = faithful.joint_map(X, seed)
        look(f"seed {seed}" if rows else "as published", points)
        if seed == seeds[0]:
            for bandwidth in BANDWIDTHS:
                look(f"bandwidth {bandwidth:g}", points, bandwidth)
        if progress:
            progress(done, len(seeds) + 2)
    look("pruned features", faithful.joint_map(X[:, faithful.prune(X)], seeds[0]))
    look("map fitted on train alone", faithful.train_map(X, test, seeds[0]))
    return pd.DataFrame(rows, columns=["decided_by", "setting", "coverage", "n_materials"])


def narrow_kde() -> Detector:
    """Half the bandwidth."""
    return KernelDensity(0.5)


def wide_kde() -> Detector:
    """Twice the bandwidth."""
    return KernelDensity(2.0)


def narrow_knn() -> Detector:
    """The 5th neighbour."""
    return NearestNeighbours(5)


def wide_knn() -> Detector:
    """The 20th neighbour."""
    return NearestNeighbours(20)
