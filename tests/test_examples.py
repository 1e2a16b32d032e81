"""The study files of the examples."""

from __future__ import annotations

from pathlib import Path

import pytest

from offmap.columns import STUDY_CRITERIA
from offmap.datasets.cards import snapshots
from offmap.study import Study

FILES = sorted((Path(__file__).parents[1] / "examples" / "reproduce").glob("*.toml"))


@pytest.mark.parametrize("path", FILES, ids=lambda path: path.stem)
def test_study_files_are_valid(path: Path) -> None:
    study = Study.from_toml(path)
    assert study.criteria == (*STUDY_CRITERIA, "n_elements")
    assert {"rf", "xgb"} <= set(study.models)
    if not study.dataset.endswith(".parquet"):
        card = snapshots()[study.dataset]
        assert study.target in card.targets
        assert study.cleaning == "study"


def test_the_three_databases_of_the_study_are_there() -> None:
    assert {"jarvis22", "mp21", "oqmd21"} <= {path.stem for path in FILES}
