"""Whatever bytes a file holds, the answer is a dataset or an error for people."""

from __future__ import annotations

import gzip
import io
import json
import warnings

import pandas as pd
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from offmap.crystals import Crystals
from offmap.datasets import load
from offmap.datasets.base import Dataset
from offmap.errors import OffmapError

from . import formats
from .conftest import rock_salt
from .test_files import plain

CRYSTALS = Crystals.from_list([rock_salt(5 + i / 10, name=f"m{i}") for i in range(3)])
ROWS = [{"id": c.material_id, "structure": plain(c), "e_form": i} for i, c in enumerate(CRYSTALS)]


def as_extxyz() -> bytes:
    from ase.io import write

    text = io.StringIO()
    write(text, CRYSTALS.to_ase(), format="extxyz")
    return text.getvalue().encode()


def as_parquet(frame: pd.DataFrame) -> bytes:
    buffer = io.BytesIO()
    frame.to_parquet(buffer)
    return buffer.getvalue()


TEXT = pd.DataFrame([r | {"structure": json.dumps(r["structure"])} for r in ROWS])
COLUMNS = pd.DataFrame(
    {
        "material_id": CRYSTALS.material_id,
        "lattice": [c.lattice.ravel() for c in CRYSTALS],
        "numbers": [c.numbers for c in CRYSTALS],
        "frac_coords": [c.frac_coords.ravel() for c in CRYSTALS],
        "e_form": 1.0,
    }
)
WHOLE = {
    "a.json": json.dumps(ROWS).encode(),
    "a.jsonl": "\n".join(map(json.dumps, ROWS)).encode(),
    "a.json.gz": gzip.compress(json.dumps(ROWS).encode()),
    "a.json.zip": formats.jarvis_zip(CRYSTALS, [1, 2, 3]),
    "a.csv": TEXT.to_csv(index=False).encode(),
    "a.extxyz": as_extxyz(),
    "a.cif": CRYSTALS.to_pymatgen()[0].to(fmt="cif").encode(),
    "a.vasp": CRYSTALS.to_pymatgen()[0].to(fmt="poscar").encode(),
    "text.parquet": as_parquet(TEXT),
    "columns.parquet": as_parquet(COLUMNS),
}

damage = st.lists(
    st.tuples(
        st.sampled_from(["cut", "flip", "drop", "insert", "double"]),
        st.floats(0, 1),
        st.binary(min_size=1, max_size=6),
    ),
    min_size=1,
    max_size=4,
)


def damaged(data: bytes, steps) -> bytes:
    for kind, place, extra in steps:
        at = int(place * len(data))
        if kind == "cut":
            data = data[:at]
        elif kind == "flip":
            data = data[:at] + extra + data[at + len(extra) :]
        elif kind == "drop":
            data = data[:at] + data[at + len(extra) :]
        elif kind == "insert":
            data = data[:at] + extra + data[at:]
        else:
            data = data[:at] + data[: len(data) // 2] + data[at:]
    return data


def attempt(folder, name: str, data: bytes) -> None:
    path = folder / name
    path.write_bytes(data)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # parsers of other packages wonder aloud
        try:
            dataset = load(path, target=None)
        except OffmapError:
            return
    assert isinstance(dataset, Dataset)
    assert len(dataset) > 0
    assert dataset.frame["material_id"].is_unique


@pytest.mark.parametrize("name", WHOLE)
def test_the_whole_files_are_fine(tmp_path, name):
    (tmp_path / name).write_bytes(WHOLE[name])
    assert len(load(tmp_path / name, target=None)) in (1, 3)


@pytest.mark.parametrize("name", WHOLE)
@settings(
    max_examples=25, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture]
)
@given(steps=damage)
def test_damaged_files(tmp_path, name, steps):
    attempt(tmp_path, name, damaged(WHOLE[name], steps))


@settings(
    max_examples=40, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture]
)
@given(
    name=st.sampled_from(["x", "x.dat", "POSCAR", "x.zip", "x.csv.gz", *WHOLE]),
    data=st.binary(max_size=200) | st.text(max_size=200).map(str.encode),
)
def test_any_bytes(tmp_path, name, data):
    attempt(tmp_path, name, data)
