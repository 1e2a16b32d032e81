"""A study, a run and a report show themselves in a notebook."""

from __future__ import annotations

from pathlib import Path

import pandas as pd
import pytest

import offmap
from offmap.errors import StudyError, UnknownNameError
from offmap.notebook import tables_html
from offmap.report import Report
from offmap.results import Run
from offmap.store import Store
from offmap.study import Study
from tests.report.planted import SCRIPT, plant


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A study of one model, in a folder of the name that it has by default."""
    place = tmp_path_factory.mktemp("here") / "offmap-prototypes"
    settings = {"n": 150, "min_size": 10, "n_bootstrap": 10, "models": ("lgbm",)}
    return plant(place, criteria=("element", "crystal_system"), **settings).folder  # type: ignore[arg-type]


def test_a_study_reports_on_its_own_folder(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(folder.parent)
    study = Study.from_toml(folder / "study.toml")
    found = study.report()
    assert isinstance(found, Report)
    assert found.path.is_file()
    html = found._repr_html_()
    assert "leave-one-out tasks" in html
    assert "What not to conclude" in html
    assert html.count("<svg") == 2
    assert 'href="offmap-prototypes/report/index.html"' in html
    assert 'href="#task' not in html  # these lead into the page alone
    assert SCRIPT not in html


def test_another_study_is_not_taken_for_this_one(folder: Path) -> None:
    other = Study.from_toml(folder / "study.toml").replace(min_size=11)
    with pytest.raises(StudyError, match="min_size: 10 -> 11"):
        other.report(folder)
    with pytest.raises(StudyError, match="not a study folder"):
        other.report(folder / "report")


def test_a_run_shows_what_it_left(folder: Path) -> None:
    offmap.show(folder)
    html = Run(Store.open(folder))._repr_html_()
    assert "leave-one-out tasks" in html
    assert f"file://{folder}" in html


def test_an_unfinished_study_says_so(tmp_path: Path) -> None:
    store = plant(tmp_path / "s", 150, ("lgbm",), ("crystal_system",), 10, scored=False)
    html = Report(store.folder)._repr_html_()
    assert "are not scored: run" in html
    assert "Open the full report" not in html


def test_figures_of_a_run_are_asked_for_by_name(folder: Path) -> None:
    run = Run.open(folder)
    figure = run.figure("elements-mae_ratio")
    assert figure.name == "elements-mae_ratio"
    assert set(figure._repr_mimebundle_()) >= {"image/svg+xml", "application/vnd.plotly.v1+json"}
    with pytest.raises(UnknownNameError, match="elements-mae_ratio"):
        run.figure("elements-mae_ration")


def test_tables_are_shown_with_their_sizes() -> None:
    many = pd.DataFrame({"formula": [f"<b>{i}" for i in range(12)], "mae": 1 / 3})
    html = tables_html({"found": many, "empty": many[:0], "failed": ()})
    assert "<b>found</b>: 12 rows, 2 columns" in html
    assert html.count("&lt;b&gt;") == 10
    assert "0.333" in html
    assert "empty" not in html
    assert "failed" not in html
