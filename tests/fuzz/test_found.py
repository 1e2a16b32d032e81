"""Inputs that fuzzing found a reader could not take, made anew."""

from __future__ import annotations

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
