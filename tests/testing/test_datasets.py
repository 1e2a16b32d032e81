"""The embedded dataset fits; flaws of others are found."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import numpy as np
import pandas as pd
import pytest

from offmap.datasets.base import Card, Dataset, frame_of
from offmap.testing import check_dataset, example_crystals

_CARD = Card("mine", "Mine", "here", "CC0", "Nobody (2025)", targets={"energy": "eV"})


def mine() -> Dataset:
    """A dataset without flaw."""
    crystals = example_crystals()
    frame = frame_of(crystals, energy=np.linspace(-1, 1, len(crystals)))
    return Dataset(_CARD, crystals, frame, sha256="0" * 64)


def test_the_embedded_dataset_fits() -> None:
    found = check_dataset("prototypes")
    assert "reading it again gives the same" in found.held


def test_a_dataset_without_flaw_has_no_remark() -> None:
    assert not check_dataset(mine).remarks
    assert check_dataset(mine()).subject == "dataset 'mine'"


def test_a_file_can_be_checked(tmp_path: Path) -> None:
    path = tmp_path / "mine.csv"
    path.write_text("formula,band_gap\nNaCl,5.0\nMgO,7.8\nCaO,\n", encoding="utf-8")
    found = check_dataset(str(path))
    assert "3 of 3 materials have no structure" in found.remarks[0]
    assert any("1 materials have no band_gap" in remark for remark in found.remarks)
    assert any("licence" in remark for remark in found.remarks)


def changed(**columns: object) -> Callable[[Dataset], Dataset]:
    return lambda data: replace(data, frame=data.frame.assign(**columns))


def first_id_twice(data: Dataset) -> Dataset:
    ids = data.frame["material_id"].tolist()
    return changed(material_id=[ids[1], *ids[1:]])(data)


def flat(data: Dataset) -> Dataset:
    lattice = data.crystals.lattice.copy()
    lattice[4, 2] = lattice[4, 1]
    return replace(data, crystals=replace(data.crystals, lattice=lattice))


def adrift(data: Dataset) -> Dataset:
    places = data.crystals.frac_coords.copy()
    places[3] = np.nan
    return replace(data, crystals=replace(data.crystals, frac_coords=places))


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (first_id_twice, "ids that repeat: 'example-01'"),
        (changed(material_id=range(72)), "ids that are not text: 0, 1"),
        (changed(formula="X"), "formulas that are not those of the crystals"),
        (lambda data: replace(data, frame=data.frame[::-1]), "not those of the crystals, in their"),
        (lambda data: replace(data, frame=data.frame.drop(columns="formula")), "column formula"),
        (lambda data: replace(data, frame=data.frame[["material_id", "formula"]]), "no column"),
        (changed(energy=np.nan), "energy has no finite value"),
        (flat, "cells without volume: 'example-04'"),
        (adrift, "positions that are not finite"),
        (lambda data: replace(data, rejected=pd.DataFrame({"row": [1]})), "rejected has no column"),
        (lambda data: data.frame, "gives a DataFrame"),
        (lambda data: data.take(np.array([], dtype=int)), "has no material"),
        (lambda data: 1 / 0, "reading it fails: ZeroDivisionError"),
    ],
)
def test_flaws_of_datasets_are_found(change: Callable[[Dataset], object], message: str) -> None:
    with pytest.raises(AssertionError, match=message):
        check_dataset(lambda: change(mine()))


def test_a_dataset_that_is_never_the_same_is_found() -> None:
    def random() -> Dataset:
        return changed(energy=np.random.default_rng().normal(size=72))(mine())

    with pytest.raises(AssertionError, match="fix every seed"):
        check_dataset(random)
