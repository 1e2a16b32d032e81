"""Size curves of toy crystals: the split every size shares, and what the curves say."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

import offmap
from offmap import Study
from offmap.errors import UnknownNameError
from offmap.inputs import Inputs, prepare
from offmap.scaling.curves import INSIDE, OUTSIDE
from offmap.scaling.grid import chosen_tasks, curve_cells, sizes
from offmap.scaling.job import Scaling, scaling
from offmap.store import Store


@pytest.fixture(scope="module")
def study(toy_file: Path, tmp_path_factory: pytest.TempPathFactory) -> tuple[Store, Inputs]:
    settings = Study(
        dataset=str(toy_file),
        target="energy",
        models=("sklearn.tree:DecisionTreeRegressor",),
        criteria=("element",),
        representations=("magpie",),
        min_size=60,
        n_bootstrap=20,
    )
    run = offmap.run(settings, tmp_path_factory.mktemp("scaling") / "study", jobs=1)
    return run.store, prepare(settings)


@pytest.fixture(scope="module")
def found(study: tuple[Store, Inputs]) -> Scaling:
    return scaling(*study, held_out=["element/F"], jobs=1)


def test_sizes_are_fractions_of_the_pool() -> None:
    assert sizes(50_000)[-1] == (40_000, 2)
    assert sizes(50_000)[0] == (40, 10)
    assert [n for n, _ in sizes(704)] == [56, 186, 563][-len(sizes(704)) :]


def test_smaller_training_sets_are_parts_of_larger_ones(study: tuple[Store, Inputs]) -> None:
    store, _ = study
    from offmap.columns import MATERIAL_ID

    by_seed: dict[int, list[set[str]]] = {}
    for cell in curve_cells(store, ["element/F"]):
        if store.state(cell) == "done":
            ids = set(store.read_predictions([cell])[MATERIAL_ID])
            by_seed.setdefault(cell.n_train, []).append(ids)
    tested = [ids for group in by_seed.values() for ids in group]
    assert all(ids == tested[0] for ids in tested)  # one test for every size and seed


def test_more_data_helps_inside_and_not_outside(found: Scaling) -> None:
    assert not found.failed
    curves = found.curves.groupby(["test", "n_train"])["mae"].mean()
    inside, outside = curves[INSIDE], curves[OUTSIDE]
    assert inside.iloc[-1] < 0.8 * inside.iloc[0]
    assert outside.iloc[-1] > 2 * inside.iloc[-1]
    counts = found.curves.groupby("test")["n_test"].unique()
    assert counts[OUTSIDE].tolist() == [88]
    assert counts[INSIDE].tolist() == [int(np.ceil(704 * 0.2))]


def test_the_laws_have_a_verdict(found: Scaling) -> None:
    laws = found.laws.set_index("test")
    assert laws.loc[INSIDE, "exponent"] < 0
    assert "more of the same data" in laws.loc[OUTSIDE, "verdict"]


def test_nothing_is_trained_twice(study: tuple[Store, Inputs], found: Scaling) -> None:
    store, inputs = study
    cells = curve_cells(store, ["element/F"])
    stamps = [(store.cell_folder(c) / "_run.json").stat().st_mtime_ns for c in cells]
    scaling(store, inputs, held_out=["element/F"], jobs=1)
    assert stamps == [(store.cell_folder(c) / "_run.json").stat().st_mtime_ns for c in cells]


def test_an_unknown_task_is_named(study: tuple[Store, Inputs]) -> None:
    with pytest.raises(UnknownNameError, match="element/F"):
        chosen_tasks(study[0], ["element/Fe2"])
