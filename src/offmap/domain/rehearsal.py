"""What a training set can teach about its own limits: known groups are left out of it in turn.

Without finished tasks of a study nobody knows how wrong a model was on groups it had not seen. The
training set knows: what does leaving out a known element, or a known region of feature space, do to
materials that look like these? Small trees stand in for the model, and the rows of the groups, with
how far out they lay and how wrong the trees were, teach the expected error. No row of the materials
that are asked about takes part.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from offmap.domain.anchor import BINNING, N_COMPONENTS
from offmap.domain.calibration import calibration_rows
from offmap.domain.chemistry import fractions_of
from offmap.domain.error_model import FEWEST_TASKS
from offmap.domain.experience import Experience
from offmap.domain.judge import Judged, Predictions
from offmap.domain.lookback import about, among, common_names, forecast_each, look_at
from offmap.domain.moments import Moments
from offmap.domain.scoring import Materials
from offmap.domain.scouts import Binned, Scouts
from offmap.domain.sides import Side
from offmap.domain.spaces import whitened
from offmap.domain.substitution import Compositions
from offmap.progress import Reporter
from offmap.tasks.random import folds, random_order

Array = NDArray[np.float64]
Rows = NDArray[np.int64]
Mask = NDArray[np.bool_]
Features = NDArray[np.float32]

STAND_IN = "small_trees"
"""Name of what stands in for the model."""

FEWEST = 400
"""Training materials below which nothing is rehearsed."""

# Training materials whose place is looked at; more would cost more and teach little else.
_ROWS = 8_000
# An element is left out if this many of them have it, and no more than this share of all.
_SMALLEST, _LARGEST = 30, 0.5
_ELEMENTS, _REGIONS, _FOLDS = 28, 8, 4
# Features that the stand-in looks at: those of largest gain in trees on the same materials.
_COLUMNS, _TREES = 64, 150
_SETTINGS = BINNING | {
    "objective": "regression", "num_leaves": 31, "learning_rate": 0.1, "feature_fraction": 0.4,
    "deterministic": True, "force_row_wise": True,
}  # fmt: skip


@dataclass(frozen=True, eq=False)
class Rehearsal:
    """What was learned, and the model that stood in.

    Parameters
    ----------
    experience
        Rows of the groups that were left out, with how wrong the stand-in was.
    stand_in
        The trees whose errors they are.
    """

    experience: Experience
    stand_in: StandIn

    def predict(self, X: Features) -> Array:
        """Predictions of the stand-in, shape (n,)."""
        return self.stand_in.trained(np.zeros(self.stand_in.n, dtype=bool))(X)


class StandIn:
    """Small trees on training materials, to be fitted again without some of them.

    Parameters
    ----------
    X, y
        Training materials, shapes (n, p) and (n,).
    looked_at
        Rows that say which features matter, shape (n_looked_at,).
    """

    def __init__(self, X: Features, y: Array, looked_at: Rows, seed: int) -> None:
        self.n, self.y, self.seed = len(y), y, seed
        gain = Scouts(X[looked_at], y[looked_at], seed, n_scouts=1).importance
        self.columns = np.sort(np.argsort(-gain, kind="stable")[:_COLUMNS])
        self.binned = Binned.of(np.ascontiguousarray(X[:, self.columns]), np.arange(len(X)))

    def trained(self, without: Mask) -> Callable[[Features], Array]:
        """Trees on all materials but those in a mask, shape (n,); they predict rows of features."""
        import lightgbm

        rows = np.flatnonzero(~without)
        data = self.binned.subset(rows, self.y[rows])
        trees = lightgbm.train(_SETTINGS | {"seed": self.seed}, data, _TREES)

        def predict(X: Features) -> Array:
            mine = np.ascontiguousarray(X[:, self.columns])
            found: Array = np.asarray(trees.predict(mine, num_threads=1), dtype=np.float64)
            return found

        return predict


def rehearsed_on(train: Side, seed: int, jobs: int, reporter: Reporter) -> Rehearsal | None:
    """Leave known groups out of a training set, one after another, and see what goes wrong.

    Parameters
    ----------
    train
        Materials to learn from, with labels; those that set thresholds are not among them.
    seed
        Seed of everything random.
    jobs
        Cores to use.

    Returns
    -------
    Rehearsal or None
        None if there are fewer than :data:`FEWEST` materials with labels that differ, or too few
        groups to leave out.
    """
    if len(train) < FEWEST or train.y is None or not np.ptp(train.y) > 0:
        return None
    ids = train.material_id.tolist()
    looked_at = np.sort(random_order(ids, seed)[:_ROWS])
    groups = list(_groups(train, looked_at, seed))
    if len(groups) <= FEWEST_TASKS + 1:
        return None
    materials = Materials(
        train.X[looked_at],
        train.y[looked_at],
        np.stack([group[looked_at] for group in groups], axis=1),
        calibration_rows(train.material_id[looked_at].tolist(), seed),
        seed,
    )
    stand_in = StandIn(train.X, train.y, looked_at, seed)
    model = _predictions(stand_in, groups, materials, jobs, reporter)
    judged: list[Judged] = []
    with reporter.step("See where they lie") as progress:
        for one in look_at(materials, model, range(len(groups)), jobs):
            judged.append(one)
            progress(len(judged), len(groups))
    return Rehearsal(_learned(judged, train.take(looked_at), materials, model, jobs), stand_in)


def _groups(train: Side, looked_at: Rows, seed: int) -> Iterator[Mask]:
    """Materials to leave out together: random folds first, elements, regions of feature space."""
    fold = folds(train.material_id.tolist(), _FOLDS, seed)
    yield from (fold == k for k in range(_FOLDS))
    count = train.has_element[looked_at].sum(axis=0)
    usable = np.flatnonzero((count >= _SMALLEST) & (count <= _LARGEST * len(looked_at)))
    # Common and rare ones alike.
    by_count = usable[np.argsort(-count[usable], kind="stable")]
    chosen = np.unique(np.linspace(0, len(usable) - 1, _ELEMENTS).round().astype(int))
    yield from (train.has_element[:, z] for z in by_count[chosen[: len(usable)]])
    yield from (group for group in _regions(train.X, seed) if group[looked_at].sum() >= _SMALLEST)


def _regions(X: Features, seed: int) -> Iterator[Mask]:
    """Clusters in whitened principal components."""
    from sklearn.cluster import KMeans

    points = whitened(Moments.of(X), N_COMPONENTS)(X)
    found = KMeans(_REGIONS, n_init=1, random_state=seed).fit_predict(points)
    yield from (found == k for k in range(_REGIONS))


def _predictions(
    stand_in: StandIn, groups: Sequence[Mask], materials: Materials, jobs: int, reporter: Reporter
) -> Predictions:
    """What trees that have not seen a group say of it."""

    def work(task: int) -> Array:
        return stand_in.trained(groups[task])(materials.X[materials.test[:, task]])

    y_pred: dict[int, Array] = {}
    with reporter.step("Train without what is known") as progress, ThreadPoolExecutor(jobs) as pool:
        for task, found in enumerate(pool.map(work, range(len(groups)))):
            y_pred[task] = found
            progress(task + 1, len(groups))
    inside = np.full(len(materials.y), np.nan)
    for k in range(_FOLDS):
        inside[materials.test[:, k]] = y_pred[k]
    return Predictions(STAND_IN, y_pred, inside)


def _learned(
    judged: Sequence[Judged],
    looked_at: Side,
    materials: Materials,
    model: Predictions,
    jobs: int,
) -> Experience:
    """Their rows, each with what was expected by an error model that does not know its group."""
    names, rows = common_names(judged), [one.scores.test for one in judged]
    made_of = Compositions(fractions_of(looked_at.crystals), materials.y)
    contexts = [about(made_of, materials, model, one) for one in judged]
    expected = list(forecast_each(judged, names, materials.test, materials.seed, jobs, contexts))
    said = np.concatenate([among(materials, model, one.scores) for one in judged])
    task = np.repeat([one.scores.task for one in judged], [len(mine) for mine in rows])
    material = np.concatenate(rows)
    return Experience(
        names,
        np.concatenate([one.features.columns(names).test for one in judged]),
        said - materials.y[material],
        task.astype(np.int64),
        material,
        np.concatenate([mine for mine, _ in expected]),
        np.concatenate([placed for _, placed in expected]),
        materials.test,
        np.concatenate([one.test for one in contexts]),
    )
