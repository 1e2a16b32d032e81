"""The published procedure, step by step: scaler, UMAP and kernel density on all materials together.

It uses test rows to draw the map, an arbitrary cut and no seed; it is here to reproduce Li et al.,
Commun. Mater. 6, 9 (2025), doi 10.1038/s43246-024-00731-w, and every row it writes says
``uses_test_rows``. Since the map is drawn from train and test together, it is the same for all
tasks.
"""

from __future__ import annotations

import warnings
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from offmap.columns import CRITERION, HELD_OUT, IN_DISTRIBUTION
from offmap.domain.maps import domain_map
from offmap.errors import DataError
from offmap.inputs import Inputs
from offmap.progress import Reporter, Silent
from offmap.registry import missing_extra
from offmap.scores import scores
from offmap.store import Store

Array = NDArray[np.float64]

N_NEIGHBOURS, BANDWIDTH, CUT, CORRELATION = 50, 0.01, 1e-3, 0.7
_BINS = 20
_KEYS = ("representation", CRITERION, HELD_OUT, "model")


def joint_map(X: NDArray[np.floating], seed: int | None = None) -> Array:
    """Two-dimensional UMAP of all materials after scaling on all of them, shape (n, 2).

    Parameters
    ----------
    X
        Features of train and test together, shape (n, p).
    seed
        None as in the study: another map each time.
    """
    from sklearn.preprocessing import StandardScaler

    if len(X) <= N_NEIGHBOURS:
        raise DataError(f"the published map needs more than {N_NEIGHBOURS} materials, not {len(X)}")
    scaled = StandardScaler().fit_transform(np.asarray(X, dtype=np.float64))
    umap = quiet_umap(n_neighbors=N_NEIGHBOURS, random_state=seed)
    with quietly():
        return np.asarray(umap.fit_transform(scaled), dtype=np.float64)


def train_map(X: NDArray[np.floating], test: NDArray[np.bool_], seed: int | None = None) -> Array:
    """The map when scaler and UMAP see the training rows alone; test rows are placed afterwards."""
    from sklearn.preprocessing import StandardScaler

    scaler = StandardScaler().fit(np.asarray(X[~test], dtype=np.float64))
    umap = quiet_umap(n_neighbors=N_NEIGHBOURS, random_state=seed)
    points = np.empty((len(X), 2))
    with quietly():
        points[~test] = umap.fit_transform(scaler.transform(X[~test]))
        points[test] = umap.transform(scaler.transform(X[test]))
    return points


def density(train: Array, test: Array, bandwidth: float = BANDWIDTH) -> Array:
    """``scipy.stats.gaussian_kde(train.T, bandwidth)(test.T)``, several hundred times faster.

    Parameters
    ----------
    train, test
        Points, shapes (n_train, d) and (n_test, d).
    bandwidth
        Factor on the covariance's square root.
    """
    from offmap.domain.neighbours import neighbours

    root = np.linalg.cholesky(np.cov(train.T)) * bandwidth
    centre = train.mean(axis=0)
    queries, references = (np.linalg.solve(root, (side - centre).T).T for side in (test, train))
    log_density = neighbours(queries, references, 1, (1.0,), exact=True).log_density[:, 0]
    found: Array = np.exp(log_density) / abs(float(np.linalg.det(root)))
    return found


def prune(X: NDArray[np.floating], most: float = CORRELATION) -> NDArray[np.int64]:
    """Columns left after constants and, one after the other, those correlated with a kept one."""
    varies = np.flatnonzero(X.std(axis=0) > 0)
    correlation = np.abs(np.corrcoef(X[:, varies].astype(np.float64).T))
    kept: list[int] = []
    for i in range(len(varies)):
        if not (correlation[i, kept] >= most).any():
            kept.append(i)
    return varies[kept]


@dataclass(frozen=True, eq=False)
class Faithful:
    """What the published procedure says of a study; every row is marked ``uses_test_rows``.

    Parameters
    ----------
    tasks
        Per representation, model and task: ``n_test``, ``coverage`` (share in domain), and ``mae``
        and ``r2`` of all, ``_in`` and ``_out``.
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
) -> Faithful:
    """The published in/out split of every task, with the scores of each side.

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
    """
    from offmap.domain.from_study import predictions

    reporter = reporter or Silent()
    tasks = inputs.tasks()
    tasks = tasks[tasks["kept"]].reset_index(drop=True)
    rows: list[dict[str, Any]] = []
    curves: list[pd.DataFrame] = []
    maps = []
    for representation, features in inputs.features.items():
        columns = prune(features.values) if pruned else slice(None)
        with reporter.step(f"Published map ({representation})") as progress:
            progress(0, 1)
            points = joint_map(features.values[:, columns], seed)
            progress(1, 1)
        maps.append(domain_map(inputs, representation, points))
        models = predictions(store, inputs, representation, tasks)
        for t, (criterion, held_out) in enumerate(
            zip(tasks[CRITERION], tasks[HELD_OUT], strict=True)
        ):
            if criterion == IN_DISTRIBUTION:
                continue
            test = inputs.membership.test_rows(criterion, held_out)
            found = density(points[~test], points[test])
            keys = {"representation": representation, CRITERION: criterion, HELD_OUT: held_out}
            facts = {"n_test": int(test.sum()), "coverage": float((found > CUT).mean())}
            for model in models:
                if t in model.y_pred:
                    mine = keys | {"model": model.model}
                    scored = in_and_out(inputs.y[test], model.y_pred[t], found > CUT)
                    rows.append(mine | facts | scored)
                    error = np.abs(model.y_pred[t] - inputs.y[test])
                    curves.append(error_against_density(error, found).assign(**mine))
            if not models:
                rows.append(keys | {"model": ""} | facts)
    marks = {"uses_test_rows": True, "pruned": pruned}
    empty = pd.DataFrame(columns=["density", "mae", "n", *_KEYS])
    together = pd.concat(curves, ignore_index=True) if curves else empty
    return Faithful(pd.DataFrame(rows).assign(**marks), together.assign(**marks), maps)


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


def quiet_umap(**settings: Any) -> Any:
    """A UMAP estimator, without its remarks on threads and seeds.

    Raises
    ------
    OffmapError
        If umap-learn is not installed; the message says which extra has it.
    """
    with quietly():
        try:
            from umap import UMAP
        except ModuleNotFoundError as error:
            raise missing_extra("the map", "domain", error) from error
    return UMAP(n_jobs=1 if settings.get("random_state") is not None else -1, **settings)


@contextmanager
def quietly() -> Iterator[None]:
    """Keep the warnings of a library to ourselves."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        yield
