"""Inputs that fuzzing found a reader could not take, made anew."""

from __future__ import annotations

import io
import zipfile
from pathlib import Path

import pytest

from offmap.datasets import load
from offmap.errors import DataError

from .test_mutations import EXAMPLES


@pytest.mark.parametrize("name", ["columns.parquet", "text.parquet"])
def test_a_name_of_a_column_that_is_no_text(tmp_path: Path, name: str) -> None:
    damaged = EXAMPLES[name].replace(b"e_form", b"\x8e_form")
    assert damaged != EXAMPLES[name]
    (tmp_path / name).write_bytes(damaged)
    with pytest.raises(DataError, match=f"{name} is no readable Parquet file"):
        load(tmp_path / name, target=None)


def zipped(name: str, data: bytes = b"[]") -> bytes:
    whole = io.BytesIO()
    with zipfile.ZipFile(whole, "w") as archive:
        archive.writestr(name, data)
    return whole.getvalue()


def directory(archive: bytes, at: int, value: bytes) -> bytes:
    """An archive with bytes of the entry in its directory replaced."""
    at += archive.index(b"PK\1\2")
    return archive[:at] + value + archive[at + len(value) :]


DIRECTORIES = {
    "no name": directory(zipped("x"), 28, b"\0\0\1\0"),  # the letter is taken for a further field
    "a version to come": directory(zipped("x"), 6, b"\xe2"),
    "a name in no alphabet": directory(directory(zipped("x"), 9, b"\x08"), 46, b"\xff"),
    "a size beyond the file": directory(zipped("x.json"), 20, b"\xff\xff\xff\x7f"),
    "a way to pack that nobody knows": directory(zipped("x.json"), 10, b"\x63"),
    "encrypted": directory(zipped("x.cif", EXAMPLES["a.cif"]), 8, b"\1"),
}


@pytest.mark.parametrize("name", DIRECTORIES)
def test_directories_of_archives(tmp_path: Path, name: str) -> None:
    (tmp_path / "a.zip").write_bytes(DIRECTORIES[name])
    with pytest.raises(DataError, match=r"a\.zip"):
        load(tmp_path / "a.zip", target=None)
