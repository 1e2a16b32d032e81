"""The documentation's Python blocks and the docstrings' examples, executed."""

from __future__ import annotations

import doctest
import gzip
import json
import re
import subprocess
import sys
from importlib import import_module
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from offmap import Study, run, testing
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


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder that holds ``offmap-prototypes``, a study of little data and small models."""
    home = tmp_path_factory.mktemp("docs")
    small = {"lgbm": {"n_estimators": 60, "num_leaves": 15, "learning_rate": 0.1}}
    study = Study(
        criteria=("element",), limit=700, min_size=30, n_bootstrap=20, model_settings=small
    )
    run(study, home / "offmap-prototypes", jobs=1, held_out=["element/F"])
    return home


def test_what_the_page_on_bias_shows_runs(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(folder)
    found = executed("bias.md")["found"]
    assert found.tasks["bias_verdict"].str.startswith("biased by").all()
    assert {0, 10} <= set(found.rescue["n_labelled"])


def test_what_the_page_on_audits_shows_runs(
    toy_file: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    arguments = f"export {toy_file} --hard --criterion crystal_system --min-out 0.01 --min-size 30"
    command = [sys.executable, "-m", "offmap", *arguments.split(), "-o", "hard.json"]
    done = subprocess.run(command, check=False)
    assert done.returncode == 0
    made = executed("audit.md")
    assert len(made["test_ids"]) >= 30
    assert not set(made["train_ids"]) & set(made["test_ids"])


def test_what_the_page_on_datasets_shows_runs(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    structures = testing.example_crystals().to_pymatgen()
    rows = [
        {"id": f"m{i}", "structure": s.as_dict(), "band_gap": 0.1 * i, "suspect": i == 1}
        for i, s in enumerate(structures)
    ]
    with gzip.open("crystals.json.gz", "wt", encoding="utf-8") as file:
        json.dump(rows, file)
    dataset = executed("datasets.md")["dataset"]
    assert len(dataset.crystals) == len(structures) - 1
    assert dataset.rejected["material_id"].tolist() == ["m1"]


def test_the_quickstart_shows_what_the_readme_shows() -> None:
    """The README's block is run by its own test."""
    pages = [
        (ROOT / name).read_text(encoding="utf-8") for name in ("README.md", "docs/quickstart.md")
    ]
    blocks = [
        re.findall(r"^```python\n(.*?)^```", text, re.DOTALL | re.MULTILINE) for text in pages
    ]
    assert blocks[0] == blocks[1]
    assert len(blocks[0]) == 1


def test_what_the_page_on_descriptors_shows_runs() -> None:
    crystals = testing.example_crystals()
    made = executed("representations/matminer.md", crystals=crystals)
    assert made["features"].values.shape == (len(crystals), 273)


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
