"""The steps of the published procedure: scaler, UMAP and kernel density on all materials together.

It uses test rows to draw the map, an arbitrary cut and no seed; it is here to reproduce Li et al.,
Commun. Mater. 6, 9 (2025), doi 10.1038/s43246-024-00731-w.
"""

from __future__ import annotations

import warnings
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import numpy as np
from numpy.typing import NDArray

from offmap.domain.neighbours import neighbours
from offmap.errors import DataError
from offmap.registry import missing_extra

Array = NDArray[np.float64]

N_NEIGHBOURS, BANDWIDTH, CUT, CORRELATION = 50, 0.01, 1e-3, 0.7


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
