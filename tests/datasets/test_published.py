from __future__ import annotations

import dataclasses
import json
import multiprocessing
import pickle
import re

import numpy as np
import pandas as pd
import pytest

from offmap import registry
from offmap.datasets import fetch, info, load, ls, published
from offmap.datasets.cards import snapshots
from offmap.errors import DataError, UnknownNameError

from . import formats
from .conftest import shared_file

ENERGIES = np.linspace(-3, 6.5, 12)  # the last two are above the study's limit


@pytest.fixture
def embedded():
    return load("prototypes").crystals.take(np.arange(12))


@pytest.fixture
def publish(site, monkeypatch):
    """Let a snapshot of the table be published by the server on this machine."""

    def at(name, body, **changes):
        path = f"/files/{name}"
        site.files[path] = body
        known = dataclasses.replace(
            snapshots()[name], **({"url": site.url + path, "checksum": ""} | changes)
        )
        monkeypatch.setitem(snapshots(), name, known)
        return path

    return at


def test_jarvis(site, publish, embedded):
    path = publish("jarvis22", formats.jarvis_zip(embedded, ENERGIES))
    dataset = load("jarvis22")
    assert dataset.name == "jarvis22"
    assert dataset.card.functional == "OptB88vdW"
    assert dataset.target() == "formation_energy_per_atom"
    assert dataset.unit("formation_energy_per_atom") == "eV/atom"
    np.testing.assert_allclose(dataset.frame["formation_energy_per_atom"], ENERGIES)
    assert dataset.frame["band_gap"].isna().tolist() == [i % 3 == 0 for i in range(12)]
    assert "elastic_tensor" not in dataset.frame
    assert (dataset.crystals.content_hash() == embedded.content_hash()).all()
    again = load("jarvis22")
    assert site.count(path) == 1
    assert again.sha256 == dataset.sha256
    pd.testing.assert_frame_equal(again.frame, dataset.frame)


def test_the_cleaning_of_the_study_is_counted(publish, embedded):
    publish("jarvis22", formats.jarvis_zip(embedded, ENERGIES))
    dataset = load("jarvis22", cleaning="study")
    counts = dataset.rejected["reason"].value_counts().to_dict()
    assert counts == {"formation_energy_per_atom is not below 5 eV/atom (cleaning 'study')": 2}
    gaps = load("jarvis22", target="band_gap")
    assert gaps.rejected["reason"].value_counts().to_dict() == {"band_gap is missing": 4}


def test_the_real_sample_of_jarvis(publish):
    publish("dft_3d", shared_file("jarvis_format_sample.json.zip").read_bytes())
    dataset = load("dft_3d")
    assert len(dataset) == 60
    assert dataset.crystals.material_id[0] == "JVASP-89933"
    assert {"formation_energy_per_atom", "band_gap", "ehull"} <= set(dataset.frame)


def test_oqmd_with_its_known_flaws(publish, embedded):
    publish("oqmd_3d_no_cfid", formats.oqmd_zip(embedded, ENERGIES))
    dataset = load("oqmd_3d_no_cfid")
    assert dataset.frame["material_id"].tolist() == [str(1000 + i) for i in range(1, 12)]
    assert dataset.rejected["reason"].tolist() == ["unknown element '(Cs,Os)'"]
    assert {"band_gap", "stability"} <= set(dataset.frame)


def test_matbench(publish, embedded):
    publish("matbench_mp_e_form", formats.matbench_gz(embedded, ENERGIES))
    dataset = load("matbench_mp_e_form")
    assert dataset.frame["material_id"].tolist() == [str(i) for i in range(12)]
    assert dataset.target() == "formation_energy_per_atom"
    assert dataset.crystals.formula.tolist() == embedded.formula.tolist()


def test_matbench_formulas(publish):
    table = {
        "index": [0, 1, 2],
        "columns": ["composition", "gap expt"],
        "data": [["NaCl", 8.5], ["Fe2O3", 2.1], ["Li0.5CoO2", 1.0]],
    }
    import gzip

    publish("matbench_expt_gap", gzip.compress(json.dumps(table).encode()))
    dataset = load("matbench_expt_gap")
    assert dataset.frame["formula"].tolist() == ["NaCl", "Fe2O3", "LiCo2O4"]
    assert not dataset.crystals.has_structure
    assert dataset.frame["band_gap"].tolist() == [8.5, 2.1, 1.0]


def test_a_wrong_checksum_of_the_publisher(publish, embedded):
    body = formats.matbench_gz(embedded, ENERGIES)
    publish("matbench_mp_e_form", body, checksum=snapshots()["matbench_mp_e_form"].checksum)
    with pytest.raises(DataError, match="publisher states dedcb1d4"):
        load("matbench_mp_e_form")


@pytest.mark.parametrize(
    ("body", "words"),
    [
        (b"<html>not found</html>", "starts with '<'"),
        (formats.zipped("a.json", b'[{"jid": "a", '), "not valid JSON"),
        (formats.zipped("a.json", b"[]"), "no rows"),
        (formats.zipped("a.txt", b"x"), "no file of a known format"),
        (formats.zipped("a.json", b'[{"jid": "a", "atoms": {}}]'), "no usable row"),
    ],
)
def test_bodies_that_are_not_what_they_should_be(publish, body, words, cache_folder):
    publish("jarvis22", body)
    with pytest.raises(DataError, match=f"{words}.*To download it again, delete"):
        load("jarvis22")
    assert not list(cache_folder.rglob("materials.parquet"))


def test_a_bad_first_download_is_no_reference_for_the_next(publish, embedded, cache_folder):
    publish("jarvis22", b"<html>log in to this network first</html>")
    with pytest.raises(DataError):
        load("jarvis22")
    publish("jarvis22", formats.jarvis_zip(embedded, ENERGIES))
    (cache_folder / "jarvis22" / "jdft_3d-12-12-2022.json.zip").unlink()
    assert len(load("jarvis22")) == 12


# -- Zenodo and its pickles ---------------------------------------------------------------------


@pytest.fixture
def zenodo(site, monkeypatch, embedded):
    """Record 8200972 as its listing describes it."""
    import hashlib

    monkeypatch.setattr(published, "ZENODO", site.url + "/api/records")
    bodies = {
        "mp21_featurized_matminer.pkl": formats.study_pickle(embedded, ENERGIES),
        "mp21_other.pkl": b"not asked for",
        "mp2100_extra.json": b"[]",
        "readme.txt": b"hello",
    }

    def listing(**more):
        bodies.update(more)
        entries = []
        for name, body in bodies.items():
            path = f"/api/records/8200972/files/{name}/content"
            site.files[path] = body
            entries.append(
                {
                    "key": name,
                    "size": len(body),
                    "checksum": "md5:" + hashlib.md5(body).hexdigest(),
                    "links": {"self": site.url + path},
                }
            )
        site.files["/api/records/8200972"] = json.dumps({"files": entries}).encode()

    listing()
    return listing


def test_a_pickle_needs_an_explained_permission(zenodo, site):
    with pytest.raises(DataError, match="OFFMAP_ALLOW_PICKLE=1") as caught:
        load("mp21")
    assert "any program" in str(caught.value)
    assert not any("content" in path for path, _ in site.requests)


@pytest.mark.parametrize("how", ["argument", "environment"])
def test_a_pickle_is_converted_once(zenodo, monkeypatch, how, embedded):
    if how == "environment":
        monkeypatch.setenv("OFFMAP_ALLOW_PICKLE", "1")
    fetch("mp21", allow_pickle=how == "argument")
    monkeypatch.delenv("OFFMAP_ALLOW_PICKLE", raising=False)
    dataset = load("mp21")
    assert dataset.frame["material_id"].tolist() == [f"mp-{i}" for i in range(12)]
    assert list(dataset.frame) == [
        "material_id",
        "formula",
        "formation_energy_per_atom",
        "band_gap",
    ]
    assert (dataset.crystals.content_hash() == embedded.content_hash()).all()


def test_a_safe_form_is_preferred(zenodo, embedded):
    rows = [{"material_id": "a", "formula": "NaCl", "e_form": -1.0}]
    zenodo(**{"mp21_structures.json": json.dumps(rows).encode()})
    assert load("mp21").frame["material_id"].tolist() == ["a"]


def test_a_file_placed_by_hand_needs_no_network(zenodo, site, tmp_path, monkeypatch, embedded):
    (tmp_path / "mp21_featurized_matminer.pkl").write_bytes(
        formats.study_pickle(embedded, ENERGIES)
    )
    monkeypatch.setenv("OFFMAP_MIRROR", str(tmp_path))
    fetch("mp21", allow_pickle=True)
    assert site.requests == []
    assert len(load("mp21")) == 12


def test_a_record_without_the_file(zenodo, site):
    with pytest.raises(DataError, match=r"no file that begins with oqmd14.*readme.txt"):
        load("oqmd14")
    site.files["/api/records/8200972"] = b'{"oops": 1}'
    with pytest.raises(DataError, match="unknown form"):
        load("oqmd14")
    site.faults["/api/records/8200972"] = ["404"]
    with pytest.raises(DataError, match=r"HTTP 404.*https://zenodo.org/records/8200972"):
        load("oqmd14")


class Evil:
    def __reduce__(self):
        import os

        return os.system, ("touch /tmp/offmap-was-here",)


@pytest.mark.parametrize(
    ("body", "words"),
    [
        (pickle.dumps(Evil()), "asks for .*system"),
        (pickle.dumps({"a": 1}), "no table but a dict"),
        (b"\x80\x04 damaged", "cannot be read as a pickled table"),
        (b"cbuiltins\neval\n(S'1'\ntR.", "asks for builtins.eval"),
        (b"\x80\x04\x8c\x06pandas\x8c\x0eDataFrame.eval\x93.", "asks for pandas.DataFrame.eval"),
    ],
)
def test_pickles_that_are_no_tables_do_nothing(zenodo, body, words):
    zenodo(**{"oqmd21_featurized_matminer.pkl": body})
    with pytest.raises(DataError, match=words):
        fetch("oqmd21", allow_pickle=True)


# -- two at once, names, cards --------------------------------------------------------------------


def _load_in_process(url, queue):
    known = dataclasses.replace(snapshots()["jarvis22"], url=url)
    snapshots()["jarvis22"] = known
    queue.put(len(load("jarvis22")))


def test_two_processes_convert_once(site, publish, embedded):
    path = publish("jarvis22", formats.jarvis_zip(embedded, ENERGIES))
    site.faults[path] = ["stall"]
    context = multiprocessing.get_context("spawn")
    queue = context.Queue()
    jobs = [
        context.Process(target=_load_in_process, args=(site.url + path, queue)) for _ in range(2)
    ]
    for job in jobs:
        job.start()
    assert [queue.get(timeout=100), queue.get(timeout=100)] == [12, 12]
    for job in jobs:
        job.join()
    assert site.count(path) == 1


def test_every_snapshot_can_be_named_and_has_a_card():
    rows = registry.names("dataset")
    for name, known in snapshots().items():
        assert rows[name].target == f"offmap.datasets.published:{name}"
        assert rows[name].summary == known.title
        assert callable(registry.load("dataset", name))
        card = known.card()
        assert card.source
        assert card.licence
        assert card.citation
        assert card.targets
        assert bool(known.url) != bool(known.zenodo)
        assert not known.url or known.url.startswith("https://")
        assert not known.checksum or re.fullmatch(r"(md5|sha256):[0-9a-f]{32,64}", known.checksum)
        facts = info(name)
        assert facts["state"] == "on the web"
        assert set(facts) >= {"source", "licence", "citation", "targets", "checksum"}
    with pytest.raises(UnknownNameError, match="did you mean 'jarvis22'"):
        fetch("jarvis_22")
    with pytest.raises(AttributeError):
        published.nothing  # noqa: B018


def test_the_list_says_what_is_there(publish, embedded, cache_folder):
    assert "on the web" in set(ls()["state"])
    assert not cache_folder.exists() or not list(cache_folder.iterdir())
    publish("jarvis22", formats.jarvis_zip(embedded, ENERGIES))
    fetch("jarvis22")
    states = ls().set_index("name")["state"]
    assert states["jarvis22"] == "fetched"
    assert states["prototypes"] == "embedded"
    assert (states == "live").sum() == 2


def test_info_of_files_and_of_the_embedded_dataset(tmp_path):
    facts = info("prototypes")
    assert facts["targets"] == "formation_energy_per_atom (eV/atom), volume_per_atom (Å³/atom)"
    (tmp_path / "a.csv").write_text("formula,e_form\nNaCl,1\n")
    assert info(str(tmp_path / "a.csv"))["materials"] == 1
    with pytest.raises(UnknownNameError):
        info("nothing")
