from __future__ import annotations

import bz2
import gzip
import json
import lzma
import zipfile

import numpy as np
import pandas as pd
import pytest

from offmap.attributes import attributes
from offmap.datasets import archives, import_file, load
from offmap.datasets.files import find_source
from offmap.errors import DataError, UnknownNameError

from .conftest import shared_file

CUBE = [4.0, 0, 0, 0, 4, 0, 0, 0, 4]
WRONG_LENGTHS = "lattice, numbers and frac_coords do not fit"


def plain(crystal):
    from offmap.elements import SYMBOLS

    return {
        "lattice": crystal.lattice.tolist(),
        "species": [SYMBOLS[z] for z in crystal.numbers],
        "frac_coords": crystal.frac_coords.tolist(),
    }


@pytest.fixture
def rows(some_crystals):
    return [
        {"material_id": c.material_id, "structure": plain(c), "e_form": -0.5 * i, "note": "fine"}
        for i, c in enumerate(some_crystals)
    ]


def check(dataset, some_crystals):
    assert len(dataset) == len(some_crystals)
    assert dataset.crystals.material_id.tolist() == some_crystals.material_id.tolist()
    np.testing.assert_allclose(dataset.crystals.lattice, some_crystals.lattice, atol=1e-6)
    assert dataset.target() == "e_form"
    assert dataset.unit("e_form") == "eV/atom"
    np.testing.assert_allclose(dataset.frame["e_form"], -0.5 * np.arange(len(dataset)))
    assert dataset.frame["formula"].tolist() == some_crystals.formula.tolist()
    assert len(dataset.rejected) == 0
    assert len(dataset.sha256) == 64


def write_csv(path, rows, cell=json.dumps):
    frame = pd.DataFrame([r | {"structure": cell(r["structure"])} for r in rows])
    frame.to_csv(path, index=False)


def test_parquet_with_json_text_and_with_structs(tmp_path, rows, some_crystals):
    frame = pd.DataFrame(rows)
    frame.to_parquet(tmp_path / "structs.parquet")
    frame["structure"] = frame["structure"].map(json.dumps)
    frame.to_parquet(tmp_path / "text.parquet")
    for name in ("structs", "text"):
        dataset = load(tmp_path / f"{name}.parquet")
        check(dataset, some_crystals)
        assert dataset.name == name
        assert dataset.frame["note"].tolist() == ["fine"] * 12


def test_columnar_parquet(tmp_path, some_crystals):
    import pyarrow.parquet as pq

    table = some_crystals.to_arrow().append_column("e_form", [(-0.5 * np.arange(12.0)).tolist()])
    pq.write_table(table, tmp_path / "columns.parquet")
    check(load(tmp_path / "columns.parquet"), some_crystals)


def test_columnar_parquet_with_broken_rows(tmp_path):
    frame = pd.DataFrame(
        {
            "material_id": ["good", "short", "null", "few", "zero", "large", "gap", "none"],
            "lattice": [CUBE, [1.0] * 4, None, *[CUBE] * 5],
            "numbers": [[11], [11], [11], [11, 17], [0], [300], [None], None],
            "frac_coords": [[0.0] * 3] * 8,
            "e_form": [1.0] * 8,
        }
    )
    frame.to_parquet(tmp_path / "x.parquet")
    dataset = load(tmp_path / "x.parquet")
    assert dataset.frame["material_id"].tolist() == ["good"]
    reasons = dataset.rejected.set_index("material_id")["reason"]
    assert (reasons[["short", "null", "few", "none"]] == WRONG_LENGTHS).all()
    assert (reasons[["zero", "large", "gap"]] == "unknown element").all()


@pytest.mark.parametrize("suffix", [".json", ".json.gz", ".json.bz2", ".json.xz", ".json.zip"])
def test_json_however_compressed(tmp_path, rows, some_crystals, suffix):
    path, data = tmp_path / f"set{suffix}", json.dumps(rows).encode()
    if suffix == ".json.zip":
        with zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED) as archive:
            archive.writestr("__MACOSX/._set.json", b"junk")
            archive.writestr("inner/set.json", data)
    else:
        pack = {".gz": gzip, ".bz2": bz2, ".xz": lzma}.get(suffix[5:])
        path.write_bytes(pack.compress(data) if pack else data)
    check(load(path), some_crystals)
    assert load(path).name == "set"


def test_json_lines_even_if_named_json(tmp_path, rows, some_crystals):
    lines = "\n".join(json.dumps(row) for row in rows)
    for name in ("a.jsonl", "b.json", "c.ndjson"):
        (tmp_path / name).write_text(lines)
        check(load(tmp_path / name), some_crystals)


def test_bad_json_lines_are_set_aside(tmp_path, rows):
    lines = [json.dumps(row) for row in rows]
    lines[2], lines[4] = "{oops", "[1, 2]"
    (tmp_path / "a.jsonl").write_text("\n\n".join(lines), encoding="utf-8-sig")
    dataset = load(tmp_path / "a.jsonl")
    assert len(dataset) == 10
    assert dataset.rejected["row"].tolist() == [2, 4]
    assert "not valid JSON" in dataset.rejected["reason"][0]
    assert "not a JSON object" in dataset.rejected["reason"][1]


@pytest.mark.parametrize("coding", ["utf-8", "utf-8-sig", "latin-1", "utf-16"])
def test_csv_in_any_encoding(tmp_path, rows, some_crystals, coding):
    for row in rows:
        row["note"] = "Å"
    write_csv(tmp_path / "a.csv", rows)
    text = (tmp_path / "a.csv").read_text(encoding="utf-8")
    (tmp_path / "a.csv").write_bytes(text.encode(coding))
    dataset = load(tmp_path / "a.csv")
    check(dataset, some_crystals)
    assert set(dataset.frame["note"]) == {"Å"}


def test_csv_with_cif_text_and_other_delimiters(tmp_path, rows, some_crystals):
    structures = dict(zip(some_crystals.material_id, some_crystals.to_pymatgen(), strict=True))
    for row in rows:
        row["cif"] = structures[row["material_id"]].to(fmt="cif")
        del row["structure"]
    frame = pd.DataFrame(rows)
    frame.to_csv(tmp_path / "a.csv.gz", index=False)
    frame.to_csv(tmp_path / "a.tsv", index=False, sep="\t")
    frame.to_csv(tmp_path / "semi.csv", index=False, sep=";")
    for name in ("a.csv.gz", "a.tsv", "semi.csv"):
        check(load(tmp_path / name), some_crystals)


def test_ragged_csv_rows_are_set_aside(tmp_path):
    text = "id,formula,e_form\na,NaCl,-1\nb,KCl\nc,LiF,-3,extra\n\nd,CsI,-2\n"
    (tmp_path / "a.csv").write_text(text)
    dataset = load(tmp_path / "a.csv")
    assert dataset.frame["material_id"].tolist() == ["a", "d"]
    assert dataset.rejected["material_id"].tolist() == ["b", "c"]
    assert dataset.rejected["reason"][0] == "row has 2 fields, the header has 3"


def test_formulas_without_structures(tmp_path):
    text = "composition,gap expt\nNaCl,8.5\nFe2O3,2.1\nXy2,1\n,2\nLi0.5CoO2,2\nNaN0.001234,3\n"
    (tmp_path / "gaps.csv").write_text(text)
    dataset = load(tmp_path / "gaps.csv")
    assert not dataset.crystals.has_structure
    assert dataset.frame["formula"].tolist() == ["NaCl", "Fe2O3", "LiCo2O4"]
    assert dataset.frame["material_id"].tolist() == ["row-00000", "row-00001", "row-00004"]
    assert dataset.target() == "gap expt"
    assert "unknown element" in dataset.rejected["reason"][0]
    assert dataset.rejected["reason"][1] == "no formula"
    assert dataset.rejected["row"].tolist() == [2, 3, 5]


@pytest.mark.parametrize("imported", [False, True])
@pytest.mark.parametrize("name", ["a.csv", "a.jsonl", "a.parquet"])
def test_words_that_look_like_missing_values(tmp_path, name, imported):
    """Sodium nitride is no missing value, nor is sodium, nor a material called None."""
    ids, formulas = ["None", "nan", "NA", "null"], ["NaN", "Na", "NO", "N"]
    cations, gaps = ["Na", "NaN", "na", "No"], ["1.5", "NaN", "NA", "2"]
    columns = {"id": ids, "composition": formulas, "cation": cations, "band_gap": gaps}
    frame = pd.DataFrame(columns | {"kind": "Na", "pretty_formula": "NaN"})
    if name.endswith(".csv"):
        frame.to_csv(tmp_path / name, index=False)
    elif name.endswith(".jsonl"):
        frame.to_json(tmp_path / name, orient="records", lines=True)
    else:
        frame.to_parquet(tmp_path / name)
    path = import_file(tmp_path / name, tmp_path / "out.parquet") if imported else tmp_path / name
    dataset = load(path, target=None)
    assert dataset.frame["material_id"].tolist() == ids
    assert dataset.frame["formula"].tolist() == formulas
    assert dataset.frame["composition"].tolist() == formulas
    assert dataset.frame["cation"].tolist()[:2] == ["Na", "NaN"]
    assert dataset.frame["cation"].isna().tolist() == [False, False, True, False]
    assert dataset.frame["kind"].tolist() == ["Na"] * 4
    assert dataset.frame["pretty_formula"].tolist() == ["NaN"] * 4
    assert dataset.frame["band_gap"].isna().tolist() == [False, True, True, False]
    labelled = load(path)
    assert labelled.frame["formula"].tolist() == ["NaN", "N"]
    assert attributes(labelled.crystals).frame["chemical_system"].tolist() == ["N-Na", "N"]


def test_extxyz(tmp_path, some_crystals):
    from ase.io import write

    frames = some_crystals.to_ase()
    for i, (atoms, crystal) in enumerate(zip(frames, some_crystals, strict=True)):
        atoms.info |= {"material_id": crystal.material_id, "e_form": -0.5 * i}
    write(tmp_path / "a.extxyz", frames)
    check(load(tmp_path / "a.extxyz"), some_crystals)
    text = (tmp_path / "a.extxyz").read_text()
    lines = text.splitlines()
    lines[2] = "Xx 0 0 0 broken"
    molecule = "1\nProperties=species:S:1:pos:R:3\nH 0 0 0\n"
    (tmp_path / "b.extxyz").write_text("\n".join(lines) + "\n" + molecule + "what?\n" + text)
    dataset = load(tmp_path / "b.extxyz")
    assert len(dataset) == 11
    assert dataset.rejected["row"].tolist() == [0, 12, 13]
    assert "cannot be read" in dataset.rejected["reason"][0]
    assert "no lattice" in dataset.rejected["reason"][1]
    assert "not a number of atoms" in dataset.rejected["reason"][2]


@pytest.mark.parametrize("packed", [False, True])
@pytest.mark.parametrize("header", [False, True])
def test_a_folder_with_id_prop(tmp_path, some_crystals, header, packed):
    folder = tmp_path / "cgcnn"
    folder.mkdir()
    lines = ["id,e_form"] if header else []
    for i, structure in enumerate(some_crystals.to_pymatgen()):
        name = some_crystals.material_id[i]
        path = folder / (f"{name}.cif" if i % 2 else f"POSCAR-{name}.vasp")
        path.write_text(structure.to(fmt="cif" if i % 2 else "poscar"))
        lines.append(f"{name},{-0.5 * i}")
    lines += ["ghost,1.0", "../../etc/passwd,1.0", "m-1"]
    (folder / "id_prop.csv").write_text("\n".join(lines))
    path = folder
    if packed:
        path = tmp_path / "cgcnn.zip"
        with zipfile.ZipFile(path, "w") as archive:
            for file in folder.iterdir():
                archive.write(file, f"cgcnn/{file.name}")
    dataset = load(path)
    assert dataset.name == "cgcnn"
    assert dataset.target() == ("e_form" if header else "target")
    assert dataset.frame["material_id"].tolist() == some_crystals.material_id.tolist()
    assert dataset.rejected["material_id"].tolist() == ["ghost", "../../etc/passwd", "m-1"]
    assert dataset.rejected["reason"][0].startswith("no file ghost")


def test_a_single_structure_file_and_a_folder_of_them(tmp_path, some_crystals):
    for structure, name in zip(some_crystals.to_pymatgen(), "abcdefghijkl", strict=True):
        (tmp_path / f"{name}.cif").write_text(structure.to(fmt="cif"))
    assert load(tmp_path / "a.cif", target=None).frame["material_id"].tolist() == ["a"]
    assert load(tmp_path, target=None).frame["material_id"].tolist() == list("abcdefghijkl")


# -- what cannot be read -----------------------------------------------------------------------


@pytest.mark.parametrize(
    ("name", "content", "words"),
    [
        ("a.csv", b"", "is empty"),
        ("a.dat2", b"\x00\x01binary", "unknown format"),
        ("a.pkl", b"\x80\x04", "pickle"),
        ("a.parquet", b"text", "no Parquet file"),
        ("a.parquet", b"PAR1 and nothing more", "no readable Parquet"),
        ("a.csv", b"version https://git-lfs.github.com/spec/v1\noid", "Git LFS pointer"),
        ("a.json", b'[{"a": 1}, ', "not valid JSON"),
        ("a.json.gz", b"\x1f\x8b\x08\x00broken", "damaged"),
        ("a.zip", b"PK\x03\x04broken", "zip archive"),
        ("a.csv", b"id,e_form\n1,2\n", "neither structures nor formulas"),
        ("a.csv", b"id,id,formula\n1,2,NaCl\n", "more than one column named id"),
        ("a.csv", b"id,formula,e_form\n", "has no rows"),
        ("a.csv", b"id,formula,e_form\na,Qq,1\n", "no usable row of 1: 1 x 'Qq'"),
        ("a.csv", b"id,formula,e_form\na,NaCl,na\n", "'e_form' holds no finite number"),
        ("a.json", b'[{"a": 1}]', "the columns a"),
        ("a.json", b"[]", "no rows"),
        ("a.extxyz", b"\n", "no rows"),
    ],
)
def test_files_that_cannot_be_used(tmp_path, name, content, words):
    path = tmp_path / name
    path.write_bytes(content)
    with pytest.raises(DataError) as caught:
        load(path, target="e_form")
    assert words in str(caught.value)
    assert path.stem.split(".")[0] in str(caught.value)


def test_a_truncated_gzip(tmp_path, rows):
    data = gzip.compress(json.dumps(rows).encode())
    (tmp_path / "a.json.gz").write_bytes(data[: len(data) // 2])
    with pytest.raises(DataError, match=r"damaged or cut short|not valid JSON"):
        load(tmp_path / "a.json.gz")


def test_zip_archives_that_are_not_clear(tmp_path):
    def archive(name, **members):
        with zipfile.ZipFile(tmp_path / name, "w") as file:
            for member, data in members.items():
                file.writestr(member.replace("_", "."), data)
        return tmp_path / name

    with pytest.raises(DataError, match=r"several tables \(a.csv, b.json\)"):
        load(archive("two.zip", a_csv="x", b_json="[]"))
    with pytest.raises(DataError, match=r"no file of a known format, but readme.txt"):
        load(archive("none.zip", readme_txt="x"))
    with pytest.raises(DataError, match="unpack it first"):
        load(archive("pq.zip", a_parquet="x"))


def test_a_decompression_bomb_is_refused(tmp_path, monkeypatch):
    monkeypatch.setattr(archives, "_RATIO_FROM", 2**20)
    monkeypatch.setattr(archives, "_MAX_RATIO", 100)
    (tmp_path / "a.json.gz").write_bytes(gzip.compress(b'[{"a": "' + b"x" * 2**24))
    with pytest.raises(DataError, match="not read further"):
        load(tmp_path / "a.json.gz")


def test_folders_that_hold_nothing_of_use(tmp_path):
    (tmp_path / "notes.txt").write_text("x")
    with pytest.raises(DataError, match=r"folder without id_prop.csv.*notes.txt"):
        find_source(tmp_path)
    (tmp_path / "id_prop.csv").write_text("\n")
    with pytest.raises(DataError, match=r"id_prop.csv is empty"):
        load(tmp_path)


def test_a_path_that_is_not_there_names_what_is_near(tmp_path):
    (tmp_path / "mp2018.parquet").write_bytes(b"x")
    with pytest.raises(UnknownNameError, match=r"files near by: mp2018\.parquet"):
        load(tmp_path / "mp2081.parquet")
    with pytest.raises(UnknownNameError, match="did you mean 'prototypes'"):
        load("prototype")


# -- real files --------------------------------------------------------------------------------


def test_jarvis_as_published():
    dataset = load(shared_file("jarvis_format_sample.json.zip"))
    assert len(dataset) == 60
    assert dataset.crystals.material_id[0] == "JVASP-89933"
    assert dataset.target() == "formation_energy_peratom"
    assert dataset.frame["mbj_bandgap"].dtype == float  # "na" is a missing value
    with pytest.raises(DataError, match="'hse_gap' holds no finite number"):
        load(shared_file("jarvis_format_sample.json.zip"), target="hse_gap")
