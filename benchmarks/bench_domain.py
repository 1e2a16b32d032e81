"""Time the default detectors on all six criteria, and the per-task loop they replace.

``python benchmarks/bench_domain.py FILE [--limit N] [--tasks N] [--loop N] [--jobs N]``

Every kept task is scored with the default detectors and signals. With ``--tasks N`` only N tasks,
spread over the sizes, are timed, and the time of the others follows from a straight line in the
number of queries. The loop uses scikit-learn and scipy on the same rows, detector by detector, on
``--loop N`` tasks. Times are processor seconds, so that other work on the machine does not count.
"""

from __future__ import annotations

import argparse
import time

import numpy as np
import pandas as pd

from offmap.domain.analysis import DETECTORS, SIGNALS, materials_of
from offmap.domain.scoring import Materials, score_tasks
from offmap.inputs import prepare
from offmap.study import Study


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("dataset")
    parser.add_argument("--limit", type=int, default=0)
    parser.add_argument("--tasks", type=int, default=0)
    parser.add_argument("--loop", type=int, default=0)
    parser.add_argument("--jobs", type=int, default=1)
    given = parser.parse_args()
    inputs = prepare(
        Study(dataset=given.dataset, limit=given.limit, exclude=("suspect",)), given.jobs
    )
    materials, tasks = materials_of(inputs, "matminer")
    sizes = materials.test.sum(axis=0)
    print(f"{len(inputs)} materials, {len(tasks)} tasks, {sizes.sum()} test rows")
    n = given.tasks or len(tasks)
    chosen = np.argsort(sizes)[np.linspace(0, len(tasks) - 1, n).astype(int)]
    seconds = timed(materials, chosen.tolist(), given.jobs)
    total = seconds if not given.tasks else extrapolated(materials, chosen.tolist())
    print(f"{n} tasks: {seconds:.0f} processor seconds; all: {total / 60:.1f} processor minutes")
    if given.loop:
        few = np.argsort(sizes)[np.linspace(0, len(tasks) - 1, given.loop + 2).astype(int)[1:-1]]
        ours = timed(materials, few.tolist(), 1)
        times = [loop(materials, int(task)) for task in few]
        table = pd.DataFrame(times).sum()
        print(table.round(1).to_string())
        print(
            f"loop: {table.sum():.0f} s, here: {ours:.1f} s, {table.sum() / ours:.0f} times faster"
        )


def timed(materials: Materials, tasks: list[int], jobs: int) -> float:
    begun = time.process_time()
    for _ in score_tasks(materials, (*DETECTORS, *SIGNALS), tasks, jobs=jobs):
        pass
    return time.process_time() - begun


def extrapolated(materials: Materials, tasks: list[int]) -> float:
    """Processor seconds of all tasks, from a line through those of a few."""
    queries = materials.test.sum(axis=0) + materials.calibration.sum()
    seconds = [timed(materials, [task], 1) for task in tasks]
    slope, start = np.polyfit(queries[tasks], seconds, 1)
    return float((start + slope * queries).sum())


def loop(materials: Materials, task: int) -> dict[str, float]:
    """Processor seconds of each detector with scikit-learn and scipy, for one task."""
    from scipy.stats import gaussian_kde
    from sklearn.covariance import EmpiricalCovariance
    from sklearn.decomposition import PCA
    from sklearn.ensemble import IsolationForest
    from sklearn.neighbors import LocalOutlierFactor, NearestNeighbors
    from sklearn.preprocessing import StandardScaler

    learn, calibration, test = materials.rows(task)
    rows = np.concatenate([test, calibration])
    seconds: dict[str, float] = {}

    def clock(name: str, begun: float) -> None:
        seconds[name] = time.process_time() - begun

    begun = time.process_time()
    scaler = StandardScaler().fit(materials.X[learn])
    train, queries = (scaler.transform(materials.X[r]) for r in (learn, rows))
    pca = PCA(24, whiten=True, svd_solver="covariance_eigh").fit(train)
    near, far = pca.transform(train), pca.transform(queries)
    clock("spaces", begun)
    begun = time.process_time()
    NearestNeighbors(n_neighbors=10).fit(near).kneighbors(far)
    clock("knn", begun)
    begun = time.process_time()
    some = far[:: max(len(far) // 100, 1)]  # the density takes hours: a hundredth or so is timed
    gaussian_kde(near.T).logpdf(some.T)
    seconds["kde"] = (time.process_time() - begun) * len(far) / len(some)
    begun = time.process_time()
    EmpiricalCovariance().fit(train).mahalanobis(queries)
    clock("mahalanobis", begun)
    begun = time.process_time()
    LocalOutlierFactor(n_neighbors=10, novelty=True).fit(near).score_samples(far)
    clock("local_density", begun)
    begun = time.process_time()
    IsolationForest(n_estimators=100, random_state=0).fit(train).score_samples(queries)
    clock("isolation_forest", begun)
    begun = time.process_time()
    np.maximum(train.min(axis=0) - queries, queries - train.max(axis=0)).max(axis=1)
    clock("feature_range", begun)
    begun = time.process_time()
    NearestNeighbors(n_neighbors=10).fit(train[:, :48]).kneighbors(queries[:, :48])
    clock("knn_weighted", begun)
    return seconds


if __name__ == "__main__":
    main()
