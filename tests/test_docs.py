"""The documentation's Python blocks and the docstrings' examples, executed."""

from __future__ import annotations

import doctest
import re
from importlib import import_module
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from offmap import testing
from offmap.plots import Figure
from offmap.report.section import Section
from offmap.report.tables import Tables
from offmap.store import Store
from tests.report.planted import plant

ROOT = Path(__file__).parents[1]
PACKAGE = ROOT / "src"
WITH_EXAMPLES = sorted(
    ".".join(path.relative_to(PACKAGE).with_suffix("").parts).removesuffix(".__init__")
    for path in PACKAGE.rglob("*.py")
    if ">>> " in path.read_text(encoding="utf-8")
)


def executed(page: str, first: int = 0, **given: Any) -> dict[str, Any]:
    """The names that the Python blocks of a page make, from a given one on, in one namespace."""
    text = (ROOT / "docs" / page).read_text(encoding="utf-8")
    blocks = re.findall(r"^```python\n(.*?)^```", text, re.DOTALL | re.MULTILINE)
    assert blocks
    for block in blocks[first:]:
        exec(compile(block, page, "exec"), given)
    return given


@pytest.mark.parametrize("name", WITH_EXAMPLES)
def test_examples_of_docstrings(name: str) -> None:
    done = doctest.testmod(import_module(name))
    assert done.attempted
    assert not done.failed


def test_what_the_page_on_extending_shows_fits(monkeypatch: pytest.MonkeyPatch) -> None:
    structures = testing.example_crystals().to_pymatgen()
    names = [f"mine-{i}" for i in range(len(structures))]
    gaps = np.linspace(0, 3, len(structures))
    made = executed("extend.md", my_structures=structures, my_ids=names, my_gaps=gaps)
    testing.check_dataset(made["load"])
    testing.check_model(made["tuned_forest"])
    testing.check_criterion(made["anion"])
    testing.check_representation(made["Density"])
    testing.check_detector(made["FromMean"])
    checked: list[str] = []
    monkeypatch.setitem(made, "check_model", checked.append)
    monkeypatch.setitem(made, "check_detector", checked.append)
    made["test_mine_fits"]()
    assert checked == ["mymodels:tuned_forest", "mydetectors:FromMean"]


def test_what_the_page_on_reports_shows_draws(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    folder = tmp_path / "offmap-prototypes"
    plant(folder, 150, ("lgbm",), ("element", "crystal_system"), 10)
    monkeypatch.chdir(tmp_path)
    made = executed("report.md", first=1)  # before it, a whole study is run
    assert isinstance(made["figure"], Figure)
    tables = Tables(Store.open(folder))
    assert made["section"](tables) is None  # the study has no bias table yet
    scores = tables.scores
    monkeypatch.setattr(Tables, "get", lambda *_: scores)
    section = made["section"](tables)
    assert isinstance(section, Section)
    assert list(section.slots[0].figures) == tables.series
