"""The published verdict on the tasks of a study: in or out of domain, and the scores of each side.

Every row says ``uses_test_rows``. On descriptors the map, drawn from train and test together, is
the same for all tasks; on embeddings each task has a network, and so a map, of its own.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from offmap.columns import CRITERION, HELD_OUT, IN_DISTRIBUTION
from offmap.domain.faithful import CUT, density, joint_map, prune
from offmap.domain.from_study import numbers_of, predictions
from offmap.domain.judge import Predictions
from offmap.domain.maps import domain_map
from offmap.errors import UnknownNameError
from offmap.evaluate import cells
from offmap.inputs import GIVEN_CRYSTALS, Inputs
from offmap.models.embeddings import embeddings
from offmap.progress import Reporter, Silent
from offmap.scores import scores
from offmap.store import Cell, Store, states

Array = NDArray[np.float64]

_BINS = 20
_KEYS = ("representation", "model", CRITERION, HELD_OUT)
_CURVE = ("density", "mae", "n")


@dataclass(frozen=True, eq=False)
class Faithful:
    """What the published procedure says of a study; every row is marked ``uses_test_rows``.

    Parameters
    ----------
    tasks
        Per representation, model and task: ``n_test``, ``coverage`` (share in domain), ``n_in``,
        ``n_out``, and ``mae`` and ``r2`` of all, ``_in`` and ``_out``.
    curves
        Error against density: per representation, model and task, bins of ``density`` with
        ``mae`` and ``n``.
    maps
        Per representation, the UMAP (:func:`offmap.domain.maps.domain_map`).
    """

    tasks: pd.DataFrame
    curves: pd.DataFrame
    maps: list[pd.DataFrame]


def faithful_study(
    store: Store,
    inputs: Inputs,
    reporter: Reporter | None = None,
    pruned: bool = False,
    seed: int | None = None,
    held_out: Sequence[str] = (),
    embedded: str = "",
) -> Faithful:
    """The published in/out split of each task, with the scores of each side.

    Parameters
    ----------
    store, inputs
        The study.
    reporter
        Where progress is shown.
    pruned
        Leave out constant features and, one after the other, those correlated with a kept one.
    seed
        None as in the study: another map each time.
    held_out
        Tasks such as ``element/F``, or all of a criterion; by default all.
    embedded
        A network of the study: on its embeddings, by the network trained without the group,
        instead of on features. One map per task.

    Raises
    ------
    UnknownNameError
        If there is no such task, or no finished task of that network.
    """
    reporter = reporter or Silent()
    tasks, _ = inputs.kept()
    chosen = [t for t in numbers_of(tasks, held_out) if tasks[CRITERION].iat[t] != IN_DISTRIBUTION]
    found = _Found(inputs, tasks)
    maps = []
    if embedded:
        mine = _cells_of(store, embedded, tasks, chosen)
        models = predictions(store, inputs, mine[0].representation, tasks)
        models = [model for model in models if model.model == embedded]
        with reporter.step(f"Published maps (embeddings of {embedded})") as progress:
            for done, (t, cell) in enumerate(zip(chosen, mine, strict=True), start=1):
                points = joint_map(_embedded(store, inputs, cell), seed)
                found.add(f"{embedded} embedding", t, points, models)
                progress(done, len(chosen))
    else:
        for representation, features in inputs.features.items():
            columns = prune(features.values) if pruned else slice(None)
            with reporter.step(f"Published map ({representation})") as progress:
                progress(0, 1)
                points = joint_map(features.values[:, columns], seed)
                progress(1, 1)
            maps.append(domain_map(inputs, representation, points))
            models = predictions(store, inputs, representation, tasks)
            with reporter.step(f"Published density of each task ({representation})") as progress:
                for done, t in enumerate(chosen, start=1):
                    found.add(representation, t, points, models)
                    progress(done, len(chosen))
    marks = {"uses_test_rows": True, "pruned": pruned}
    return Faithful(found.tasks().assign(**marks), found.curves().assign(**marks), maps)


class _Found:
    """Rows of both tables, as they are found."""

    def __init__(self, inputs: Inputs, tasks: pd.DataFrame) -> None:
        self.inputs, self.names = inputs, tasks
        self.rows: list[dict[str, Any]] = []
        self.parts: list[pd.DataFrame] = []

    def add(
        self, representation: str, task: int, points: Array, models: Sequence[Predictions]
    ) -> None:
        criterion, held_out = (str(self.names[key].iat[task]) for key in (CRITERION, HELD_OUT))
        test = self.inputs.membership.test_rows(criterion, held_out)
        found = density(points[~test], points[test])
        keys = {"representation": representation, "model": "", CRITERION: criterion}
        keys[HELD_OUT] = held_out
        inside, y = found > CUT, self.inputs.y[test]
        facts = {"n_test": len(inside), "coverage": float(inside.mean())}
        facts |= {"n_in": int(inside.sum()), "n_out": int((~inside).sum())}
        known = [model for model in models if task in model.y_pred]
        for model in known:
            y_pred, mine = model.y_pred[task], keys | {"model": model.model}
            self.rows.append(mine | facts | in_and_out(y, y_pred, inside))
            curve = error_against_density(np.abs(y_pred - y), found)
            self.parts.append(curve.assign(**mine))
        if not known:
            self.rows.append(keys | facts)

    def tasks(self) -> pd.DataFrame:
        return pd.DataFrame(self.rows)

    def curves(self) -> pd.DataFrame:
        names = [*_KEYS, *_CURVE]
        return (
            pd.concat(self.parts, ignore_index=True)[names]
            if self.parts
            else pd.DataFrame(columns=names)
        )


def _cells_of(store: Store, model: str, tasks: pd.DataFrame, chosen: Sequence[int]) -> list[Cell]:
    """The finished cell of a network for each task."""
    mine = {(c.criterion, c.held_out): c for c in states(store, cells(store))["done"]
            if c.model == model}  # fmt: skip
    found = []
    for t in chosen:
        key = (str(tasks[CRITERION].iat[t]), str(tasks[HELD_OUT].iat[t]))
        if key not in mine:
            finished = ["/".join(task) for task in mine]
            raise UnknownNameError(f"finished task of {model}", "/".join(key), finished)
        found.append(mine[key])
    return found


def _embedded(store: Store, inputs: Inputs, cell: Cell) -> Array:
    given = cell.representation in GIVEN_CRYSTALS
    X = inputs.dataset.crystals if given else inputs.features[cell.representation].values
    return embeddings(store, cell, X)


def in_and_out(y_true: Array, y_pred: Array, inside: NDArray[np.bool_]) -> dict[str, float]:
    """MAE and R2 of all test materials, of those in domain and of those out of domain."""
    found: dict[str, float] = {}
    for suffix, rows in (("", np.ones_like(inside)), ("_in", inside), ("_out", ~inside)):
        part = scores(y_true[rows], y_pred[rows])
        found |= {f"mae{suffix}": part["mae"], f"r2{suffix}": part["r2"]}
    return found


def error_against_density(error: Array, found: Array, n_bins: int = _BINS) -> pd.DataFrame:
    """Mean absolute error in bins of equal numbers of materials, from the emptiest place on.

    Returns
    -------
    DataFrame
        ``density`` (median of the bin), ``mae``, ``n``.
    """
    bins = np.array_split(np.argsort(found, kind="stable"), min(n_bins, len(found)))
    return pd.DataFrame(
        [(float(np.median(found[b])), float(error[b].mean()), len(b)) for b in bins],
        columns=["density", "mae", "n"],
    )
