"""Each crystal is described once, whatever happens in between."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import numpy as np
import pandas as pd
import pytest

from offmap.crystals import Crystals
from offmap.datasets.base import Card, Dataset, frame_of
from offmap.errors import DataError, OffmapError
from offmap.representations import featurize as module
from offmap.representations.base import Features
from offmap.representations.featurize import FeatureCache, featurize, load_representation
from offmap.representations.files import write_features
from offmap.representations.transformer import Featurizer

NAME = f"{__name__}:Counting"


class Counting:
    """Number of sites and sum of atomic numbers; hydrogen cannot be described; counts its calls."""

    name = "counting"
    version = 1
    columns = ("n_sites", "total")
    needs_structure = False
    blocks: dict[str, tuple[str, ...]] = {}
    seen: list[int] = []

    def featurize(self, crystals: Crystals) -> Features:
        """Describe."""
        log = os.environ.get("OFFMAP_TEST_LOG")
        if log:
            with open(log, "a", encoding="utf-8") as file:
                file.write(f"{len(crystals)}\n")
        if (crystals.counts[:, 2] > 0).any() and os.environ.get("OFFMAP_TEST_CRASH"):
            os._exit(9)
        Counting.seen.append(len(crystals))
        totals = [c.numbers.sum(dtype=int) for c in crystals]
        values = np.stack([crystals.n_sites, totals], axis=1).astype(float)
        failed = np.flatnonzero(crystals.counts[:, 1])
        values[failed] = np.nan
        return Features(values, self.columns, {int(i): "contains hydrogen" for i in failed})


@pytest.fixture(autouse=True)
def _fresh(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("OFFMAP_CACHE", str(tmp_path / "cache"))
    monkeypatch.setattr(module, "_BATCH", 4)
    Counting.seen.clear()


def formulas(n: int, first: int = 1) -> Crystals:
    text = [f"Na{i}Cl" if i % 5 else f"H{i}Cl" for i in range(first, first + n)]
    return Crystals.from_formulas(text, text)


def expected(crystals: Crystals) -> np.ndarray:
    rows = [[len(c.numbers), c.numbers.sum(dtype=int)] for c in crystals]
    values = np.array(rows, dtype=float)
    values[crystals.counts[:, 1] > 0] = np.nan
    return values


def check(found: Features, crystals: Crystals) -> None:
    np.testing.assert_array_equal(found.values, expected(crystals))
    failed = np.flatnonzero(crystals.counts[:, 1]).tolist()
    assert found.reasons == dict.fromkeys(failed, "contains hydrogen")
    assert found.columns == Counting.columns


def test_the_second_time_nothing_is_computed() -> None:
    crystals = formulas(10)
    steps: list[tuple[int, int]] = []
    check(featurize(crystals, NAME, progress=lambda *s: steps.append(s)), crystals)
    assert Counting.seen == [4, 4, 2]
    assert steps == [(0, 10), (4, 10), (8, 10), (10, 10)]
    backwards = crystals[::-1]
    check(featurize(backwards, NAME), backwards)
    assert Counting.seen == [4, 4, 2]


def test_overlap_and_duplicates_are_computed_once() -> None:
    featurize(formulas(6), NAME)
    crystals = Crystals.concat([formulas(8), formulas(8), formulas(2)])
    check(featurize(crystals, NAME), crystals)
    assert sum(Counting.seen) == 8


def test_nothing_to_describe() -> None:
    found = featurize(formulas(0), NAME)
    assert found.values.shape == (0, 2)
    assert found.reasons == {}


def _files(pattern: str) -> list[Path]:
    folder = FeatureCache.of(NAME, Counting()).folder
    return sorted(folder.glob(pattern))


@pytest.mark.parametrize("pattern", ["*.keys.npy", "*.values.npy", "*.reasons.json"])
@pytest.mark.parametrize("damage", ["cut", "gone", "empty", "garbage", "flipped", "longer"])
def test_a_damaged_batch_is_computed_again(pattern: str, damage: str) -> None:
    crystals, said = formulas(10), []
    featurize(crystals, NAME, say=said.append)
    path = _files(pattern)[0]
    whole = path.read_bytes()
    if damage == "gone":
        path.unlink()
    else:
        left = {
            "cut": whole[: len(whole) - 1],
            "empty": b"",
            "garbage": b"\x93NUMPY garbage",
            "flipped": whole[:-1] + bytes([whole[-1] ^ 1]),  # one bit of the last value
            "longer": whole + b"\0",
        }
        path.write_bytes(left[damage])
    assert not said
    check(featurize(crystals, NAME, say=said.append), crystals)
    assert 10 < sum(Counting.seen) <= 14
    unknown = "keys" in pattern and damage == "gone"  # as if it had never been
    assert said == ([] if unknown else [f"1 damaged files in {path.parent}: what they held is"
                                        " computed again"])  # fmt: skip
    check(featurize(crystals, NAME, say=said.append), crystals)
    assert sum(Counting.seen) <= 14
    assert len(said) <= 1


def test_a_batch_of_another_shape_does_not_count(monkeypatch: pytest.MonkeyPatch) -> None:
    crystals = formulas(4)
    featurize(crystals, NAME)
    path = _files("*.values.npy")[0]
    np.save(path, np.zeros((4, 3)))
    check(featurize(crystals, NAME), crystals)


def test_a_run_that_stops_in_the_middle_goes_on_from_there() -> None:
    crystals = formulas(12)

    def stop(done: int, total: int) -> None:
        if done >= 8:
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        featurize(crystals, NAME, progress=stop)
    assert sum(Counting.seen) == 8
    check(featurize(crystals, NAME), crystals)
    assert sum(Counting.seen) == 12


def test_two_processes_give_the_same_and_keep_it() -> None:
    crystals = formulas(12)
    check(featurize(crystals, NAME, jobs=2), crystals)
    assert Counting.seen == [4]  # the first batch here, the others elsewhere
    check(featurize(crystals, NAME), crystals)
    assert Counting.seen == [4]


def test_a_process_that_dies_is_an_error_in_words(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("OFFMAP_TEST_CRASH", "1")
    helium = Crystals.from_formulas(["He"], ["He"])
    with pytest.raises(OffmapError, match="died"):
        featurize(Crystals.concat([formulas(8), helium]), NAME, jobs=2)


def test_two_runs_at_once(tmp_path: Path) -> None:
    code = (
        "from tests.representations import test_featurize as t\n"
        "t.module._BATCH = 4\nt.check(t.featurize(t.formulas(40), t.NAME), t.formulas(40))"
    )
    root = str(Path(__file__).parents[2])
    environment = os.environ | {"PYTHONPATH": root, "OFFMAP_CACHE": str(tmp_path / "cache")}
    runs = [subprocess.Popen([sys.executable, "-c", code], env=environment) for _ in range(2)]
    assert [run.wait(120) for run in runs] == [0, 0]
    check(featurize(formulas(40), NAME), formulas(40))
    assert Counting.seen == []
    assert not _files(".*")


def test_versions_and_names_do_not_mix(monkeypatch: pytest.MonkeyPatch) -> None:
    assert (
        FeatureCache.of("a.b:C", Counting()).folder != FeatureCache.of("a_b:C", Counting()).folder
    )
    featurize(formulas(4), NAME)
    monkeypatch.setattr(Counting, "version", 2)
    featurize(formulas(4), NAME)
    assert sum(Counting.seen) == 8


def test_transformer() -> None:
    from sklearn.base import clone

    crystals = formulas(3)
    step = clone(Featurizer(NAME))
    np.testing.assert_array_equal(step.fit_transform(crystals), expected(crystals))
    assert step.get_feature_names_out().tolist() == ["n_sites", "total"]
    step.set_output(transform="pandas")
    assert step.transform(crystals).columns.tolist() == ["n_sites", "total"]


def test_features_of_a_dataset_as_a_file(tmp_path: Path) -> None:
    crystals = formulas(6)
    dataset = Dataset(Card("toy"), crystals, frame_of(crystals))
    written = write_features(dataset, NAME, tmp_path / "new" / "features.parquet")
    assert (written.n_materials, written.n_columns) == (5, 2)
    assert written.reasons == {"contains hydrogen": 1}
    frame = pd.read_parquet(tmp_path / "new" / "features.parquet")
    assert frame.columns.tolist() == ["material_id", "n_sites", "total"]
    assert "H5Cl" not in frame["material_id"].tolist()
    hydrogen = dataset.take(np.array([4]))
    with pytest.raises(DataError, match="no crystal of toy"):
        write_features(hydrogen, NAME, tmp_path / "none.parquet")


def test_names() -> None:
    assert load_representation("magpie").name == "magpie"
    with pytest.raises(OffmapError, match="did you mean 'matminer'"):
        load_representation("matmner")
