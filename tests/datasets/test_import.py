from __future__ import annotations

import json
import sys
import types

import numpy as np
import pandas as pd
import pytest

from offmap.datasets import convert_source, import_file, load, reading, stream
from offmap.errors import DataError, OffmapError

from . import formats
from .conftest import shared_file

ENERGIES = np.linspace(-3, 1, 12)


@pytest.fixture
def small_parts(monkeypatch):
    monkeypatch.setattr(stream, "PART_ROWS", 5)


@pytest.fixture
def jarvis(tmp_path, some_crystals):
    path = tmp_path / "jarvis.json.zip"
    path.write_bytes(formats.jarvis_zip(some_crystals, ENERGIES))
    return path


def test_what_is_imported_reads_the_same(tmp_path, jarvis, small_parts):
    calls = []
    done = convert_source(jarvis, tmp_path / "out.parquet", lambda *c: calls.append(c))
    assert (done.n_materials, done.n_rejected) == (12, 0)
    assert calls[-1][0] == calls[-1][1] > 0
    direct, imported = load(jarvis), load(tmp_path / "out.parquet")
    pd.testing.assert_frame_equal(direct.frame, imported.frame)
    assert (direct.crystals.content_hash() == imported.crystals.content_hash()).all()
    assert sorted(p.name for p in tmp_path.iterdir() if p.name.startswith(".out.parquet-")) == []


def test_any_name_gets_its_suffix(tmp_path, jarvis):
    assert import_file(jarvis, tmp_path / "out").name == "out.parquet"


def test_rows_set_aside_lie_beside(tmp_path, some_crystals, small_parts):
    path = tmp_path / "oqmd.json.zip"
    path.write_bytes(formats.oqmd_zip(some_crystals, ENERGIES))
    done = convert_source(path, tmp_path / "o.parquet")
    assert pd.read_parquet(done.rejected)["reason"].tolist() == ["unknown element '(Cs,Os)'"]


def test_formulas_survive(tmp_path):
    (tmp_path / "f.csv").write_text("formula,e_form\nNaCl,1\nXq,2\nFe2O3,3\n")
    import_file(tmp_path / "f.csv", tmp_path / "f.parquet")
    dataset = load(tmp_path / "f.parquet")
    assert dataset.frame["formula"].tolist() == ["NaCl", "Fe2O3"]
    assert not dataset.crystals.has_structure


def test_columns_whose_type_differs_between_parts(tmp_path, small_parts):
    rows = [
        {"formula": "NaCl", "e_form": i, "late": "na", "mixed": i, "flag": None} for i in range(5)
    ]
    rows += [{"formula": "KCl", "e_form": 0.5, "late": 2.5, "mixed": "a", "flag": True}] * 5
    rows += [{"formula": "LiF", "e_form": 1, "new": 7}]
    for i, row in enumerate(rows):
        rows[i] = {"id": f"m{i}"} | row
    (tmp_path / "r.json").write_text(json.dumps(rows))
    import_file(tmp_path / "r.json", tmp_path / "r.parquet")
    frame = load(tmp_path / "r.parquet", exclude=[]).frame
    assert frame["e_form"].tolist() == [0, 1, 2, 3, 4, *[0.5] * 5, 1]
    assert frame["late"].dropna().tolist() == [2.5] * 5
    assert frame["mixed"].tolist()[:6] == ["0", "1", "2", "3", "4", "a"]
    assert frame["flag"].tolist() == [False] * 5 + [True] * 5 + [False]
    assert frame["new"].dropna().tolist() == [7]
    assert len(load(tmp_path / "r.parquet", exclude=["flag"])) == 6


def test_an_interrupted_import_goes_on(tmp_path, jarvis, small_parts, monkeypatch):
    real, seen = reading.to_crystal, []

    def fails_later(cell, material_id):
        seen.append(material_id)
        if len(seen) == 8:
            raise KeyboardInterrupt
        return real(cell, material_id)

    monkeypatch.setattr(reading, "to_crystal", fails_later)
    with pytest.raises(KeyboardInterrupt):
        import_file(jarvis, tmp_path / "out.parquet")
    assert not (tmp_path / "out.parquet").exists()
    monkeypatch.setattr(reading, "to_crystal", lambda c, i: (seen.append(i), real(c, i))[1])
    del seen[:]
    import_file(jarvis, tmp_path / "out.parquet")
    assert seen == [f"m-{i}" for i in range(5, 12)]  # the first part was kept
    monkeypatch.setattr(reading, "to_crystal", real)
    pd.testing.assert_frame_equal(load(jarvis).frame, load(tmp_path / "out.parquet").frame)


def test_parts_of_another_file_or_damaged_ones_are_not_used(
    tmp_path, jarvis, some_crystals, small_parts, monkeypatch
):
    folder = tmp_path / ".out.parquet-parts"
    real = reading.to_crystal

    def interrupted(source):
        count = []

        def fails_later(cell, material_id):
            count.append(material_id)
            if len(count) == 8:
                raise KeyboardInterrupt
            return real(cell, material_id)

        monkeypatch.setattr(reading, "to_crystal", fails_later)
        with pytest.raises(KeyboardInterrupt):
            import_file(source, tmp_path / "out.parquet")
        monkeypatch.setattr(reading, "to_crystal", real)

    other = tmp_path / "other.json.zip"
    other.write_bytes(formats.jarvis_zip(some_crystals, ENERGIES + 1))
    for damage in (False, True):
        interrupted(jarvis if damage else other)
        if damage:
            part = next(folder.glob("0*.parquet"))
            part.write_bytes(part.read_bytes()[:100])
        import_file(jarvis, tmp_path / "out.parquet")
        pd.testing.assert_frame_equal(load(jarvis).frame, load(tmp_path / "out.parquet").frame)


def test_duplicates_are_seen_across_parts_and_restarts(tmp_path, small_parts):
    rows = [{"id": f"m{i % 7}", "formula": "NaCl", "e_form": i} for i in range(12)]
    (tmp_path / "r.json").write_text(json.dumps(rows))
    done = convert_source(tmp_path / "r.json", tmp_path / "r.parquet")
    rejected = pd.read_parquet(done.rejected)
    assert rejected["row"].tolist() == [7, 8, 9, 10, 11]
    assert set(rejected["reason"]) == {"duplicate id"}


def test_errors(tmp_path, jarvis):
    (tmp_path / "cut.json").write_text('[{"id": "a", "formula": "NaCl"}, {"id"')
    with pytest.raises(DataError, match="not valid JSON"):
        import_file(tmp_path / "cut.json", tmp_path / "x.parquet")
    (tmp_path / "bad.json").write_text('[{"id": "a", "formula": "Q1"}]')
    with pytest.raises(DataError, match="no usable row of 1"):
        import_file(tmp_path / "bad.json", tmp_path / "x.parquet")
    with pytest.raises(DataError, match="cannot read"):
        import_file(tmp_path / "none.json", tmp_path / "x.parquet")
    with pytest.raises(DataError, match="cannot write"):
        import_file(jarvis, jarvis / "x.parquet")
    (tmp_path / "t.pkl").write_bytes(b"")
    with pytest.raises(DataError, match="OFFMAP_ALLOW_PICKLE"):
        import_file(tmp_path / "t.pkl", tmp_path / "x.parquet")
    assert not (tmp_path / "x.parquet").exists()


def test_a_pickle_of_ones_own(tmp_path, some_crystals):
    (tmp_path / "t.pkl").write_bytes(formats.study_pickle(some_crystals, ENERGIES))
    import_file(tmp_path / "t.pkl", tmp_path / "x.parquet", allow_pickle=True)
    dataset = load(tmp_path / "x.parquet", target="e_form")
    assert (dataset.crystals.content_hash() == some_crystals.content_hash()).all()


def test_the_real_sample_of_jarvis(tmp_path):
    path = shared_file("jarvis_format_sample.json.zip")
    assert convert_source(path, tmp_path / "x.parquet").n_materials == 60


# -- live sources ---------------------------------------------------------------------------------


@pytest.fixture
def provider(site, some_crystals):
    """An OPTIMADE provider of three pages, found by exact address."""
    from offmap.crystals import Crystals

    def pages(n=4):
        last = None
        starts = list(range(0, 12, n))
        for start in reversed(starts):
            rows = np.arange(start, min(start + n, 12))
            part: Crystals = some_crystals.take(rows)
            path = "/v1/structures" if start == 0 else f"/v1/page{start}"
            site.files[path] = formats.optimade_page(part, ENERGIES[rows], last, 12)
            last = f"{site.url}/v1/page{start}"
        return site

    return pages()


def test_optimade(provider, tmp_path, some_crystals, small_parts):
    provider.faults["/v1/page4"] = ["500", "cut"]
    calls = []
    source = f'optimade:{provider.url}?elements HAS "F"'
    path = import_file(source, tmp_path / "o.parquet", lambda *c: calls.append(c))
    dataset = load(path)
    assert dataset.frame["material_id"].tolist() == some_crystals.material_id.tolist()
    np.testing.assert_allclose(dataset.frame["formation_energy_per_atom"], ENERGIES)
    np.testing.assert_allclose(dataset.crystals.frac_coords, some_crystals.frac_coords, atol=1e-9)
    assert calls[-1] == (12, 12)


def test_optimade_that_refuses(provider, tmp_path):
    out = tmp_path / "o.parquet"
    provider.faults["/v1/structures"] = ["400"]
    with pytest.raises(DataError, match="HTTP 400"):
        import_file(f"optimade:{provider.url}?nonsense", out)
    provider.files["/v1/structures"] = b'{"data": 3}'
    with pytest.raises(DataError, match="form of OPTIMADE"):
        import_file(f"optimade:{provider.url}", out)
    provider.files["/v1/structures"] = json.dumps(
        {"data": [], "links": {"next": f"{provider.url}/v1/structures"}}
    ).encode()
    provider.files["/v1/structures"] = provider.files["/v1/structures"]
    with pytest.raises(DataError, match=r"same page again|no rows"):
        import_file(f"optimade:{provider.url}", out)
    with pytest.raises(DataError, match=r"neither the base URL.*mp, oqmd"):
        import_file("optimade:nowhere", out)
    provider.files["/v1/structures"] = json.dumps({"data": [1, {"id": "a"}]}).encode()
    with pytest.raises(DataError, match="no usable row of 2"):
        import_file(f"optimade:{provider.url}", out)


@pytest.fixture
def client(monkeypatch, some_crystals):
    """The package ``mp_api``, as far as it is used."""
    asked: list[dict] = []
    structures = some_crystals.to_pymatgen()

    class Summary:
        def search(self, **criteria):
            asked.append(criteria)
            if "chemsys" not in criteria:
                raise ValueError(f"bad request with {asked[0]['key']}")
            return [
                types.SimpleNamespace(
                    material_id=f"mp-{i}",
                    formula_pretty="X",
                    structure=s,
                    formation_energy_per_atom=-1.0,
                    energy_above_hull=0.0,
                    band_gap=1.0,
                )
                for i, s in enumerate(structures)
            ]

    class MPRester:
        def __init__(self, key, **_):
            asked.append({"key": key})
            self.materials = types.SimpleNamespace(summary=Summary())

        def __enter__(self):
            return self

        def __exit__(self, *_):
            pass

    package, module = types.ModuleType("mp_api"), types.ModuleType("mp_api.client")
    module.MPRester = MPRester
    monkeypatch.setitem(sys.modules, "mp_api", package)
    monkeypatch.setitem(sys.modules, "mp_api.client", module)
    return asked


def test_materials_project(client, tmp_path, monkeypatch):
    monkeypatch.setenv("MP_API_KEY", "very-secret-key")
    query = "mp:chemsys=Li-O&energy_above_hull=0,0.1&elements=Li,O&theoretical=false&num_sites=4"
    path = import_file(query, tmp_path / "mp.parquet")
    assert client[0] == {"key": "very-secret-key"}
    criteria = {k: v for k, v in client[1].items() if k != "fields"}
    assert criteria == {
        "chemsys": "Li-O",
        "energy_above_hull": (0, 0.1),
        "elements": ["Li", "O"],
        "theoretical": False,
        "num_sites": 4,
    }
    dataset = load(path)
    assert dataset.frame["material_id"].tolist() == [f"mp-{i}" for i in range(12)]
    assert dataset.target() == "formation_energy_per_atom"
    for file in tmp_path.rglob("*"):
        assert not file.is_file() or b"very-secret-key" not in file.read_bytes()


def test_the_key_is_in_no_message(client, tmp_path, monkeypatch):
    monkeypatch.delenv("MP_API_KEY", raising=False)
    with pytest.raises(DataError, match="MP_API_KEY"):
        import_file("mp:chemsys=Li-O", tmp_path / "mp.parquet")
    monkeypatch.setenv("MP_API_KEY", "very-secret-key")
    with pytest.raises(DataError, match="bad request with <key>") as caught:
        import_file("mp:formula=LiO", tmp_path / "mp.parquet")
    assert caught.value.__cause__ is None
    with pytest.raises(DataError, match="into the environment as MP_API_KEY") as caught:
        import_file("mp:chemsys=Li-O&api_key=very-secret-key", tmp_path / "mp.parquet")
    assert "very" not in str(caught.value)
    with pytest.raises(DataError, match="no search criterion"):
        import_file("mp:LiO", tmp_path / "mp.parquet")
    with pytest.raises(DataError, match="needs a search criterion"):
        import_file("mp:", tmp_path / "mp.parquet")


def test_without_the_client(tmp_path, monkeypatch):
    monkeypatch.setitem(sys.modules, "mp_api.client", None)
    monkeypatch.setitem(sys.modules, "mp_api", None)
    with pytest.raises(OffmapError, match=r"offmap\[mp\]"):
        import_file("mp:chemsys=Li-O", tmp_path / "mp.parquet")
