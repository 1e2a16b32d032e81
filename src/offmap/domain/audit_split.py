"""The split that is audited: which materials were learned from, and which are asked about."""

from __future__ import annotations

from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from offmap.domain import sides
from offmap.domain.calibration import FALSE_ALARMS, calibration_rows
from offmap.domain.finished import reopen
from offmap.domain.from_study import predictions
from offmap.domain.predicted import Predicted
from offmap.domain.sides import Given, Side
from offmap.errors import DataError, UnknownNameError
from offmap.inputs import Inputs
from offmap.progress import Reporter
from offmap.representations.featurize import load_representation
from offmap.store import Store
from offmap.tasks.random import random_order

Array = NDArray[np.float64]

OVERLAP = ("error", "train", "test")

FEWEST = 100
"""Training materials below which no threshold is set."""

# Held-out training materials for the threshold, at least; a tenth of the training set otherwise.
_CALIBRATION = 40


@dataclass(frozen=True, eq=False)
class Opened:
    """A study at hand.

    Parameters
    ----------
    store, inputs
        Its folder, and its materials, tasks and features.
    side
        All its materials.
    model
        Whose errors and predictions count; empty if none has finished a task.
    in_distribution
        Its prediction of each material in the random folds, NaN where there is none, shape (n,).
    """

    store: Store
    inputs: Inputs
    side: Side
    model: str
    in_distribution: Array

    @property
    def consumes(self) -> str:
        """What the model is given."""
        return str(self.store.provenance().get("consumes", {}).get(self.model, ""))


@dataclass(frozen=True, eq=False)
class Split:
    """Two sides, checked against each other.

    Parameters
    ----------
    train, test
        What was learned from, and what is asked about.
    calibration
        Training materials that no detector is fitted on, shape (n_train,), bool.
    representation, columns
        Name of the representation and of its features.
    in_distribution
        Prediction of training materials by a model that had not seen them, shape (n_train,).
    from_study
        Whether the training side is that of the study.
    notes
        What was done that the reader has to know.
    """

    train: Side
    test: Side
    calibration: NDArray[np.bool_]
    representation: str
    columns: tuple[str, ...]
    in_distribution: Array
    from_study: bool
    notes: tuple[str, ...]


def open_study(
    folder: str | Path, representation: str, model: str, jobs: int, reporter: Reporter
) -> Opened:
    """Open a study that an audit may lean on."""
    store = Store.open(folder)
    inputs = reopen(store, representation, jobs, reporter)
    name = next(iter(inputs.features))
    known = {p.model: p for p in predictions(store, inputs, name, inputs.tasks())}
    if model and model not in known:
        raise UnknownNameError("model with finished tasks", model, known)
    chosen = model or next(iter(known), "")
    nothing = np.full(len(inputs), np.nan)
    inside = known[chosen].in_distribution if chosen else nothing
    return Opened(store, inputs, sides.of_study(inputs), chosen, inside)


def make_split(
    train: Given | None,
    test: Given | None,
    labelled: bool,
    study: Opened | None,
    predicted: Predicted | None,
    representation: str,
    target: str,
    overlap: str,
    jobs: int,
    reporter: Reporter,
) -> Split:
    """Read both sides and hold them against each other.

    Parameters
    ----------
    train, test, study, predicted
        What there is of them.
    labelled
        Whether labels of the test side may be looked at.
    representation, target, overlap
        As for :func:`offmap.audit`.

    Raises
    ------
    DataError
        If a side is missing, too small, or shares materials with the other.
    """
    if overlap not in OVERLAP:
        raise UnknownNameError("way to deal with overlap", overlap, OVERLAP)
    notes: list[str] = []
    if study is None and not representation:
        representation, note = _default_representation(train, test)
        notes += [note] if note else []
    if study is not None:
        representation = next(iter(study.inputs.features))
    label = target or (study.inputs.target if study else "")
    asked = _test_side(test, study, predicted, representation, label, jobs, reporter)
    if not labelled:
        asked = replace(asked, y=None)
    if predicted is not None:
        asked, said = _predicted_only(asked, predicted)
        notes += said
    if train is not None:
        learned = _side(train, "training", study, representation, label, jobs, reporter)
        learned, asked, said = _apart(learned, asked, overlap)
        seed, inside = 0, np.full(len(learned), np.nan)
        calibration = _held_out(learned.material_id, seed)
    else:
        learned, inside, calibration, said = _rest_of(study, asked)
    if learned.y is None:
        said.append(
            "the training materials have no known label: only where materials lie was looked at; "
            "name the column with --target to also ask what labels say"
        )
    columns = load_representation(representation).columns
    return Split(
        learned,
        asked,
        calibration,
        representation,
        columns,
        inside,
        train is None,
        (*notes, *said),
    )


def _predicted_only(asked: Side, predicted: Predicted) -> tuple[Side, list[str]]:
    """The test materials that have a prediction, and what was left out."""
    notes = []
    if predicted.dropped:
        notes = [f"{len(predicted.dropped)} rows of the predictions have no finite y_pred"]
    here = np.isin(asked.material_id, predicted.material_id)
    if not here.any():
        raise DataError("the predictions are of none of the test materials: no id agrees")
    if n := len(predicted.material_id) - int(here.sum()):
        notes.append(f"{n} predictions are of materials that are not in the test set")
    if n := int((~here).sum()):
        notes.append(f"{n} test materials have no prediction and were left out")
    return asked.take(here, "no prediction"), notes


def _test_side(
    test: Given | None,
    study: Opened | None,
    predicted: Predicted | None,
    representation: str,
    target: str,
    jobs: int,
    reporter: Reporter,
) -> Side:
    if test is not None:
        return _side(test, "test", study, representation, target, jobs, reporter)
    if predicted is None:
        raise DataError("nothing to audit: give --test, --candidates or --predictions")
    if study is None:
        raise DataError(
            "predictions name materials but do not hold them: give their structures with --test, "
            "or a study that has them"
        )
    rows = sides.look_up(predicted.material_id.tolist(), study.side, "predicted", _named(study))
    return study.side.take(rows)


def _side(
    given: Given,
    what: str,
    study: Opened | None,
    representation: str,
    target: str,
    jobs: int,
    reporter: Reporter,
) -> Side:
    ids = sides.ids_of(given)
    if ids is None:
        return sides.read(given, what, representation, target, jobs, reporter)
    if study is None:
        raise DataError(
            f"the {what} file has ids but no structures or formulas: give a study that has these "
            "materials, or a file with structures"
        )
    return study.side.take(sides.look_up(ids, study.side, what, _named(study)))


def _apart(train: Side, test: Side, overlap: str) -> tuple[Side, Side, list[str]]:
    """Both sides without a material that is on either, or an error."""
    both = sides.shared(test, train)
    n = int(both.sum())
    if not n:
        return train, test, []
    first = int(np.argmax(both))
    what = f"{n} of {len(test)} test materials are in the training set too"
    if overlap == "error":
        raise DataError(
            f"{what}, such as {test.material_id[first]} {test.formula[first]}: a test set that the "
            "model has seen says nothing. Use --overlap train or --overlap test to leave them out "
            "of one side"
        )
    if overlap == "train":
        kept = train.take(~sides.shared(train, test), "also in the test set")
        return kept, test, [f"{what}; they were left out of the training set"]
    if both.all():
        raise DataError(f"{what}: nothing is left to test")
    kept = test.take(~both, "also in the training set")
    return train, kept, [f"{what}; they were left out of the test set"]


def _rest_of(study: Opened | None, test: Side) -> tuple[Side, Array, NDArray[np.bool_], list[str]]:
    """All materials of the study that are not asked about."""
    if study is None:
        raise DataError("there is nothing to compare with: give --train, or a study")
    asked = sides.shared(study.side, test)
    train = study.side.take(~asked)
    mask = calibration_rows(study.side.material_id.tolist(), study.inputs.study.seed)[~asked]
    if mask.sum() < _CALIBRATION:
        mask = _held_out(train.material_id, study.inputs.study.seed)
    notes = []
    if asked.any():
        notes = [
            f"{int(asked.sum())} materials of the study are asked about; its other "
            f"{len(train)} are the training set"
        ]
    return train, study.in_distribution[~asked], mask, notes


def _held_out(material_id: NDArray[np.object_], seed: int) -> NDArray[np.bool_]:
    """Training materials that set the threshold: a tenth, and never fewer than 40."""
    n = len(material_id)
    if n < FEWEST:
        raise DataError(
            f"the training set has {n} usable materials; {FEWEST} are needed to set a threshold "
            f"with {FALSE_ALARMS:.0%} false alarms"
        )
    mask = calibration_rows(material_id.tolist(), seed)
    if mask.sum() < _CALIBRATION:
        mask = np.zeros(n, dtype=bool)
        mask[random_order(material_id.tolist(), seed)[:_CALIBRATION]] = True
    return mask


def _default_representation(train: Given | None, test: Given | None) -> tuple[str, str]:
    """Matminer's 273 descriptors, or those of composition where a side has no structures."""
    for given in (train, test):
        if given is None or sides.ids_of(given) is not None:
            continue
        if not sides.load(given).crystals.has_structure:
            note = "a side has formulas but no structures: composition alone was looked at (magpie)"
            return "magpie", note
    return "matminer", ""


def _named(study: Opened) -> str:
    return f"the study {study.store.folder}"
