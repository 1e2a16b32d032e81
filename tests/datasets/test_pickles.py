"""What the reader of pickles makes of names that it does not take at their word."""

from __future__ import annotations

import pickle
from pathlib import Path
from typing import Any

import pandas as pd
import pytest
from pymatgen.core import Element

from offmap.datasets.pickles import Hollow, read_pickle
from offmap.errors import DataError


class _AsGetattr:
    """Pickles as ``getattr(of, name)``, as Python 3.11.0 to 3.11.3 do with enumerations."""

    def __init__(self, of: Any, name: str) -> None:
        self.of, self.name = of, name

    def __reduce__(self) -> tuple[Any, ...]:
        return getattr, (self.of, self.name)


def _write(path: Path, cell: object) -> Path:
    path.write_bytes(pickle.dumps(pd.DataFrame({"cell": pd.Series([cell], dtype=object)})))
    return path


def test_members_of_enumerations_of_any_python_come_out_alike(tmp_path: Path) -> None:
    cell = read_pickle(_write(tmp_path / "old.pkl", _AsGetattr(Element, "Na")))["cell"][0]
    assert isinstance(cell, Hollow)
    assert cell == read_pickle(_write(tmp_path / "own.pkl", Element("Na")))["cell"][0]


@pytest.mark.parametrize("name", ["mro", "query"])
def test_getattr_reaches_into_nothing_else(tmp_path: Path, name: str) -> None:
    with pytest.raises(DataError, match=r"builtins\.getattr, which no table needs"):
        read_pickle(_write(tmp_path / "bad.pkl", _AsGetattr(pd.DataFrame, name)))
