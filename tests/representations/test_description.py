"""Descriptions: made in processes that may fail, kept on disk, or read from a table."""

from __future__ import annotations

import os
import time
from pathlib import Path

import numpy as np
import pandas as pd
import pytest

from offmap.crystals import Crystal, Crystals
from offmap.datasets.base import Dataset
from offmap.errors import DataError, OffmapError
from offmap.processes import each
from offmap.representations import text
from offmap.representations.files import write_features
from offmap.representations.text import Description, descriptions
from offmap.representations.text.cache import TextCache


def behave(crystal: Crystal) -> str:
    """Words for most, and every way to fail; by id, which is no part of a crystal's content."""
    name = str(crystal.material_id)
    if "raise" in name:
        raise ValueError("no such polyhedron")
    if "die" in name:
        os._exit(3)
    if "hang" in name:
        time.sleep(600)
    return f"{name} has {len(crystal.numbers)} atoms"


def nothing() -> None:
    """Nothing to make ready."""


def fail() -> None:
    """Cannot be made ready."""
    raise RuntimeError("broken installation")


def crystals(*names: str) -> Crystals:
    """Cubic crystals, each of its own size."""
    sites = np.zeros((1, 3))
    one = np.array([26], np.uint8)
    return Crystals.from_list(
        [Crystal(name, np.eye(3) * (3 + i / 10), one, sites) for i, name in enumerate(names)]
    )


@pytest.fixture
def planted(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Path:
    """Descriptions by :func:`behave`, in a cache of this test."""
    monkeypatch.setenv("OFFMAP_CACHE", str(tmp_path))
    monkeypatch.setattr(text, "describe", behave)
    monkeypatch.setattr(text, "start", nothing)
    monkeypatch.setattr(text, "_robocrys", lambda: "planted")
    return tmp_path


def test_no_crystal_stops_the_others_and_each_is_described_once(
    planted: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    names = ("a", "raise", "b", "die", "hang", "c")
    seen: list[tuple[int, int]] = []
    found = descriptions(
        crystals(*names), jobs=2, seconds=4.0, progress=lambda done, n: seen.append((done, n))
    )
    assert found.texts.tolist() == ["a has 1 atoms", "", "b has 1 atoms", "", "", "c has 1 atoms"]
    assert found.reasons == {
        1: "ValueError: no such polyhedron",
        3: "its process died (out of memory?)",
        4: "it took longer than 4 s",
    }
    assert seen[-1] == (6, 6)
    monkeypatch.setattr(text, "each", None)  # nothing is left to describe
    again = descriptions(crystals(*names), seconds=4.0)
    assert again.texts.tolist() == found.texts.tolist()
    assert again.reasons == found.reasons
    assert descriptions(crystals(*names[:4]), seconds=3.0).reasons == {
        row: why for row, why in found.reasons.items() if row < 4
    }


def test_what_ran_out_of_time_is_tried_again_in_more() -> None:
    cache = TextCache.of("patience")
    cache.add([("slow", "", "it took longer than 4 s", 4.0), ("bad", "", "ValueError", np.inf)])
    (cache.folder / "damaged.parquet").write_bytes(b"PAR1 no more")
    assert sorted(cache.read(4.0).index) == ["bad", "slow"]
    assert cache.read(5.0).index.tolist() == ["bad"]
    cache.add([("slow", "words", "", np.inf)])
    assert cache.read(5.0).loc["slow", "description"] == "words"


def test_a_process_that_cannot_start_is_an_error() -> None:
    with pytest.raises(OffmapError, match="broken installation"):
        list(each(behave, [], 1, 1.0, fail))


def test_a_crystal_without_structure_has_no_description(planted: Path) -> None:
    formulas = Crystals.from_formulas(["NaCl"], ["x"])
    assert "no structure" in descriptions(formulas).reasons[0]


def test_a_table_is_read_instead(tmp_path: Path) -> None:
    table = pd.DataFrame({"material_id": ["b", "a"], "description": ["is  b", "is a"]})
    table.to_csv(tmp_path / "words.csv", index=False)
    found = descriptions(crystals("a", "b", "c"), tmp_path / "words.csv")
    assert found.texts.tolist() == ["is a", "is b", ""]
    assert found.reasons == {2: "words.csv has no description"}
    table.assign(material_id="a").to_parquet(tmp_path / "twice.parquet")
    with pytest.raises(DataError, match="several descriptions of a"):
        descriptions(crystals("a"), tmp_path / "twice.parquet")
    table.rename(columns={"description": "words"}).to_parquet(tmp_path / "other.parquet")
    with pytest.raises(DataError, match="no column 'description'"):
        descriptions(crystals("a"), tmp_path / "other.parquet")
    with pytest.raises(DataError, match="cannot be read"):
        descriptions(crystals("a"), tmp_path / "none.parquet")


def test_words_are_written_to_a_file(
    toy_dataset: Dataset, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def made(given: Crystals, **_: object) -> text.Descriptions:
        return text.Descriptions(np.array(["one", "", "three"], dtype=object), {1: "no words"})

    monkeypatch.setattr("offmap.representations.files.descriptions", made)
    some = toy_dataset.take(np.arange(3))
    written = write_features(some, "description", tmp_path / "words.parquet")
    assert (written.n_materials, written.n_columns, written.reasons) == (2, 1, {"no words": 1})
    table = pd.read_parquet(tmp_path / "words.parquet")
    assert table.columns.tolist() == ["material_id", "description"]
    assert descriptions(some.crystals, tmp_path / "words.parquet").texts.tolist() == [
        "one", "", "three",
    ]  # fmt: skip


def test_words_are_no_features() -> None:
    with pytest.raises(DataError, match="llm_prop"):
        Description().featurize(crystals("a"))


@pytest.mark.slow
def test_robocrystallographer_describes_rock_salt() -> None:
    salt = Crystal(
        "salt", 2.82 * (1 - np.eye(3)), np.array([11, 17], np.uint8),
        np.array([[0.0, 0, 0], [0.5, 0.5, 0.5]]),
    )  # fmt: skip
    found = descriptions(Crystals.from_list([salt]), seconds=600.0)
    assert not found.reasons
    assert "Halite, Rock Salt structured" in found.texts[0]
    assert "bond lengths are 2.82 Å" in found.texts[0]
