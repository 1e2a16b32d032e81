"""What may go wrong with a network in the grid, and what is kept of it, with real networks."""

from __future__ import annotations

import subprocess
import sys
import time
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest
import torch

from offmap import Study
from offmap.datasets.base import Dataset
from offmap.domain import faithful_study
from offmap.errors import StudyError
from offmap.evaluate import _work, cells, estimate_seconds, evaluate
from offmap.inputs import Inputs, prepare, shared_arrays
from offmap.models.alignn.network import AlignnNetwork
from offmap.models.embeddings import embeddings
from offmap.models.gmp_net import AtomSets, GMPNet
from offmap.models.gmp_net import _Network as GMPNetwork
from offmap.models.network import NetworkRegressor
from offmap.models.recipe import Recipe
from offmap.representations.gmp import NO_DENSITY
from offmap.representations.gmp.cache import multipoles
from offmap.stages import create
from offmap.store import Cell, Store
from offmap.worker import fit_cell, keep

SETTINGS = {
    "alignn": {"hidden": 8, "epochs": 2, "batch_size": 12},
    "gmp": {
        "atom_layers": [16, 8], "set_layers": [8], "steps": 2, "set_depth": 1,
        "epochs": 2, "batch_size": 12,
    },
}  # fmt: skip


@pytest.fixture(scope="module")
def inputs(toy_dataset: Dataset, tmp_path_factory: pytest.TempPathFactory) -> Inputs:
    """Both networks on 40 crystals, two folds and one task."""
    import pyarrow as pa
    import pyarrow.parquet as pq

    rows = np.random.default_rng(0).permutation(len(toy_dataset))[:40]
    some = toy_dataset.take(np.sort(rows))
    path = tmp_path_factory.mktemp("data") / "some.parquet"
    table = some.crystals.to_arrow()
    pq.write_table(table.append_column("energy", pa.array(some.frame["energy"])), path)
    study = Study(
        dataset=str(path), target="energy", models=("alignn", "gmp"), n_folds=2,
        criteria=("crystal_system",), min_size=10, model_settings=SETTINGS,
    )  # fmt: skip
    return prepare(study)


class OwnNetwork(NetworkRegressor):
    """As the page on networks has it: no more than it needs."""

    def __init__(
        self, device: str = "cpu", random_state: int = 0, n_jobs: int = 1,
        checkpoint: str | None = None,
    ) -> None:  # fmt: skip
        self.device, self.random_state = device, random_state
        self.n_jobs, self.checkpoint = n_jobs, checkpoint

    def make_network(self) -> Any:
        return GMPNetwork((8,), (8,), 1, 1).double()

    def make_data(self, X: Any) -> AtomSets:
        found = multipoles(X)
        return AtomSets(found, found.offsets)

    def make_recipe(self) -> Recipe:
        return Recipe(epochs=1, batch_size=16, precision="float32")


def test_a_network_of_ones_own(inputs: Inputs, tmp_path: Path) -> None:
    study = inputs.study.replace(models=(f"{__name__}:OwnNetwork",), model_settings={})
    store = create(tmp_path / "s", prepare(study))
    outcomes = evaluate(store, prepare(study), chosen=cells(store)[:1])
    assert [outcome.error for outcome in outcomes] == [""]


def test_a_crystal_that_gmp_cannot_describe_is_set_aside(
    toy_dataset: Dataset, tmp_path: Path
) -> None:
    """Fermium has no tabulated density: its crystal must not fail the cells of the others."""
    import pyarrow as pa
    import pyarrow.parquet as pq

    some = toy_dataset.take(np.arange(0, len(toy_dataset), 33)).crystals
    numbers = some.numbers.copy()
    numbers[some.offsets[7] : some.offsets[8]] = 100
    table = replace(some, numbers=numbers).to_arrow()
    path = tmp_path / "heavy.parquet"
    pq.write_table(table.append_column("energy", pa.array(np.linspace(-1, 1, len(some)))), path)
    study = Study(
        dataset=str(path), target="energy", models=("gmp",), n_folds=2, min_size=4,
        criteria=("crystal_system",), model_settings={"gmp": SETTINGS["gmp"]},
    )  # fmt: skip
    inputs = prepare(study)
    rejected = inputs.dataset.rejected
    assert rejected["material_id"].tolist() == [some.material_id[7]]
    assert rejected["reason"].tolist() == [f"multipoles: {NO_DENSITY}"]
    store = create(tmp_path / "s", inputs)
    outcomes = evaluate(store, inputs, chosen=cells(store)[:1])
    assert [outcome.error for outcome in outcomes] == [""]


def cells_of(store: Store, model: str) -> list[Cell]:
    return [cell for cell in cells(store) if cell.model == model]


@pytest.mark.parametrize("model", ["alignn", "gmp"])
def test_batches_that_do_not_fit_go_in_halves(
    model: str, inputs: Inputs, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A card that holds 5 crystals at most: the cell is done, and its scores are real numbers."""
    network = {"alignn": AlignnNetwork, "gmp": GMPNetwork}[model]
    embed, seen = network.embed, []

    def small_card(self: Any, batch: Any) -> Any:
        n = len(batch.sizes) if model == "alignn" else batch.n
        if n > 5:
            raise torch.OutOfMemoryError("CUDA out of memory. Tried to allocate 2.00 GiB")
        seen.append(n)
        return embed(self, batch)

    monkeypatch.setattr(network, "embed", small_card)
    store = create(tmp_path / "s", inputs)
    outcomes = evaluate(store, inputs, chosen=cells_of(store, model)[:1])
    assert [outcome.error for outcome in outcomes] == [""]
    assert max(seen) <= 5
    frame = store.read_predictions(cells_of(store, model)[:1])
    assert np.isfinite(frame["y_pred"]).all()


@pytest.mark.parametrize("model", ["alignn", "gmp"])
def test_a_loss_that_is_no_number_stops_its_cell_alone(
    model: str, inputs: Inputs, tmp_path: Path
) -> None:
    too_large = {"alignn": 1e30, "gmp": 1e300}  # for single and for double precision
    settings = SETTINGS | {model: SETTINGS[model] | {"learning_rate": too_large[model]}}
    broken = replace(inputs, study=inputs.study.replace(model_settings=settings))
    store = create(tmp_path / "s", broken)
    other = "gmp" if model == "alignn" else "alignn"
    chosen = [cells_of(store, model)[0], cells_of(store, other)[0]]
    first, second = evaluate(store, broken, chosen=chosen)
    assert "the loss is" in first.error
    assert "a smaller learning_rate" in first.error
    assert store.error(chosen[0])["error"] == "TrainingError"
    assert not second.error
    assert [store.state(cell) for cell in chosen] == ["failed", "done"]


def test_the_time_of_a_network_is_that_of_its_epochs(
    inputs: Inputs, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Time to read what it is given, 0.3 s, is not spent in each of 200 epochs."""
    describe = GMPNet.describe

    def slowly(self: GMPNet, *given: Any) -> Any:
        begun = time.process_time()
        while time.process_time() < begun + 0.3:
            pass
        return describe(self, *given)

    settings = SETTINGS | {"gmp": SETTINGS["gmp"] | {"epochs": 200}}
    study = inputs.study.replace(model_settings=settings)
    store = create(tmp_path / "s", replace(inputs, study=study))
    cell = cells_of(store, "gmp")[0]
    monkeypatch.setattr(GMPNet, "describe", slowly)
    assert 0 < estimate_seconds(study, inputs, store, [cell]) < 20 * cell.n_train / len(inputs)


def test_what_a_worker_elsewhere_trained_comes_back(inputs: Inputs, tmp_path: Path) -> None:
    """As on a cluster: arrays by name; with the study folder at hand, and without."""
    local = create(tmp_path / "local", inputs)
    cell = cells_of(local, "alignn")[-1]
    evaluate(local, inputs, chosen=[cell])
    crystals = inputs.dataset.crystals
    expected = embeddings(local, cell, crystals)
    assert expected.shape == (40, 8)
    for folder in (tmp_path / "there", tmp_path / "nowhere"):
        store = create(tmp_path / "there", inputs)
        work = _work(inputs, store, shared_arrays(inputs), 1)
        fitted = fit_cell(replace(work, study_folder=folder, crystals=crystals), cell)
        assert store.network_file(cell, "training").exists() == (folder == store.folder)
        assert not (tmp_path / "nowhere").exists()
        keep(store, fitted)
        np.testing.assert_array_equal(embeddings(store, cell, crystals), expected)
        pd.testing.assert_frame_equal(
            local.read_predictions([cell]), store.read_predictions([cell]), check_exact=True
        )
        store.network_file(cell, "model").unlink()
    with pytest.raises(StudyError, match="has kept no network"):
        embeddings(store, cell, crystals)


@pytest.mark.parametrize(
    ("model", "package", "extra"),
    [("gmp", "torch", "nn"), ("llm_prop", "transformers", "llm")],
)
def test_without_its_extra_a_study_says_which_to_install(
    model: str, package: str, extra: str, tmp_path: Path
) -> None:
    """In a process of its own, where the package cannot be imported."""
    code = (
        f"import sys; sys.modules[{package!r}] = None\n"
        "from offmap.cli import main\n"
        f"sys.argv = ['offmap', 'run', '--model', {model!r}, '--out', {str(tmp_path / 's')!r}]\n"
        "main()"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True)
    assert done.returncode == 2
    assert f"pip install 'offmap[{extra}]'" in done.stderr


def test_the_published_map_is_drawn_of_embeddings_that_never_saw_the_group(
    inputs: Inputs, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """UMAP wants more crystals than there are here: two components stand in for it."""
    store = create(tmp_path / "s", inputs)
    cell = cells_of(store, "gmp")[-1]
    evaluate(store, inputs, chosen=[cell])
    seen = []

    def two_components(X: Any, seed: int | None) -> Any:
        seen.append(X)
        return X[:, :2] + np.random.default_rng(0).normal(size=(len(X), 2)) * 1e-3

    monkeypatch.setattr(faithful_study, "joint_map", two_components)
    task = f"{cell.criterion}/{cell.held_out}"
    found = faithful_study.faithful_study(store, inputs, held_out=[task], embedded="gmp").tasks
    np.testing.assert_array_equal(seen[0], embeddings(store, cell, inputs.dataset.crystals))
    assert found[["representation", "model"]].to_numpy().tolist() == [["gmp embedding", "gmp"]]
    assert found["n_in"].iat[0] + found["n_out"].iat[0] == found["n_test"].iat[0]
