"""The built-in models: settings of the study, contract, determinism, and what they learn."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest
from sklearn.base import clone

from offmap.errors import OffmapError, SettingsError, UnknownNameError
from offmap.models.base import consumes, make_model
from offmap.models.boosting import rising_steps, size_for
from offmap.registry import TABLES
from offmap.testing import check_model

# Few trees where the number of trees is not what is tested.
SMALL: dict[str, dict[str, Any]] = {
    "lgbm": {},
    "xgb": {"n_estimators": 30},
    "rf": {"n_estimators": 20},
    "knn": {},
    "dummy": {},
}


@pytest.fixture(scope="module")
def planted() -> tuple[np.ndarray, np.ndarray]:
    """Features of which two matter, one of them with holes, and labels."""
    rng = np.random.default_rng(11)
    X = rng.normal(size=(600, 40)).astype(np.float32)
    y = 2 * X[:, 0] + np.where(X[:, 1] > 0, 1.0, -1.0) + 0.1 * rng.normal(size=600)
    X[::9, 1] = np.nan
    return X, y.astype(np.float64)


def fitted(name: str, data: tuple[np.ndarray, np.ndarray], seed: int = 0, threads: int = 1) -> Any:
    X, y = data
    return make_model(name, SMALL[name], seed, threads).fit(X[:400], y[:400])


def test_every_built_in_model_is_tested() -> None:
    networks = {"alignn", "gmp", "llm_prop"}  # each in a module of its own
    assert set(TABLES["model"]) == set(SMALL) | networks


def test_xgb_has_the_settings_of_the_study() -> None:
    found = make_model("xgb", {}, 0, 1).get_params()
    assert {name: value for name, value in found.items() if value is not None} == {
        "n_estimators": 1000,
        "num_parallel_tree": 4,
        "learning_rate": 0.25,
        "reg_lambda": 0.01,
        "reg_alpha": 0.1,
        "subsample": 0.85,
        "colsample_bytree": 0.3,
        "colsample_bylevel": 0.5,
        "max_depth": 6,
        "tree_method": "hist",
        "objective": "reg:squarederror",
        "missing": pytest.approx(np.nan, nan_ok=True),
        "enable_categorical": False,
        "random_state": 0,
        "n_jobs": 1,
    }


def test_rf_has_the_settings_of_the_study() -> None:
    from sklearn.ensemble import RandomForestRegressor

    model = make_model("rf", {}, 0, 1)
    study = RandomForestRegressor(n_estimators=100, max_features=1 / 3, random_state=0, n_jobs=1)
    assert isinstance(model, RandomForestRegressor)
    assert model.get_params() == study.get_params()


@pytest.mark.parametrize("name", SMALL)
def test_fits_into_offmap(name: str) -> None:
    # One thread: those that wait for each other are slow on a machine with other work to do.
    assert "takes missing values" in check_model(name, SMALL[name], threads=1).held


@pytest.mark.parametrize("name", SMALL)
def test_beats_the_mean_on_a_planted_signal(
    name: str, planted: tuple[np.ndarray, np.ndarray]
) -> None:
    X, y = planted
    mae = np.abs(fitted(name, planted).predict(X[400:]) - y[400:]).mean()
    floor = np.abs(y[400:] - y[:400].mean()).mean()
    most = {"dummy": 1.0001, "knn": 0.95, "xgb": 0.8}.get(name, 0.5)
    assert mae < most * floor


@pytest.mark.parametrize("name", SMALL)
def test_clones_have_the_same_settings(name: str) -> None:
    model = make_model(name, {}, 3, 2)
    copy = clone(model)
    assert repr(copy.get_params(deep=False)) == repr(model.get_params(deep=False))


@pytest.mark.parametrize("name", ["lgbm", "xgb", "rf"])
def test_seeds_reproduce(name: str, planted: tuple[np.ndarray, np.ndarray]) -> None:
    X, _ = planted
    first, again, other = (fitted(name, planted, seed).predict(X[400:]) for seed in (1, 1, 2))
    np.testing.assert_array_equal(first, again)
    assert not np.array_equal(first, other)


@pytest.mark.parametrize("name", ["lgbm", "rf", "xgb"])
def test_trees_are_bit_identical_over_threads(name: str) -> None:
    rng = np.random.default_rng(5)
    X = rng.normal(size=(20_000, 4)).astype(np.float32)  # enough rows for threads to share
    y = X[:, 0] ** 2 + rng.normal(size=len(X))
    one, *others = (
        make_model(name, {"n_estimators": 3}, 0, n).fit(X, y).predict(X) for n in (1, 2, 3, 5)
    )
    for other in others:
        np.testing.assert_array_equal(one, other)


def test_fitting_leaves_the_settings_of_lgbm_alone(
    planted: tuple[np.ndarray, np.ndarray],
) -> None:
    model = make_model("lgbm", {}, 0, 1)
    before = model.get_params()
    model.fit(*planted)
    assert model.get_params() == before
    assert model.booster_.num_trees() == size_for(*planted[0].shape)["n_estimators"]
    again = clone(model).fit(*planted)
    np.testing.assert_array_equal(again.predict(planted[0]), model.predict(planted[0]))


def test_settings_of_lgbm_replace_the_rule(planted: tuple[np.ndarray, np.ndarray]) -> None:
    settings = {"n_estimators": 7, "num_leaves": 4, "learning_rate_rise": 1.0, "learning_rate": 0.1}
    model = make_model("lgbm", settings, 0, 1).fit(*planted)
    assert model.booster_.num_trees() == 7
    trees = model.booster_.dump_model()["tree_info"]
    assert {tree["num_leaves"] for tree in trees} == {4}
    assert {tree["shrinkage"] for tree in trees[1:]} == {0.1}


def test_the_step_of_lgbm_rises(planted: tuple[np.ndarray, np.ndarray]) -> None:
    model = make_model("lgbm", {"n_estimators": 5}, 0, 1).fit(*planted)
    steps = [tree["shrinkage"] for tree in model.booster_.dump_model()["tree_info"]]
    expected = rising_steps(5, model.learning_rate, model.learning_rate_rise)
    # LightGBM adds the mean label to its first tree, whose shrinkage then reads 1.
    assert steps[1:] == pytest.approx(expected[1:])
    assert expected[0] == pytest.approx(model.learning_rate / model.learning_rate_rise)
    assert (np.diff(expected) > 0).all()
    assert rising_steps(1, 0.4, 20.0) == pytest.approx([0.02])


def test_the_size_of_lgbm_follows_the_training_set() -> None:
    sizes = [size_for(n, 273) for n in (10, 1000, 10_000, 45_000, 1_000_000)]
    for name in ("n_estimators", "num_leaves"):
        values = [size[name] for size in sizes]
        assert values == sorted(values)
    assert size_for(1000, 5)["colsample_bytree"] == 1.0


@pytest.mark.parametrize("n_rows", [6, 20, 60])
@pytest.mark.parametrize("name", SMALL)
def test_a_handful_of_materials_is_enough(
    name: str, n_rows: int, planted: tuple[np.ndarray, np.ndarray]
) -> None:
    X, y = planted
    model = make_model(name, SMALL[name], 0, 1).fit(X[:n_rows], y[:n_rows])
    assert np.isfinite(model.predict(X[400:])).all()


def test_a_column_that_is_empty_in_training_is_no_obstacle(
    planted: tuple[np.ndarray, np.ndarray],
) -> None:
    X, y = planted
    X = X.copy()
    X[:400, 5] = np.nan
    for name in ("lgbm", "rf", "knn"):
        model = make_model(name, SMALL[name], 0, 1).fit(X[:400], y[:400])
        assert np.isfinite(model.predict(X[400:])).all(), name


def test_any_regressor_of_scikit_learn() -> None:
    name = "sklearn.ensemble:ExtraTreesRegressor"
    model = make_model(name, {"n_estimators": 3}, 5, 2)
    assert (model.n_estimators, model.random_state, model.n_jobs) == (3, 5, 2)
    assert make_model(name, {"random_state": 9}, 5, 2).random_state == 9
    assert consumes(name) == consumes("lgbm") == "features"


def test_a_function_of_ones_own_and_the_seed_inside_a_pipeline(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "own_models_x.py").write_text(
        "from sklearn.pipeline import make_pipeline\n"
        "from sklearn.preprocessing import StandardScaler\n"
        "from sklearn.ensemble import RandomForestRegressor\n"
        "def forest(trees=5):\n"
        "    return make_pipeline(StandardScaler(), RandomForestRegressor(trees))\n"
    )
    monkeypatch.syspath_prepend(str(tmp_path))
    model = make_model("own_models_x:forest", {"trees": 4}, 8, 1)
    step = model.named_steps["randomforestregressor"]
    assert (step.n_estimators, step.random_state, step.n_jobs) == (4, 8, 1)
    check_model("own_models_x:forest")


def test_unknown_models_are_told_with_near_ones() -> None:
    with pytest.raises(UnknownNameError, match="unknown model 'xbg'; did you mean 'xgb'"):
        make_model("xbg", {}, 0, 1)


@pytest.mark.parametrize(
    ("name", "setting", "message"),
    [
        ("lgbm", "num_leafs", "setting of model 'lgbm' 'num_leafs'; did you mean 'num_leaves'"),
        ("xgb", "max_dept", "did you mean 'max_depth'"),
        ("rf", "n_trees", "model 'rf' does not take these settings: .*n_trees"),
        ("knn", "neighbours", "model 'knn' does not take these settings: .*neighbours"),
        ("dummy", "mean", "model 'dummy' does not take these settings: .*mean"),
    ],
)
def test_settings_that_are_unknown_are_named(name: str, setting: str, message: str) -> None:
    with pytest.raises(OffmapError, match=message):
        make_model(name, {setting: 1}, 0, 1)


@pytest.mark.parametrize("name", ["collections:Counter", "math:pi"])
def test_what_is_no_regressor_is_refused(name: str) -> None:
    with pytest.raises(SettingsError, match=name):
        make_model(name, {}, 0, 1)
