"""Time the default detectors on all six criteria, and the per-task loop they replace.

``python benchmarks/bench_domain.py FILE [--limit N] [--tasks N] [--loop N] [--jobs N]``

Every kept task is scored twice: with the default detectors and the two-sample classifier alone, and
with the signals that look at labels as well. With ``--tasks N`` only N tasks, spread over the
sizes, are timed, and the time of all follows from a straight line in the number of rows scored.

The loop does the same task by task with scikit-learn, scipy and LightGBM as they come: on ``--loop
N`` tasks from the smallest to the largest, detector by detector. Each is extrapolated to all tasks
by what its cost grows with (training times scored rows for neighbours and kernels, training rows
for fits). Its signals come from small models like those of offmap, or, as usual, from refitting the
study's model on six bootstrap samples; of the six one is timed, and of the kernel density a hundred
rows. Times are processor seconds, so that other work on the machine counts little.
"""

from __future__ import annotations

import argparse
import resource
import time
from collections.abc import Callable, Sequence

import numpy as np
import pandas as pd

from offmap.domain.detectors import DETECTORS, SIGNALS
from offmap.domain.from_study import materials_of
from offmap.domain.scoring import Materials, score_tasks
from offmap.domain.scouts import Scouts
from offmap.inputs import prepare
from offmap.study import Study

REFITS = 6


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("dataset")
    parser.add_argument("--limit", type=int, default=0)
    parser.add_argument("--tasks", type=int, default=0)
    parser.add_argument("--loop", type=int, default=0)
    parser.add_argument("--jobs", type=int, default=1)
    given = parser.parse_args()
    inputs = prepare(Study(dataset=given.dataset, limit=given.limit), given.jobs)
    materials, tasks = materials_of(inputs, "matminer")
    sizes = materials.test.sum(axis=0)
    print(f"{len(inputs)} materials, {len(tasks)} tasks, {sizes.sum()} test rows", flush=True)
    timed(materials, DETECTORS + SIGNALS, [int(np.argmin(sizes))], 1)  # compiles
    mine = {
        what: timed(materials, names, spread(sizes, given.tasks), given.jobs)
        for what, names in (("detectors", DETECTORS), ("with signals", DETECTORS + SIGNALS))
    }
    used = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024
    print(f"memory at most {used:.0f} MB", flush=True)
    if given.loop:
        theirs = looped(materials, spread(sizes, given.loop))
        plain = theirs.drop(["small_models", "bootstrap"]).sum()
        for what, seconds, ours in (
            ("detectors and two-sample classifier", plain, "detectors"),
            ("and small models", plain + theirs["small_models"], "with signals"),
            ("and six bootstrap refits", plain + theirs["bootstrap"], "with signals"),
        ):
            print(f"loop, {what}: {seconds / 60:.0f} minutes, {seconds / mine[ours]:.0f} times")


def spread(sizes: np.ndarray, n: int) -> list[int]:
    """``n`` tasks from the smallest to the largest; all, if ``n`` is 0."""
    places = np.linspace(0, len(sizes) - 1, n or len(sizes)).astype(int)
    return np.argsort(sizes)[places].tolist()


def timed(materials: Materials, names: Sequence[str], tasks: list[int], jobs: int) -> float:
    """Processor seconds of all tasks; with what they share."""
    began, clock = time.process_time(), time.perf_counter()
    seconds, rows = [], []
    for scores in score_tasks(materials, names, tasks, jobs):
        seconds.append(time.process_time() - began - sum(seconds))
        rows.append(len(scores.test) + len(scores.calibration))
    total, wall = sum(seconds), time.perf_counter() - clock
    if 1 < len(tasks) < materials.test.shape[1]:  # the first holds what tasks share
        slope, start = np.polyfit(rows[1:], seconds[1:], 1)
        queries = (materials.test | materials.calibration[:, None]).sum(axis=0)
        total = seconds[0] + float((start + slope * queries).sum())
    if len(tasks) > 1:
        print(f"{len(names)} detectors and signals, {len(tasks)} tasks: {wall:.0f} s on the clock;"
              f" all tasks {total / 60:.1f} processor minutes", flush=True)  # fmt: skip
    return total


def looped(materials: Materials, tasks: list[int]) -> pd.Series:
    """Processor seconds of each step of the loop over all tasks, from those of a few."""
    table = pd.DataFrame([loop(materials, task) for task in tasks])
    n = materials.test.sum(axis=0)
    print(table.set_index(n[tasks]).round(2).rename_axis("test rows").to_string(), flush=True)
    queries = (materials.test | materials.calibration[:, None]).sum(axis=0).astype(float)
    learn = (~(materials.test | materials.calibration[:, None])).sum(axis=0).astype(float)
    pairs, once = learn * queries, np.ones(len(queries))
    driver = {
        "spaces": learn, "knn": pairs, "kde": pairs, "mahalanobis": learn + queries,
        "local_density": learn * (learn + queries), "isolation_forest": 5000 + queries,
        "feature_range": learn + queries, "knn_weighted": pairs, "two_sample": once,
        "small_models": 5000 + queries, "bootstrap": learn,
    }  # fmt: skip
    total = {
        name: table[name].sum() / driver[name][tasks].sum() * driver[name].sum() for name in table
    }
    print((pd.Series(total) / 60).round(1).rename("minutes, all tasks").to_string(), flush=True)
    return pd.Series(total)


def loop(materials: Materials, task: int) -> dict[str, float]:
    """Processor seconds of each step with scikit-learn, scipy and LightGBM, for one task."""
    from scipy.stats import gaussian_kde
    from sklearn.covariance import EmpiricalCovariance
    from sklearn.decomposition import PCA
    from sklearn.ensemble import IsolationForest
    from sklearn.neighbors import LocalOutlierFactor, NearestNeighbors
    from sklearn.preprocessing import StandardScaler

    learn, calibration, test = materials.rows(task)
    X, y = materials.X[learn], materials.y[learn]
    asked = materials.X[np.concatenate([test, calibration])]
    seconds: dict[str, float] = {}

    def clock(name: str, step: Callable[[], object], times: float = 1.0) -> object:
        began = time.process_time()
        result = step()
        seconds[name] = (time.process_time() - began) * times
        return result

    def spaces() -> tuple[np.ndarray, ...]:
        scaler = StandardScaler().fit(X)
        train, queries = scaler.transform(X), scaler.transform(asked)
        pca = PCA(24, whiten=True, svd_solver="covariance_eigh").fit(train)
        return train, queries, pca.transform(train), pca.transform(queries)

    train, queries, near, far = clock("spaces", spaces)  # type: ignore[misc]
    clock("knn", lambda: NearestNeighbors(n_neighbors=10).fit(near).kneighbors(far))
    some = far[:: max(len(far) // 100, 1)]
    clock("kde", lambda: gaussian_kde(near.T).logpdf(some.T), len(far) / len(some))
    clock("mahalanobis", lambda: EmpiricalCovariance().fit(train).mahalanobis(queries))
    lof = LocalOutlierFactor(n_neighbors=10, novelty=True)
    clock("local_density", lambda: lof.fit(near).score_samples(far))
    forest = IsolationForest(n_estimators=100, random_state=0)
    clock("isolation_forest", lambda: forest.fit(train).score_samples(queries))
    low, high = train.min(axis=0), train.max(axis=0)
    clock("feature_range", lambda: np.maximum(low - queries, queries - high).max(axis=1))
    top = slice(0, 32)
    knn = NearestNeighbors(n_neighbors=10)
    clock("knn_weighted", lambda: knn.fit(train[:, top]).kneighbors(queries[:, top]))
    clock("two_sample", lambda: classifier(X, materials.X[test]))
    clock("small_models", lambda: small_models(X, y, asked))
    clock("bootstrap", lambda: refit(X, y, asked), REFITS)
    return seconds


def small_models(X: np.ndarray, y: np.ndarray, asked: np.ndarray) -> None:
    """Three small models and one of their errors, on features and in bins of the task's own."""
    scouts = Scouts(X, y)
    scouts.predict(asked)
    scouts.difficulty.look(asked)


def refit(X: np.ndarray, y: np.ndarray, asked: np.ndarray) -> None:
    """The study's model on a bootstrap sample."""
    from offmap.models.base import make_model

    rows = np.random.default_rng(0).integers(0, len(X), len(X))
    model = make_model("lgbm", {}, 0, 1)
    model.fit(X[rows], y[rows])
    model.predict(asked)


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
