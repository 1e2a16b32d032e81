"""How much the verdict on a task moves when something is chosen otherwise."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import replace

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from offmap.columns import CRITERION, HELD_OUT
from offmap.domain.calibration import FALSE_ALARMS, calibration_rows
from offmap.domain.detectors import DETECTORS, SIGNALS, Detector, KernelDensity, NearestNeighbours
from offmap.domain.from_study import materials_of
from offmap.domain.scoring import Materials, score_task
from offmap.domain.verdicts import Combined, Standings
from offmap.errors import UnknownNameError
from offmap.inputs import Inputs
from offmap.store import Store

Array = NDArray[np.float64]

_SEEDS, _SUBSETS, _SHARE = 3, 3, 2 / 3


def stability(
    materials: Materials,
    task: int,
    detectors: Sequence[str] = (*DETECTORS, *SIGNALS),
    rate: float = FALSE_ALARMS,
) -> pd.DataFrame:
    """Coverage of one task over seeds, bandwidths, numbers of neighbours and feature sets.

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

    Returns
    -------
    DataFrame
        ``setting``, ``coverage``; the first row is the default.
    """
    rows = []
    for setting, changed, names in _settings(materials, tuple(detectors)):
        standings = Standings.of(score_task(changed, task, names), rate)
        coverage = 1 - Combined.mean(standings, rate).out_of_domain.mean()
        rows.append((setting, float(coverage)))
    return pd.DataFrame(rows, columns=["setting", "coverage"])


def _settings(
    materials: Materials, detectors: tuple[str, ...]
) -> Iterator[tuple[str, Materials, tuple[str, ...]]]:
    yield "default", materials, detectors
    rows = [str(i) for i in range(len(materials.y))]
    for seed in range(1, _SEEDS + 1):
        others = calibration_rows(rows, seed, int(materials.calibration.sum()))
        yield f"seed {seed}", replace(materials, calibration=others, seed=seed), detectors
    for word in ("narrow", "wide"):
        swap = {"kde": f"{__name__}:{word}_kde", "knn": f"{__name__}:{word}_knn"}
        yield f"{word} kernels", materials, tuple(swap.get(name, name) for name in detectors)
    p = materials.X.shape[1]
    for subset in range(1, _SUBSETS + 1):
        rng = np.random.default_rng(subset)
        columns = np.sort(rng.choice(p, max(int(_SHARE * p), 1), replace=False))
        anchor = materials.anchor.columns(columns) if materials.anchor else None
        part = replace(materials, X=materials.X[:, columns], anchor=anchor)
        yield f"two thirds of the features, draw {subset}", part, detectors


def published(materials: Materials, task: int, seeds: Sequence[int] = (0, 1)) -> pd.DataFrame:
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
        ``setting``, ``coverage``; the first row is the procedure as published, with the first seed.
    """
    from offmap.domain import faithful

    test, X = materials.test[:, task], materials.X.astype(np.float64)
    rows: list[tuple[str, float]] = []

    def look(setting: str, points: Array, bandwidth: float = faithful.BANDWIDTH) -> None:
        found = faithful.density(points[~test], points[test], bandwidth)
        rows.append((setting, float((found > faithful.CUT).mean())))

    for seed in seeds:
        points = faithful.joint_map(X, seed)
        look(f"seed {seed}" if rows else "as published", points)
        if seed == seeds[0]:
            for bandwidth in (0.005, 0.02, 0.05):
                look(f"bandwidth {bandwidth:g}", points, bandwidth)
    look("pruned features", faithful.joint_map(X[:, faithful.prune(X)], seeds[0]))
    look("map fitted on train alone", faithful.train_map(X, test, seeds[0]))
    return pd.DataFrame(rows, columns=["setting", "coverage"])


def task_stability(store: Store, inputs: Inputs, name: str, faithful: bool = False) -> pd.DataFrame:
    """How far the coverage of one task depends on what could have been chosen otherwise.

    Parameters
    ----------
    store, inputs
        The study; the table ``domain_stability`` is written there.
    name
        The task, such as ``element/F``.
    faithful
        Also that of the published procedure, which takes several maps.

    Returns
    -------
    DataFrame
        ``task``, ``method`` (``offmap`` or ``published``), ``setting``, ``coverage``.

    Raises
    ------
    UnknownNameError
        If no kept task has this name.
    """
    materials, tasks = materials_of(inputs, next(iter(inputs.features)))
    names = [f"{c}/{h}" for c, h in zip(tasks[CRITERION], tasks[HELD_OUT], strict=True)]
    if name not in names:
        raise UnknownNameError("kept task", name, names)
    table = _both(materials, names.index(name), faithful)
    table.insert(0, "task", name)
    store.write_table("domain_stability", table, csv=True)
    return table


def _both(materials: Materials, task: int, with_published: bool) -> pd.DataFrame:
    parts = [stability(materials, task).assign(method="offmap")]
    if with_published:
        parts.append(published(materials, task).assign(method="published"))
    return pd.concat(parts, ignore_index=True)[["method", "setting", "coverage"]]


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
