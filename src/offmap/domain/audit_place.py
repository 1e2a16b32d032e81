"""Where the audited materials lie, and what a model said of them."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from offmap.domain.anchor import Anchor
from offmap.domain.audit_split import Opened, Split
from offmap.domain.chemistry import describe, fractions_of
from offmap.domain.detectors import DETECTORS, SIGNALS, make_detector
from offmap.domain.judge import Context
from offmap.domain.learned import opinions
from offmap.domain.predicted import Predicted
from offmap.domain.reference import Reference
from offmap.domain.rehearsal import STAND_IN, Rehearsal
from offmap.domain.scoring import TaskScores
from offmap.domain.substitution import Compositions
from offmap.domain.two_sample import two_sample_auc
from offmap.models.base import make_model
from offmap.progress import Progress, Reporter

Array = NDArray[np.float64]


@dataclass(frozen=True, eq=False)
class Place:
    """The detectors' scores of an audited split.

    Parameters
    ----------
    train
        The training materials that detectors are fitted on.
    queries
        Features of the test materials and, after them, of the calibration materials.
    scores
        Scores of both; rows are numbered as in ``queries``.
    """

    train: Reference
    queries: NDArray[np.float32]
    scores: TaskScores


@dataclass(frozen=True, eq=False)
class Told:
    """What a model said.

    Parameters
    ----------
    model
        Its name; empty if nothing was predicted.
    y_pred, y_true
        Of the test materials, NaN where there is none, shape (n_test,).
    calibration
        Prediction of the calibration materials by a model that had not seen them, NaN where there
        is none, shape (n_calibration,).
    notes
        What the reader has to know.
    """

    model: str
    y_pred: Array
    y_true: Array
    calibration: Array
    notes: tuple[str, ...] = ()


def place(split: Split, seed: int, progress: Progress, anchor: Anchor | None = None) -> Place:
    """Score the test and calibration materials with every detector; fitted on training alone."""
    learn = ~split.calibration
    y = split.train.y
    train = Reference(
        split.train.X[learn], None if y is None else y[learn], None, None, seed, anchor
    )
    queries = np.concatenate([split.test.X, split.train.X[split.calibration]])
    n = len(split.test)
    names = DETECTORS if y is None else (*DETECTORS, *SIGNALS)
    found = {}
    for name in names:
        found[name] = make_detector(name).fit(train).score(queries)
        progress(len(found), len(names))
    said = opinions(train, queries)
    scores = TaskScores(
        0,
        np.arange(n),
        np.arange(n, len(queries)),
        {name: score[:n] for name, score in found.items()},
        {name: score[n:] for name, score in found.items()},
        {name: value[:n] for name, value in said.items()},
        {name: value[n:] for name, value in said.items()},
        two_sample_auc(train.X, queries[:n], seed),
    )
    return Place(train, queries, scores)


def told(
    split: Split, study: Opened | None, predicted: Predicted | None, jobs: int, reporter: Reporter
) -> Told:
    """Look up predictions, or train the study's model on the training side and predict."""
    n = len(split.test)
    known = np.full(n, np.nan) if split.test.y is None else split.test.y
    inside = split.in_distribution[split.calibration]
    can_fit = study is not None and study.consumes == "features" and split.train.y is not None
    if predicted is not None:
        y_pred, y_true = predicted.of(split.test.material_id)
        known = np.where(np.isfinite(y_true), y_true, known)
        if can_fit and not split.from_study:
            inside = _fitted(split, study, ~split.calibration, jobs, reporter)[n:]
        name = study.model if study is not None else ""
        return Told(name, y_pred, known, inside)
    if can_fit and study is not None:
        rows = np.ones(len(split.train), bool) if split.from_study else ~split.calibration
        y_pred = _fitted(split, study, rows, jobs, reporter)
        if not split.from_study:
            inside = y_pred[n:]
        return Told(study.model, y_pred[:n], known, inside)
    notes: tuple[str, ...] = ()
    if study is not None and study.model and study.consumes != "features":
        notes = (f"{study.model} is not trained here: give its --predictions for intervals",)
    return Told("", np.full(n, np.nan), known, inside, notes)


def told_by_stand_in(split: Split, queries: NDArray[np.float32], rehearsed: Rehearsal) -> Told:
    """What small trees predict; they have not seen the calibration materials."""
    n = len(split.test)
    y_pred = rehearsed.predict(queries)
    y_true = np.full(n, np.nan) if split.test.y is None else split.test.y
    return Told(STAND_IN, y_pred[:n], y_true, y_pred[n:])


def company(split: Split, said: Told) -> Context | None:
    """What the test and the calibration materials are made of, in the light of the training set.

    None where there are no predictions, for they take part.
    """
    train = split.train
    if train.y is None or not np.isfinite(said.y_pred).all():
        return None
    n, n_train = len(split.test), len(train)
    fractions = np.concatenate([fractions_of(train.crystals), fractions_of(split.test.crystals)])
    # No label of the test is looked at: sums over the test set are taken off again.
    made_of = Compositions(fractions, np.concatenate([train.y, np.zeros(n)]))
    test = np.arange(n_train + n) >= n_train
    held_out = np.flatnonzero(split.calibration)
    inside = np.where(np.isfinite(said.calibration), said.calibration, train.y[held_out])
    rows, y_pred = np.concatenate([np.flatnonzero(test), held_out]), [said.y_pred, inside]
    numbers = describe(made_of, test, rows, np.concatenate(y_pred), True)
    return Context(numbers[:n], numbers[n:])


def _fitted(
    split: Split, study: Opened | None, rows: NDArray[np.bool_], jobs: int, reporter: Reporter
) -> Array:
    """Predictions of test and calibration materials by the study's model, trained on some rows."""
    assert study is not None
    assert split.train.y is not None
    settings = study.inputs.study
    name = study.model
    model = make_model(name, settings.model_settings.get(name, {}), settings.seed, jobs)
    with reporter.step(f"Train {name} on {int(rows.sum())} materials") as progress:
        progress(0, 1)
        model.fit(split.train.X[rows], split.train.y[rows])
        queries = np.concatenate([split.test.X, split.train.X[split.calibration]])
        y_pred = np.asarray(model.predict(queries), dtype=np.float64)
        progress(1, 1)
    return y_pred
