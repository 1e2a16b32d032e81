"""Size curves of toy crystals: the split every size shares, and what the curves say."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import numpy as np
import pandas as pd
import pytest

from offmap import Study
from offmap.columns import CRITERION, HELD_OUT, MATERIAL_ID
from offmap.errors import UnknownNameError
from offmap.inputs import Inputs, prepare, save_arrays
from offmap.scaling.added import addition
from offmap.scaling.curves import Sides
from offmap.scaling.grid import added_cells, curve_cells, sizes, time_cells
from offmap.scaling.job import Scaling, scaling
from offmap.scaling.verdicts import IN_DOMAIN, INSIDE, OUT_OF_DOMAIN, OUTSIDE
from offmap.stages import create
from offmap.store import Store
from offmap.worker import Work

FOLLOWED = "sklearn.ensemble:GradientBoostingRegressor"
KEYS = {"criterion": "element", "held_out": "F"}


@pytest.fixture(scope="module")
def study(toy_file: Path, tmp_path_factory: pytest.TempPathFactory) -> tuple[Store, Inputs]:
    settings = Study(
        dataset=str(toy_file),
        target="energy",
        models=("sklearn.tree:DecisionTreeRegressor", FOLLOWED),
        criteria=("element",),
        representations=("magpie",),
        min_size=60,
        n_bootstrap=20,
        model_settings={FOLLOWED: {"n_estimators": 16, "max_features": 0.2, "learning_rate": 0.2}},
    )
    inputs = prepare(settings)
    store = create(tmp_path_factory.mktemp("scaling") / "study", inputs)
    store.write_table("domain", verdicts(store))
    return store, inputs


def verdicts(store: Store) -> pd.DataFrame:
    """Half of the fluorides are out of the domain to one model, all of them to the other."""
    members = store.read_table("members")
    ids = members[(members[CRITERION] == "element") & (members[HELD_OUT] == "F")][MATERIAL_ID]
    parts = [
        pd.DataFrame({"representation": "magpie", "model": model, **KEYS, MATERIAL_ID: ids})
        .reset_index(drop=True)
        .assign(out_of_domain=lambda f, every=every: f.index % every == 0)
        for model, every in (("sklearn.tree:DecisionTreeRegressor", 2), (FOLLOWED, 1))
    ]
    return pd.concat(parts, ignore_index=True)


@pytest.fixture(scope="module")
def found(study: tuple[Store, Inputs]) -> Scaling:
    return scaling(*study, held_out=["element/F"], jobs=1, which_data=True)


def test_sizes_are_fractions_of_the_pool() -> None:
    assert sizes(50_000)[-1] == (40_000, 2)
    assert sizes(50_000)[0] == (40, 10)
    assert [n for n, _ in sizes(704)] == [56, 186, 563][-len(sizes(704)) :]


def test_smaller_training_sets_are_parts_of_larger_ones(study: tuple[Store, Inputs]) -> None:
    store, inputs = study
    cells = [c for c in curve_cells(store, ["element/F"]) if c.model != FOLLOWED]
    with store.temporary_folder() as folder:
        save_arrays(inputs, folder)
        names = (inputs.membership.criterion, inputs.membership.held_out)
        work = Work(folder, store.folder, *names, {}, 1)
        splits = {(c.seed, c.n_train): work.split(c) for c in cells}
    tests = [set(test) for _, test in splits.values()]
    assert all(test == tests[0] for test in tests)  # one test for every size and seed
    for seed in (0, 1):
        sets = [set(train) for (s, _), (train, _) in sorted(splits.items()) if s == seed]
        assert [len(rows) for rows in sets] == [56, 186, 563]
        assert sets[0] < sets[1] < sets[2]
        assert not sets[2] & tests[0]


def test_more_data_helps_inside_and_not_outside(found: Scaling) -> None:
    assert not found.failed
    tree = found.curves[found.curves["model"] != FOLLOWED]
    curves = tree.groupby(["test", "n_train"])["mae"].mean()
    inside, outside = curves[INSIDE], curves[OUTSIDE]
    assert inside.iloc[-1] < 0.8 * inside.iloc[0]
    assert outside.iloc[-1] > 2 * inside.iloc[-1]
    counts = found.curves.groupby("test")["n_test"].unique()
    assert counts[OUTSIDE].tolist() == [88]
    assert counts[INSIDE].tolist() == [int(np.ceil(704 * 0.2))]


def test_the_laws_have_a_verdict(found: Scaling) -> None:
    size = found.laws[(found.laws["curve"] == "size") & (found.laws["model"] != FOLLOWED)]
    laws = size.set_index("test")
    assert laws.loc[INSIDE, "exponent"] < 0
    assert "more of the same data" in laws.loc[OUTSIDE, "verdict"]


def test_nothing_is_trained_twice(study: tuple[Store, Inputs], found: Scaling) -> None:
    store, inputs = study
    cells = curve_cells(store, ["element/F"])
    cells += [c for c in time_cells(store, ["element/F"]) if c.model == FOLLOWED]
    stamps = [(store.cell_folder(c) / "_run.json").stat().st_mtime_ns for c in cells]
    scaling(store, inputs, held_out=["element/F"], jobs=1)
    assert stamps == [(store.cell_folder(c) / "_run.json").stat().st_mtime_ns for c in cells]


def test_the_held_out_test_is_parted_by_the_verdicts_of_the_same_model(found: Scaling) -> None:
    counts = found.curves.groupby(["model", "test"])["n_test"].unique().map(list)
    assert counts["sklearn.tree:DecisionTreeRegressor", IN_DOMAIN] == [44]
    assert counts["sklearn.tree:DecisionTreeRegressor", OUT_OF_DOMAIN] == [44]
    assert counts[FOLLOWED, OUT_OF_DOMAIN] == [88]
    assert (FOLLOWED, IN_DOMAIN) not in counts
    parts = found.curves[found.curves["model"] != FOLLOWED].pivot_table(
        index=["seed", "n_train"], columns="test", values="mae"
    )
    both = (parts[IN_DOMAIN] + parts[OUT_OF_DOMAIN]) / 2
    assert np.allclose(both, parts[OUTSIDE])


def test_training_is_followed_from_one_fit(study: tuple[Store, Inputs], found: Scaling) -> None:
    time = found.time
    assert set(time["model"]) == {FOLLOWED}  # a tree has no rounds
    assert set(time["n_train"]) == {int(0.9 * 704)}
    assert time["round"].max() == 16
    last = time[time["round"] == 16].set_index("test")
    assert last.loc[INSIDE, "n_test"] == 704 - int(0.9 * 704)
    inside = time[time["test"] == INSIDE].sort_values("round")["mae"]
    assert inside.iloc[-1] < 0.5 * inside.iloc[0]
    store, _ = study
    cell = next(c for c in time_cells(store, ["element/F"]) if c.model == FOLLOWED)
    final = store.read_predictions([cell])
    history = store.read_histories([cell])
    ends = history[history["round"] == 16]
    assert np.allclose(ends["y_pred"], final["y_pred"], rtol=1e-6)
    assert set(found.laws["curve"]) == {"size", "time"}


def test_choices_of_data_are_compared_at_equal_size(
    study: tuple[Store, Inputs], found: Scaling
) -> None:
    store, _ = study
    table = found.added[(found.added["model"] != FOLLOWED) & (found.added["test"] == OUTSIDE)]
    sizes = table.groupby("choice")["n_train"].unique().map(list)
    assert sizes["nearest"] == sizes["diverse"] == sizes["neighbouring_elements"] == [56, 186]
    assert sizes["random"] == [56, 186, 563]
    random = found.curves[(found.curves["model"] != FOLLOWED) & (found.curves["test"] == OUTSIDE)]
    mean = random.groupby("n_train")["mae"].mean()
    listed = table[table["choice"] == "random"].set_index("n_train")["mae"]
    assert np.allclose(listed, mean[listed.index])
    ratio = table.dropna(subset=["mae_ratio"]).set_index(["choice", "n_train"])
    at = ("nearest", 186)
    assert ratio.loc[at, "mae_ratio"] == pytest.approx(ratio.loc[at, "mae"] / listed[186])
    assert ratio.loc[at, "mae_ratio_low"] <= ratio.loc[at, "mae_ratio"]
    assert store.additions("nearest").folder.is_dir()


def test_added_materials_are_of_neighbouring_elements(study: tuple[Store, Inputs]) -> None:
    store, inputs = study
    wanted = added_cells(store, ["element/F"])
    members, domain = store.read_table("members"), store.read_table("domain")
    draw = addition("neighbouring_elements", wanted, inputs, Sides(members, domain))
    with store.temporary_folder() as folder:
        save_arrays(inputs, folder)
        names = (inputs.membership.criterion, inputs.membership.held_out)
        work = Work(folder, store.folder, *names, {}, 1)
        random, _ = work.split(wanted[0])
        chosen, test = replace(work, draw=draw).split(wanted[0])
    assert len(chosen) == len(random) == wanted[0].n_train
    assert not set(chosen) & set(test)
    beside = draw.related["element", "F"]
    assert beside[chosen].sum() > 1.5 * beside[random].sum()
    assert len(set(chosen) & set(random)) >= 20  # the base that they share


def test_an_unknown_task_is_named(study: tuple[Store, Inputs]) -> None:
    with pytest.raises(UnknownNameError, match="element/F"):
        curve_cells(study[0], ["element/Fe2"])
