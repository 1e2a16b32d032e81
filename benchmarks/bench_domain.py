"""Time the default detectors on all six criteria, and the per-task loop they replace.

``python benchmarks/bench_domain.py FILE [--limit N] [--tasks N] [--loop N] [--jobs N]``

Every kept task is scored with the default detectors and signals. With ``--tasks N`` only N tasks,
spread over the sizes, are timed, and the time of all follows from a straight line in the number of
rows that are scored. The loop uses scikit-learn, scipy and LightGBM as they come, on the same rows,
detector by detector and with the same two-sample classifier, on ``--loop N`` tasks, and is
extrapolated likewise; it has none of the five signals that look at labels. Times are processor
seconds, so that other work on the machine counts little.
"""

from __future__ import annotations

import argparse
import time

import numpy as np
import pandas as pd

from offmap.domain.detectors import DETECTORS, SIGNALS
from offmap.domain.from_study import materials_of
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
    timed(materials, chosen[:1].tolist(), 1)  # compiles
    begun = time.perf_counter()
    if given.tasks:
        total = extrapolated(materials, chosen.tolist())
    else:
        total = timed(materials, chosen.tolist(), given.jobs)
    print(f"{n} tasks: {time.perf_counter() - begun:.0f} seconds on the clock")
    print(f"all {len(tasks)} tasks: {total / 60:.1f} processor minutes", flush=True)
    if given.loop:
        few = np.argsort(sizes)[np.linspace(0, len(tasks) - 1, given.loop + 1).astype(int)[:-1]]
        times = pd.DataFrame([loop(materials, int(task)) for task in few], index=sizes[few])
        print(times.round(2).rename_axis("test rows").to_string())
        there = line(materials, few.tolist(), times.sum(axis=1).tolist())
        print(f"loop over all tasks: {there / 60:.0f} minutes, {there / total:.0f} times as long")


def timed(materials: Materials, tasks: list[int], jobs: int) -> float:
    begun = time.process_time()
    for _ in score_tasks(materials, (*DETECTORS, *SIGNALS), tasks, jobs=jobs):
        pass
    return time.process_time() - begun


def extrapolated(materials: Materials, tasks: list[int]) -> float:
    """Processor seconds of all tasks, from those of a few."""
    return line(materials, tasks, [timed(materials, [task], 1) for task in tasks])


def line(materials: Materials, tasks: list[int], seconds: list[float]) -> float:
    """Sum over all tasks of a straight line in the number of rows that are scored."""
    queries = materials.test.sum(axis=0) + materials.calibration.sum()
    if len(tasks) == 1:
        return float(seconds[0] * queries.sum() / queries[tasks[0]])
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
    NearestNeighbors(n_neighbors=10).fit(train[:, :32]).kneighbors(queries[:, :32])
    clock("knn_weighted", begun)
    begun = time.process_time()
    classifier(materials.X[learn], materials.X[test])
    clock("two_sample_auc", begun)
    return seconds


def classifier(train: np.ndarray, test: np.ndarray) -> float:
    """Cross-validated AUC of telling test from train, on as many rows as the detectors use."""
    from lightgbm import LGBMClassifier
    from sklearn.model_selection import cross_val_score

    n = min(len(train), len(test), 600)
    rng = np.random.default_rng(0)
    X = np.concatenate([side[rng.choice(len(side), n, replace=False)] for side in (train, test)])
    model = LGBMClassifier(n_estimators=20, num_leaves=15, n_jobs=1, verbosity=-1)
    return float(cross_val_score(model, X, np.repeat([0, 1], n), cv=2, scoring="roc_auc").mean())


if __name__ == "__main__":
    main()
