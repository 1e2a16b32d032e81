"""The table of element facts against its sources."""

from __future__ import annotations

import csv
import importlib.util
import warnings
from pathlib import Path

import numpy as np

from offmap.elements import SYMBOLS
from offmap.representations.matminer.columns import MAGPIE_PROPERTIES
from offmap.representations.matminer.tables import element_table

ROOT = Path(__file__).parents[2]


def test_known_facts() -> None:
    table = element_table()
    iron = dict(zip(MAGPIE_PROPERTIES, table.magpie[26], strict=True))
    assert iron["Number"] == 26
    assert iron["AtomicWeight"] == 55.845
    assert iron["NdValence"] == 6
    assert table.electronegativity[9] == 3.98
    assert table.oxidation_states[8] == (-2,)
    assert table.oxidation_states[10] == ()
    assert np.isfinite(table.magpie[1:]).all()
    assert np.isfinite(table.electronegativity[1:]).all()


def test_table_is_what_matminer_uses() -> None:
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        from matminer.utils.data import MagpieData, PymatgenData
        from pymatgen.core import Element

        magpie, pymatgen = MagpieData(), PymatgenData()
        elements = [Element(s) for s in SYMBOLS[1:]]
        x = [pymatgen.get_elemental_property(e, "X") for e in elements]
        states = tuple(tuple(pymatgen.get_oxidation_states(e)) for e in elements)
    table = element_table()
    for k, name in enumerate(MAGPIE_PROPERTIES):
        expected = [magpie.get_elemental_property(e, name) for e in elements]
        np.testing.assert_allclose(table.magpie[1:, k], expected, rtol=1e-12, err_msg=name)
    np.testing.assert_allclose(table.electronegativity[1:], x, rtol=1e-12)
    assert table.oxidation_states[1:] == states


def test_the_shipped_file_is_what_the_builder_writes() -> None:
    path = ROOT / "builders" / "elements" / "build_element_table.py"
    spec = importlib.util.spec_from_file_location("build_element_table", path)
    assert spec is not None
    assert spec.loader is not None
    builder = importlib.util.module_from_spec(spec)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        spec.loader.exec_module(builder)
        rows = builder.rows()
    with builder.PACKAGE_FILE.open(newline="") as file:
        assert list(csv.reader(file)) == rows
