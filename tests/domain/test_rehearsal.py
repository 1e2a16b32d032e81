"""What a training set teaches about itself, and audits that learn from it."""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np
import pandas as pd
import pytest

import offmap
from offmap.datasets.base import Dataset
from offmap.domain import rehearsal, sides
from offmap.domain.audit_result import Audit
from offmap.domain.rehearsal import Rehearsal, rehearsed_on
from offmap.domain.sides import Side
from offmap.errors import SettingsError
from offmap.progress import Silent
from offmap.report.audit import page
from offmap.store import Store


@pytest.fixture(scope="module", autouse=True)
def fewer_groups() -> Iterator[None]:
    """A third of the elements teach enough here."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(rehearsal, "_ELEMENTS", 10)
        yield


@pytest.fixture(scope="module")
def side(toy_dataset: Dataset) -> Side:
    return sides.read(toy_dataset, "training", "magpie", "energy", 1, Silent())


@pytest.fixture(scope="module")
def rehearsed(side: Side) -> Rehearsal:
    found = rehearsed_on(side, seed=0, jobs=2, reporter=Silent())
    assert found is not None
    return found


@pytest.fixture(scope="module")
def split(toy_dataset: Dataset) -> tuple[Dataset, Dataset]:
    fluoride = toy_dataset.frame["formula"].str.contains("F$|F[0-9]").to_numpy()
    return toy_dataset.take(~fluoride), toy_dataset.take(fluoride)


@pytest.fixture(scope="module")
def found(split: tuple[Dataset, Dataset]) -> Audit:
    return offmap.audit(*split, target="energy", representation="magpie", rehearse=True)


def test_folds_elements_and_regions_are_left_out_in_turn(rehearsed: Rehearsal, side: Side) -> None:
    test = rehearsed.experience.test
    np.testing.assert_array_equal(test[:, : rehearsal._FOLDS].sum(axis=1), 1)
    elements = test[:, rehearsal._FOLDS : rehearsal._FOLDS + rehearsal._ELEMENTS]
    assert (elements.T[:, :, None] == side.has_element).all(axis=1).any(axis=1).all()
    assert (elements.sum(axis=0) >= rehearsal._SMALLEST).all()
    regions = test[:, rehearsal._FOLDS + rehearsal._ELEMENTS :]
    assert regions.shape[1] > 2
    assert (regions.sum(axis=1) <= 1).all()


def test_errors_are_those_of_trees_that_had_not_seen_the_group(
    rehearsed: Rehearsal, side: Side
) -> None:
    known = rehearsed.experience
    assert known.test[known.material, known.task].all()
    assert side.y is not None
    group = known.test[:, rehearsal._FOLDS]
    rows = known.task == rehearsal._FOLDS
    y_pred = rehearsed.stand_in.trained(group)(side.X[known.material[rows]])
    np.testing.assert_allclose(known.error[rows], y_pred - side.y[known.material[rows]])
    # Elements that are left out are harder than random folds.
    by_task = pd.Series(np.abs(known.error)).groupby(known.task).mean()
    assert by_task[rehearsal._FOLDS :].max() > 2 * by_task[: rehearsal._FOLDS].max()
    assert known.validation()["rank_correlation"] > 0.4


def test_little_or_nothing_to_learn_from(side: Side) -> None:
    few = side.take(np.arange(rehearsal.FEWEST - 1))
    assert rehearsed_on(few, 0, 1, Silent()) is None
    assert side.y is not None
    flat = Side(side.crystals, side.X, np.ones_like(side.y))
    assert rehearsed_on(flat, 0, 1, Silent()) is None
    assert rehearsed_on(Side(side.crystals, side.X), 0, 1, Silent()) is None


def test_an_audit_without_a_study_gives_expected_errors(found: Audit) -> None:
    assert found.learned_from == "rehearsal"
    numbers = found.numbers
    assert numbers["expected_error"] > 1.5 * numbers["expected_error_in_distribution"]
    assert found.verdict == "extrapolation"
    assert (found.materials["expected_error"] > 0).all()
    assert "expected errors are those of small trees" in " ".join(found.notes)
    assert "groups left out of the training set, each without itself" in " ".join(found.reasons)
    assert "error that small trees made" in " ".join(found.reasons)
    assert (found.materials["interval_low"].isna() == (found.materials["no_interval"] != "")).all()
    assert "Measured on groups left out of the training set" in page(found)


def test_labels_of_the_test_do_not_matter(found: Audit, split: tuple[Dataset, Dataset]) -> None:
    train, test = split
    blind = offmap.audit(
        train, candidates=test, target="energy", representation="magpie", rehearse=True, jobs=2
    )
    assert "y_true" not in blind.materials
    for name in ("material_id", "expected_error", "interval_low"):
        pd.testing.assert_series_equal(blind.materials[name], found.materials[name])


def test_predictions_of_another_model_get_no_interval(split: tuple[Dataset, Dataset]) -> None:
    train, test = split
    table = pd.DataFrame({"material_id": test.frame["material_id"], "y_pred": 1.0})
    found = offmap.audit(
        train, test, predictions=table, target="energy", representation="magpie", rehearse=True
    )
    assert (found.materials["y_pred"] == 1.0).all()
    assert "interval_low" not in found.materials
    assert "those of small trees, not of the model that predicted" in " ".join(found.notes)


def test_an_audit_says_why_it_expects_nothing(split: tuple[Dataset, Dataset]) -> None:
    train, test = split[0].take(np.arange(300)), split[1].take(np.arange(20))
    few = offmap.audit(train, test, target="energy", representation="magpie", rehearse=True)
    assert few.learned_from == ""
    assert "rehearsing takes 400 labelled training materials" in " ".join(few.notes)
    unasked = offmap.audit(train, test, target="energy", representation="magpie")
    assert "or with --rehearse" in " ".join(unasked.notes)


def test_a_study_needs_no_rehearsal(finished: Store, split: tuple[Dataset, Dataset]) -> None:
    with pytest.raises(SettingsError, match="finished tasks to learn from"):
        offmap.audit(test=split[1], study=finished.folder, rehearse=True)
