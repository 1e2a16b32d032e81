"""Files made to hurt: each ends in a dataset or an error in words, in bounded time and memory."""

from __future__ import annotations

import bz2
import gzip
import io
import json
import lzma
import sys
import zipfile
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

if not sys.platform.startswith("linux"):
    pytest.skip("limits and /proc of Linux", allow_module_level=True)

from .bounded import read

MB = 2**20


def zeros(kind: str, megabytes: int, head: bytes = b"") -> bytes:
    """A small file that grows to many zeros, or blanks after a head."""
    fill = (b" " if head else b"\0") * MB
    buffer = io.BytesIO()
    if kind == "zip":
        with (
            zipfile.ZipFile(buffer, "w", zipfile.ZIP_DEFLATED) as archive,
            archive.open("a.json", "w", force_zip64=True) as file,
        ):
            file.write(head)
            for _ in range(megabytes):
                file.write(fill)
        return buffer.getvalue()
    opened = {"gz": gzip.open, "bz2": bz2.open, "xz": lzma.open}[kind](buffer, "wb")
    with opened as file:
        file.write(head)
        for _ in range(megabytes):
            file.write(fill)
    return buffer.getvalue()


def archive(names: dict[str, bytes]) -> bytes:
    buffer = io.BytesIO()
    with zipfile.ZipFile(buffer, "w", zipfile.ZIP_DEFLATED) as made:
        for name, data in names.items():
            made.writestr(name, data)
    return buffer.getvalue()


def cif(a: float = 4.0, sites: str = "Na1 Na 0 0 0\nCl1 Cl 0.5 0.5 0.5\n", more: str = "") -> bytes:
    return (
        f"data_x\n_cell_length_a {a}\n_cell_length_b {a}\n_cell_length_c {a}\n"
        "_cell_angle_alpha 90\n_cell_angle_beta 90\n_cell_angle_gamma 90\n"
        f"_symmetry_space_group_name_H-M 'P 1'\n{more}loop_\n_atom_site_label\n"
        "_atom_site_type_symbol\n_atom_site_fract_x\n_atom_site_fract_y\n_atom_site_fract_z\n"
        f"{sites}"
    ).encode()


def poscar(lattice: str = "4 0 0\n0 4 0\n0 0 4", counts: str = "1 1", scale: str = "1.0") -> bytes:
    head = f"x\n{scale}\n{lattice}\nNa Cl\n{counts}\nDirect\n"
    return (head + "0 0 0\n0.5 0.5 0.5\n").encode()


def many_sites(n: int) -> bytes:
    """A POSCAR of one crystal with n atoms, as a supercell of a million atoms would be."""
    xyz = np.random.default_rng(0).random((n, 3)).round(4)
    lines = "\n".join(f"{x} {y} {z}" for x, y, z in xyz.tolist())
    return f"x\n1.0\n300 0 0\n0 300 0\n0 0 300\nNa\n{n}\nDirect\n{lines}\n".encode()


def record(lattice: object, numbers: object, coordinates: object) -> bytes:
    columns = {"material_id": "x", "lattice": lattice, "numbers": numbers}
    return json.dumps([columns | {"frac_coords": coordinates, "e": 1}]).encode()


def one_row(n: int) -> bytes:
    """A Parquet file of a few kilobytes whose one crystal has n atoms."""
    table = pa.table(
        {
            "material_id": ["x"],
            "lattice": pa.array([[4.0, 0, 0, 0, 4, 0, 0, 0, 4]]),
            "numbers": pa.array([np.ones(n, dtype=np.int8)]),
            "frac_coords": pa.array([np.zeros(3 * n, dtype=np.float32)]),
            "e": [1.0],
        }
    )
    buffer = io.BytesIO()
    pq.write_table(table, buffer, compression="zstd")
    return buffer.getvalue()


def many_rows(n: int) -> bytes:
    """A Parquet file of a few kilobytes that repeats one formula n times."""
    text = pa.DictionaryArray.from_arrays(pa.array(np.zeros(n, np.int32)), ["NaCl"])
    buffer = io.BytesIO()
    pq.write_table(pa.table({"formula": text, "e": np.zeros(n, np.int8)}), buffer)
    return buffer.getvalue()


NAN, INF = float("nan"), float("inf")
CUBE = [4.0, 0, 0, 0, 4, 0, 0, 0, 4]
TWO = [0, 0, 0, 0.5, 0.5, 0.5]

ERRORS: dict[str, tuple[str, Callable[[], bytes]]] = {
    # Bombs.
    "zip bomb": ("a.json.zip", lambda: zeros("zip", 300)),
    "gzip bomb": ("a.json.gz", lambda: zeros("gz", 300)),
    "bzip2 bomb": ("a.json.bz2", lambda: zeros("bz2", 100)),
    "xz bomb": ("a.csv.xz", lambda: zeros("xz", 300)),
    "one endless value": ("a.json.gz", lambda: zeros("gz", 300, b'["')),
    "an endless list": ("a.json.gz", lambda: gzip.compress(b"[" * 40 * MB)),
    "an endless line": ("a.jsonl.gz", lambda: gzip.compress(b'{"a":' * 20 * MB)),
    "an endless cell of CSV": ("a.csv.gz", lambda: gzip.compress(b'id,e\n"' + b"a" * 300 * MB)),
    "many columns of CSV": ("a.csv", lambda: b"," * 3 * MB),
    "nested zip": ("a.zip", lambda: archive({"b.zip": archive({"c.json": b"[]"})})),
    "many members": ("a.zip", lambda: archive({f"{i}.txt": b"" for i in range(20_000)})),
    # Paths.
    "members outside": (
        "a.zip",
        lambda: archive({"../../../../tmp/evil.json": b"[]", "/etc/evil.json": b"[]"}),
    ),
    # Numbers.
    "a lattice of NaN": ("a.json", lambda: record([NAN] * 9, [11, 17], TWO)),
    "a lattice of infinity": ("a.json", lambda: record([INF] * 9, [11, 17], TWO)),
    "a flat lattice": ("a.json", lambda: record([4, 0, 0, 8, 0, 0, 0, 0, 4], [11, 17], TWO)),
    "a giant lattice": ("a.json", lambda: record([x * 1e300 for x in CUBE], [11, 17], TWO)),
    "a tiny lattice": ("a.json", lambda: record([x * 1e-300 for x in CUBE], [11, 17], TWO)),
    "a needle": ("a.json", lambda: record([1e6, 0, 0, 0, 1e-3, 0, 0, 0, 1e-3], [11, 17], TWO)),
    "coordinates of NaN": ("a.json", lambda: record(CUBE, [11, 17], [NAN] * 6)),
    "coordinates far away": ("a.json", lambda: record(CUBE, [11, 17], [1e308] * 6)),
    "elements beyond the table": ("a.json", lambda: record(CUBE, [119, 10**30], TWO)),
    "elements below it": ("a.json", lambda: record(CUBE, [-1, 0], TWO)),
    "too few coordinates": ("a.json", lambda: record(CUBE, [11, 17], [0.0])),
    "numbers of a million digits": ("a.json", lambda: b"[" + b"9" * MB + b"]"),
    # Crystals.
    "a POSCAR of absurd counts": ("a.vasp", lambda: poscar(counts="999999999 1")),
    "a POSCAR of negative counts": ("a.vasp", lambda: poscar(counts="-1 1")),
    "a POSCAR that scales by NaN": ("a.vasp", lambda: poscar(scale="nan")),
    "a POSCAR that scales beyond": ("a.vasp", lambda: poscar(scale="1e300")),
    "a CIF of a giant cell": ("a.cif", lambda: cif(1e9)),
    "a CIF of a cell of zero": ("a.cif", lambda: cif(0)),
    "a CIF of NaN": ("a.cif", lambda: cif(NAN)),
    "a CIF without atoms": ("a.cif", lambda: cif(sites="")),
    "a crystal of a million atoms": ("a.vasp", lambda: many_sites(1_000_000)),
    "a row of ten million atoms": ("a.parquet", lambda: one_row(10_000_000)),
    # Text.
    "bytes that are no text": ("a.csv", lambda: bytes(range(256)) * 1000),
    "directions and surrogates": ("a.json", lambda: '["‮\\ud800\u0000"]'.encode()),
    "two marks of byte order": ("a.csv", lambda: b"\xef\xbb\xbf\xff\xfeid,e\n"),
    "a pickle by another name": ("a.json", lambda: b"\x80\x04cos\nsystem\n(S'touch evil'\ntR."),
}


@pytest.mark.parametrize("name", ERRORS)
def test_files_that_are_refused_in_words(tmp_path: Path, name: str) -> None:
    file, make = ERRORS[name]
    data = make()
    assert len(data) < 400 * MB
    (tmp_path / file).write_bytes(data)
    del data
    kind, said, _ = read(tmp_path / file)
    assert kind == "error", said
    assert len(said) < 2000
    assert file in said
    assert not list(tmp_path.rglob("evil*"))
    assert not Path("/tmp/evil.json").exists()


def test_many_rows_out_of_a_small_file(tmp_path: Path) -> None:
    (tmp_path / "a.parquet").write_bytes(many_rows(300_000))
    assert (tmp_path / "a.parquet").stat().st_size < MB
    kind, said, peak = read(tmp_path / "a.parquet", gigabytes=3)
    assert kind == "dataset", said
    assert peak < 3


def test_members_are_read_in_place(tmp_path: Path) -> None:
    rows = b'[{"id": "x", "formula": "NaCl", "e": 1.0}]'
    (tmp_path / "a.zip").write_bytes(archive({"/tmp/escaped/escaped.json": rows}))
    assert read(tmp_path / "a.zip")[:2] == ("dataset", 1)
    assert not Path("/tmp/escaped").exists()
    assert [path.name for path in tmp_path.parent.rglob("escaped*")] == []
