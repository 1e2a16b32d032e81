from __future__ import annotations

import json
import subprocess
import sys
import time

import numpy as np
import pandas as pd
import pytest

from offmap.datasets import import_file, load
from offmap.datasets.base import REJECTED_COLUMNS
from offmap.errors import DataError, SettingsError, UnknownNameError

from .conftest import shared_file
from .test_files import plain


@pytest.fixture
def table(tmp_path, some_crystals):
    """A file with every kind of bad row."""
    frame = pd.DataFrame(
        {
            "material_id": some_crystals.material_id,
            "structure": [json.dumps(plain(c)) for c in some_crystals],
            "formation_energy_per_atom": -0.5 * np.arange(12.0),
            "band_gap": np.arange(12.0),
            "suspect": [False] * 8 + [True] * 2 + [False] * 2,
            "checked": [True, None] * 6,
        }
    )
    frame.loc[0, "structure"] = None
    frame.loc[1, "structure"] = frame.loc[1, "structure"].replace('"Li"', '"Xx"')
    frame.loc[2, "structure"] = frame.loc[2, "structure"].replace("0.5, 0.5", "0.5, 0.49")
    frame.loc[3, "material_id"] = "m-4"
    frame.loc[5, "formation_energy_per_atom"] = np.nan
    frame.loc[6, "formation_energy_per_atom"] = np.inf
    frame.loc[7, "formation_energy_per_atom"] = 5.0
    frame.to_parquet(tmp_path / "table.parquet")
    return tmp_path / "table.parquet"


def reasons(dataset):
    return dict(zip(dataset.rejected["row"], dataset.rejected["reason"], strict=True))


def test_bad_rows_are_set_aside_with_id_row_and_reason(table):
    dataset = load(table, cleaning="study", exclude=["suspect"])
    assert tuple(dataset.rejected.columns) == REJECTED_COLUMNS
    assert reasons(dataset) == {
        0: "no structure",
        1: "unknown element 'Xx'",
        4: "duplicate id",
        8: "suspect is true (excluded)",
        9: "suspect is true (excluded)",
        5: "formation_energy_per_atom is missing",
        6: "formation_energy_per_atom is not finite",
        7: "formation_energy_per_atom is not below 5 eV/atom (cleaning 'study')",
    }
    assert dataset.frame["material_id"].tolist() == ["m-2", "m-4", "m-10", "m-11"]
    by_id = dataset.rejected.set_index("row")["material_id"]
    assert by_id[7] == "m-7"
    assert len(dataset) + len(dataset.rejected) == 12


def test_another_target_and_none_at_all(table):
    assert len(load(table, target="band_gap")) == 9
    assert len(load(table, target=None)) == 9
    assert load(table, target="band_gap").target("band_gap") == "band_gap"


def test_a_limit_is_a_seeded_sample_in_order(table):
    whole = load(table).frame["material_id"].tolist()
    some = load(table, limit=3, seed=1).frame["material_id"].tolist()
    assert len(some) == 3
    assert some == [i for i in whole if i in some]
    assert some == load(table, limit=3, seed=1).frame["material_id"].tolist()
    assert len({tuple(load(table, limit=3, seed=s).frame["material_id"]) for s in range(8)}) > 1
    assert len(load(table, limit=3, seed=1).rejected) == len(load(table).rejected)
    assert len(load(table, limit=99)) == len(whole)


def test_names_that_are_unknown(table):
    with pytest.raises(UnknownNameError, match="did you mean 'band_gap'"):
        load(table, target="bandgap")
    with pytest.raises(UnknownNameError, match=r"boolean column.*did you mean 'suspect'"):
        load(table, exclude=["suspicious"])
    with pytest.raises(UnknownNameError, match="boolean column"):
        load(table, exclude=["band_gap"])
    with pytest.raises(UnknownNameError, match="cleaning"):
        load(table, cleaning="studies")
    with pytest.raises(SettingsError, match="band_gap of dataset table is in eV"):
        load(table, target="band_gap", cleaning="study")
    with pytest.raises(UnknownNameError, match="target of dataset table"):
        load(table, target="material_id")


def test_a_table_whose_target_must_be_named(tmp_path):
    text = "formula,alpha,beta,gamma\nNaCl,1,2,3\nKCl,3,4,7\nLiF,x,5,5\n"
    (tmp_path / "t.csv").write_text(text)
    with pytest.raises(
        DataError, match=r"say which one to predict. Columns with numbers: beta, gamma"
    ):
        load(tmp_path / "t.csv")
    dataset = load(tmp_path / "t.csv", target="alpha")
    assert dataset.frame["alpha"].tolist() == [1.0, 3.0]
    assert reasons(dataset) == {2: "alpha is not a number: 'x'"}


def test_no_row_left(table):
    frame = pd.read_parquet(table).iloc[8:10]
    frame.to_parquet(table)
    with pytest.raises(DataError, match="no usable row of 2: 2 x suspect is true"):
        load(table, exclude=["suspect"])


def test_the_second_load_reads_the_converted_copy(table, cache_folder, monkeypatch):
    first = load(table)
    copies = list(cache_folder.glob("table/*/materials.parquet"))
    assert len(copies) == 1
    from offmap.datasets import reading

    monkeypatch.setattr(reading, "to_crystal", None)  # nothing is parsed again
    second = load(table)
    pd.testing.assert_frame_equal(first.frame, second.frame)
    pd.testing.assert_frame_equal(first.rejected, second.rejected, check_dtype=False)
    assert first.sha256 == second.sha256
    assert (first.crystals.content_hash() == second.crystals.content_hash()).all()


def test_a_large_file_is_converted_part_by_part(table, cache_folder, monkeypatch):
    from offmap.datasets import loading, stream

    small = load(table)
    for path in cache_folder.glob("table/*/*"):
        path.unlink()
    monkeypatch.setattr(loading, "LARGE", 0)
    monkeypatch.setattr(stream, "PART_ROWS", 4)
    large = load(table)
    pd.testing.assert_frame_equal(small.frame, large.frame)
    pd.testing.assert_frame_equal(small.rejected, large.rejected, check_dtype=False)
    names = {p.name for p in cache_folder.glob("table/*/*") if not p.name.startswith(".")}
    assert names == {"materials.parquet", "materials.rejected.parquet"}


def test_other_bytes_are_another_copy(table, cache_folder):
    load(table)
    pd.read_parquet(table).iloc[:11].to_parquet(table)
    load(table)
    assert len(list(cache_folder.glob("table/*"))) == 2


def test_a_damaged_copy_is_made_again(table, cache_folder):
    whole = load(table)
    copy = next(cache_folder.glob("table/*/materials.parquet"))
    written = copy.read_bytes()
    copy.write_bytes(b"PAR1 nonsense")
    assert len(load(table)) == 7
    assert copy.stat().st_size > 100
    pages = len(written) - int.from_bytes(written[-8:-4], "little") - 8  # the footer has no sum
    for at in range(4, pages, 97):
        copy.write_bytes(written[:at] + bytes([written[at] ^ 1]) + written[at + 1 :])
        again = load(table)
        pd.testing.assert_frame_equal(again.frame, whole.frame)
        np.testing.assert_array_equal(again.crystals.lattice, whole.crystals.lattice)
        np.testing.assert_array_equal(again.crystals.frac_coords, whole.crystals.frac_coords)


def test_an_imported_file_that_was_damaged_is_an_error(table, cache_folder, tmp_path):
    out = import_file(table, tmp_path / "out.parquet")
    written = out.read_bytes()
    at = written.index(b"band_gap") // 4
    out.write_bytes(written[:at] + bytes([written[at] ^ 1]) + written[at + 1 :])
    with pytest.raises(DataError, match=r"out\.parquet is no readable Parquet file"):
        load(out)


@pytest.mark.parametrize("large", [2**26, 0])
def test_a_cache_that_cannot_be_written(table, tmp_path, monkeypatch, large):
    from offmap.datasets import loading

    monkeypatch.setattr(loading, "LARGE", large)
    (tmp_path / "file").write_text("")
    monkeypatch.setenv("OFFMAP_CACHE", str(tmp_path / "file" / "cache"))
    assert len(load(table)) == 7


def test_progress_is_told(tmp_path, some_crystals, monkeypatch):
    from offmap.datasets import files

    monkeypatch.setattr(files, "CHUNK_ROWS", 5)
    lines = "\n".join(json.dumps({"structure": plain(c), "e_form": 1}) for c in some_crystals)
    (tmp_path / "a.jsonl").write_text(lines)
    calls = []
    load(tmp_path / "a.jsonl", progress=lambda done, total: calls.append((done, total)))
    assert calls[-1][0] == calls[-1][1] > 0


def test_a_dataset_of_ones_own(monkeypatch, tmp_path):
    (tmp_path / "mine.py").write_text(
        "from offmap.crystals import Crystals\n"
        "from offmap.datasets import Card, Dataset\n"
        "from offmap.datasets.base import frame_of\n"
        "def salts():\n"
        "    c = Crystals.from_formulas(['NaCl', 'KCl'], ['a', 'b'])\n"
        "    return Dataset(Card('salts', targets={'y': 'eV'}), c, frame_of(c, y=[1.0, None]))\n"
        "def wrong():\n"
        "    return 3\n"
    )
    monkeypatch.syspath_prepend(tmp_path)
    dataset = load("mine:salts")
    assert dataset.frame["material_id"].tolist() == ["a"]
    assert reasons(dataset) == {1: "y is missing"}
    with pytest.raises(DataError, match="did not return a Dataset but int"):
        load("mine:wrong")


def test_importing_is_light():
    code = (
        "import sys, offmap.datasets\n"
        "heavy = ('pymatgen', 'ase', 'gemmi', 'torch', 'matplotlib', 'pyarrow.parquet')\n"
        "print([m for m in heavy if m in sys.modules])"
    )
    out = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert out.stdout.strip() == "[]"


def test_materials_project_2018(monkeypatch):
    path = shared_file("mp2018.parquet")
    start = time.process_time()
    dataset = load(path, exclude=["suspect"])
    assert time.process_time() - start < 15
    start = time.process_time()
    again = load(path)
    assert time.process_time() - start < 4
    assert len(again) == 51_868
    assert len(again.rejected) == 0
    assert len(dataset) == 51_868 - 1060
    assert dataset.name == "mp2018"
    assert dataset.target() == "formation_energy_per_atom"
    np.testing.assert_allclose(
        again.crystals.volume / again.crystals.n_sites, again.frame["volume_per_atom"], rtol=1e-4
    )
