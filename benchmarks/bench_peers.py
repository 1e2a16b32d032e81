"""The same data and the same question for offmap and for its neighbours MatFold and madml.

    pip install MatFold madml
    python benchmarks/bench_peers.py splits
    python benchmarks/bench_peers.py domain
    python benchmarks/bench_peers.py domain --limit 500 --min-size 10 --left-out element/F

``splits``: leave one element, period, group, point group and crystal system out. ``domain``: is a
left-out group in the domain of the rest, and does that go with the error of a random forest? Time
is processor time of one process and its children. A table goes to standard output.
"""

from __future__ import annotations

import argparse
import resource
import tempfile
import time
import warnings
from collections.abc import Sequence
from pathlib import Path

import numpy as np
import pandas as pd
from numpy.typing import NDArray
from sklearn.cluster import AgglomerativeClustering
from sklearn.ensemble import RandomForestRegressor
from sklearn.metrics import roc_auc_score
from sklearn.model_selection import (
    GridSearchCV,
    RepeatedKFold,
    ShuffleSplit,
    cross_val_predict,
)
from sklearn.pipeline import Pipeline
from sklearn.preprocessing import StandardScaler

from offmap import Study
from offmap.domain.audit import audit
from offmap.inputs import Inputs, prepare

# offmap's criteria and what MatFold calls them; its labels of rows and groups have a prefix.
MATFOLD = {
    "element": ("elements", ""),
    "period": ("periodictablerows", "row"),
    "group": ("periodictablegroups", "group"),
    "point_group": ("pointgroup", ""),
    "crystal_system": ("crystalsys", ""),
}

QUESTIONS = ("in_distribution/fold-1", "element/F", "element/O", "crystal_system/cubic")


def main() -> None:
    """Read the arguments, compare, print."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("what", choices=["splits", "domain"])
    parser.add_argument("--limit", type=int, default=1000, help="crystals of the embedded dataset")
    parser.add_argument("--min-size", type=int, default=20)
    parser.add_argument("--features", type=int, default=0, help="most important ones; 0 for all")
    parser.add_argument("--left-out", nargs="+", default=QUESTIONS, help="for domain")
    given = parser.parse_args()
    warnings.simplefilter("ignore")  # of the neighbours
    study = Study(limit=given.limit, criteria=tuple(MATFOLD), min_size=given.min_size, symprec=0.1)
    if given.what == "splits":
        found = splits(study)
    else:
        found = domain(study, given.left_out, given.features)
    print(found.to_markdown(index=False))


def splits(study: Study) -> pd.DataFrame:
    """Test sets of every task by offmap and by MatFold, timed and compared."""
    from MatFold import MatFold

    begun = processor_seconds()
    inputs = prepare(study, with_features=False)
    tasks = inputs.tasks()
    tasks = tasks[tasks["kept"] & (tasks["criterion"] != "in_distribution")]
    ours = processor_seconds() - begun
    ids = inputs.material_id
    crystals = inputs.dataset.crystals.to_pymatgen()
    structures = {id: crystal.as_dict() for id, crystal in zip(ids, crystals, strict=True)}
    begun = processor_seconds()
    folder = Path(tempfile.mkdtemp())
    matfold = MatFold(pd.DataFrame({"id": ids}), structures)
    opened = processor_seconds() - begun
    rows = []
    for criterion, part in tasks.groupby("criterion", sort=False):
        kind, prefix = MATFOLD[str(criterion)]
        begun = processor_seconds()
        same = other = failed = 0
        for held_out in part["held_out"]:
            label = f"{prefix}{held_out}"
            try:
                matfold.create_loo_split(kind, label, output_dir=str(folder))
            except FileNotFoundError:  # a name with a slash, such as 4/mmm (MatFold 1.3.3)
                failed += 1
                continue
            name = f"mf.{kind}.loo.{label.replace('/', '_')}.test.csv"
            theirs = set(pd.read_csv(folder / name).iloc[:, 0].astype(str))
            mine = set(ids[inputs.membership.test_rows(str(criterion), str(held_out))])
            same += theirs == mine
            other += len(theirs ^ mine)
        rows.append((criterion, len(part), same, other, failed, processor_seconds() - begun))
    head = [
        "criterion",
        "tasks",
        "same test set",
        "materials that differ",
        "MatFold fails",
        "MatFold, s",
    ]
    table = pd.DataFrame(rows, columns=head).round({"MatFold, s": 2})
    print(f"{len(ids)} crystals; offmap, all {len(tasks)} tasks from data to sides: {ours:.1f} s;"
          f" MatFold, before the first task: {opened:.1f} s\n")  # fmt: skip
    return table


def domain(study: Study, left_out: Sequence[str], n_features: int) -> pd.DataFrame:
    """Verdict, ranking of large errors and time on each question, by offmap and by madml."""
    inputs = prepare(study)
    X = inputs.features["matminer"].values
    X = X[:, X.std(axis=0) > 0]
    rows = []
    for question in left_out:
        test = inputs.membership.test_rows(*question.split("/"))
        wrong = large_errors(X, inputs.y, test)
        for name, judge in (("offmap", by_offmap), ("madml", by_madml)):
            begun = processor_seconds()
            score, out = judge(inputs, X, test, n_features)
            seconds = processor_seconds() - begun
            ranking = roc_auc_score(wrong, score)
            rows.append(
                (question, int(test.sum()), name, out.mean(), wrong.mean(), ranking, seconds)
            )
    head = ["left out", "n", "by", "out of domain", "large errors", "AUROC", "processor s"]
    return pd.DataFrame(rows, columns=head).round(2)


def large_errors(
    X: NDArray[np.float64], y: NDArray[np.float64], test: NDArray[np.bool_]
) -> NDArray[np.bool_]:
    """Which test errors of a forest exceed the 95th percentile of its errors in distribution."""
    inside = np.abs(cross_val_predict(forest(), X[~test], y[~test], cv=5) - y[~test])
    errors = np.abs(forest().fit(X[~test], y[~test]).predict(X[test]) - y[test])
    large: NDArray[np.bool_] = errors > np.quantile(inside, 0.95)
    return large


def by_offmap(
    inputs: Inputs, X: NDArray[np.float64], test: NDArray[np.bool_], n_features: int
) -> tuple[NDArray[np.float64], NDArray[np.bool_]]:
    """Standing and verdict of each test material by ``offmap.audit`` on the two tables."""
    found = audit(
        inputs.dataset.take(np.flatnonzero(~test)),
        inputs.dataset.take(np.flatnonzero(test)),
        target=inputs.target,
        overlap="train",
    )
    table = found.materials.set_index("material_id").loc[inputs.material_id[test]]
    return table["combined"].to_numpy(), (table["verdict"] == "out_of_domain").to_numpy()


def by_madml(
    inputs: Inputs, X: NDArray[np.float64], test: NDArray[np.bool_], n_features: int
) -> tuple[NDArray[np.float64], NDArray[np.bool_]]:
    """Dissimilarity and domain (RMSE, largest F1) by madml: kernel density, forest, clusters."""
    if not hasattr(np, "trapz"):  # madml 2.6.7 is older than NumPy 2.4
        np.trapz = np.trapezoid  # noqa: NPY201
    from madml.models import calibration, combine, dissimilarity
    from madml.splitters import BootstrappedLeaveClusterOut

    y = inputs.y
    if n_features:
        importance = forest().fit(X[~test], y[~test]).feature_importances_
        X = X[:, np.argsort(-importance)[:n_features]]
    steps = Pipeline([("scaler", StandardScaler()), ("model", forest())])
    search = GridSearchCV(steps, {"model__n_estimators": [100]}, cv=ShuffleSplit(1, random_state=0))
    clusters = [
        (f"agglo_{n}", BootstrappedLeaveClusterOut(AgglomerativeClustering, 1, n_clusters=n))
        for n in (2, 3)
    ]
    model = combine(
        search,
        dissimilarity(dis="kde"),
        calibration(params=[0.0, 1.0]),
        splits=[("fit", RepeatedKFold(n_splits=5, n_repeats=1, random_state=0)), *clusters],
        disable_tqdm=True,
    )
    np.random.seed(0)  # noqa: NPY002 - madml draws from the global state
    model.fit(X[~test], y[~test], n_jobs=1)
    found = model.predict(X[test])
    verdict = next(c for c in found if c.startswith("rmse/std_y") and "Max F1" in c)
    return found["d_pred"].to_numpy(), (found[verdict] == "OD").to_numpy()


def forest() -> RandomForestRegressor:
    """One thread, the same trees each time."""
    return RandomForestRegressor(100, max_features=1 / 3, random_state=0)


def processor_seconds() -> float:
    """Used so far by this process and by children that have ended."""
    children = resource.getrusage(resource.RUSAGE_CHILDREN)
    return time.process_time() + children.ru_utime + children.ru_stime


if __name__ == "__main__":
    main()
