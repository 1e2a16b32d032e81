"""The configuration: whatever is written there gives a study or an error in words."""

from __future__ import annotations

import dataclasses
import math
from pathlib import Path
from typing import Any

import pytest
import tomli_w
from hypothesis import given, settings
from hypothesis import strategies as st

from offmap import Study
from offmap.errors import OffmapError, SettingsError, UnknownNameError

FIELDS = [f.name for f in dataclasses.fields(Study)]


def test_round_trip_through_toml(tmp_path: Path) -> None:
    study = Study(
        dataset="my data.parquet",
        target="e_form",
        models=("xgb", "rf"),
        criteria=("element", "my.module:criterion"),
        limit=500,
        symprec=1,  # an integer where a number is meant
        exclude=("suspect",),
        model_settings={"xgb": {"max_depth": 4, "missing": math.nan, "monotone": (1, -1)}},
    )
    path = tmp_path / "study.toml"
    path.write_text(tomli_w.dumps(study.to_dict() | {"provenance": {"unit": "eV"}}), "utf-8")
    again = Study.from_toml(path)
    assert study.differences(again) == []
    assert again.models == study.models
    assert again.symprec == 1.0
    assert type(again.symprec) is float
    assert again.model_settings["xgb"]["monotone"] == [1, -1]


def test_differences_name_the_setting() -> None:
    a = Study(models=("rf",), model_settings={"rf": {"n_estimators": 5, "bootstrap": True}})
    assert a.differences(a.replace(seed=3, min_size=10)) == ["min_size: 200 -> 10", "seed: 0 -> 3"]
    b = a.replace(model_settings={"rf": {"bootstrap": True, "n_estimators": 5.0}})
    assert a.differences(b) == []
    assert a.replace(models="rf").models == ("rf",)


def test_a_study_does_not_follow_what_it_was_made_from() -> None:
    settings = {"rf": {"n_estimators": 5}}
    study = Study(models=("rf",), model_settings=settings)
    settings["rf"]["n_estimators"] = 7
    study.to_dict()["model_settings"]["rf"]["n_estimators"] = 9
    assert study.model_settings["rf"]["n_estimators"] == 5


def test_unknown_names_are_told_with_near_ones() -> None:
    with pytest.raises(UnknownNameError, match="setting 'min_sise'; did you mean 'min_size'"):
        Study.from_dict({"min_sise": 3})
    with pytest.raises(UnknownNameError, match="did you mean 'xgb'"):
        Study(models=("xgboost", "xgb"))
    with pytest.raises(UnknownNameError, match="model_settings"):
        Study(models=("rf",), model_settings={"xgb": {}})
    with pytest.raises(UnknownNameError, match="cleaning"):
        Study(cleaning="studdy")


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("seed", True),
        ("seed", 1.0),
        ("seed", -1),
        ("seed", 2**31),
        ("min_size", 1),
        ("min_size", "200"),
        ("min_size", 10**30),
        pytest.param("limit", int("f" * 5000, 16), id="huge"),
        ("n_folds", 1),
        ("n_bootstrap", -1),
        ("symprec", 0),
        ("symprec", math.nan),
        ("symprec", math.inf),
        ("symprec", 10**400),
        ("symprec", False),
        ("confidence", 1.0),
        ("confidence", math.nan),
        ("dataset", 3),
        ("models", []),
        ("models", [3]),
        ("models", {"rf": 1}),
        ("exclude", 7),
        ("model_settings", ["rf"]),
        ("model_settings", {"lgbm": 3}),
        ("model_settings", {"lgbm": {"a": None}}),
        ("model_settings", {"lgbm": {"a": 2**64}}),
        ("model_settings", {"lgbm": {3: 4}}),
    ],
)
def test_values_that_cannot_be_used(name: str, value: Any) -> None:
    with pytest.raises(SettingsError, match=name.replace("models", "model")) as caught:
        Study(**{name: value})
    assert len(str(caught.value)) < 300


@pytest.mark.parametrize(
    "content",
    [
        b"seed = ",
        b"\xff\xfe",
        b"seed = 1\nseed = 2",
        b"seed = " + b"9" * 5000,
        b"a = " + b"[" * 3000,
    ],
)
def test_files_that_cannot_be_read(tmp_path: Path, content: bytes) -> None:
    path = tmp_path / "study.toml"
    path.write_bytes(content)
    with pytest.raises(OffmapError, match=r"study\.toml"):
        Study.from_toml(path)


def test_no_file(tmp_path: Path) -> None:
    for path in (tmp_path, tmp_path / "none.toml"):
        with pytest.raises(SettingsError, match="cannot read the study file"):
            Study.from_toml(path)


SCALARS = (
    st.none()
    | st.booleans()
    | st.integers()
    | st.floats()
    | st.dates()
    | st.sampled_from(["lgbm", "element", "none", ":", "a:b", "", "\0"])
    | st.text(max_size=5)
)
VALUES = st.recursive(
    SCALARS,
    lambda inner: (
        st.lists(inner, max_size=3)
        | st.dictionaries(st.sampled_from(["lgbm", "rf", "x"]), inner, max_size=3)
    ),
    max_leaves=6,
)


@settings(max_examples=300, deadline=None)
@given(st.dictionaries(st.sampled_from([*FIELDS, "sede", ""]), VALUES, max_size=4))
def test_any_table_is_a_study_or_an_error_in_words(table: dict[str, Any]) -> None:
    try:
        study = Study.from_dict(table)
    except OffmapError:
        return
    again = Study.from_dict(study.to_dict())
    assert study.differences(again) == []
    assert isinstance(tomli_w.dumps(study.to_dict()), str)
