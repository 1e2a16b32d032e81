"""The network on Gaussian multipoles."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
import torch

from offmap.crystals import Crystals
from offmap.datasets import load
from offmap.errors import DataError
from offmap.models.base import make_model

SMALL = {
    "atom_layers": (64, 32), "set_layers": (32, 16), "steps": 3, "set_depth": 1,
    "validation_share": 0.0, "learning_rate": 2e-2,
}  # fmt: skip


@pytest.fixture(scope="module")
def sixty_four() -> tuple[Crystals, np.ndarray]:
    dataset = load("prototypes")
    rows = np.flatnonzero(dataset.crystals.n_sites <= 5)
    rows = rows[:: len(rows) // 64][:64]
    y = dataset.frame["formation_energy_per_atom"].to_numpy()[rows]
    return dataset.crystals.take(rows), y


def test_it_learns_64_crystals_by_heart(sixty_four: tuple[Crystals, np.ndarray]) -> None:
    crystals, y = sixty_four
    model = make_model("gmp", {**SMALL, "epochs": 400}, 0, 1).fit(crystals, y)
    assert np.abs(model.predict(crystals) - y).mean() < 0.02
    assert model.embed(crystals).shape == (64, 16)


def test_neither_order_nor_batch_changes_a_prediction(
    sixty_four: tuple[Crystals, np.ndarray],
) -> None:
    crystals, y = sixty_four
    model = make_model("gmp", {**SMALL, "epochs": 2}, 0, 1).fit(crystals, y)
    y_pred = model.predict(crystals)
    order = np.random.default_rng(0).permutation(64)
    np.testing.assert_allclose(model.predict(crystals.take(order)), y_pred[order], rtol=1e-6)
    np.testing.assert_allclose(model.predict(crystals.take(np.arange(3))), y_pred[:3], rtol=1e-6)


def test_the_study_s_sizes() -> None:
    model = make_model("gmp", {}, 0, 1)
    network = model.make_network()
    assert next(network.parameters()).dtype == torch.float64
    recipe = model.make_recipe()
    assert (recipe.epochs, recipe.batch_size, recipe.learning_rate) == (200, 256, 2e-3)
    assert (recipe.plateau_patience, recipe.plateau_floor, recipe.loss) == (13, 1e-4, "l1")
    widths = [layer.out_features for layer in network.atoms if hasattr(layer, "out_features")]
    assert widths == [512, 256, 128, 64, 32]
    assert network.memory.num_layers == 5


def test_it_goes_on_from_its_checkpoint(
    sixty_four: tuple[Crystals, np.ndarray], tmp_path: Path
) -> None:
    crystals, y = sixty_four
    settings = {**SMALL, "epochs": 4, "validation_share": 0.1}
    whole = make_model("gmp", settings, 0, 1).fit(crystals, y).predict(crystals)
    kept = {**settings, "checkpoint": str(tmp_path / "state")}
    following = make_model("gmp", kept, 0, 1).fit_by_round(crystals, y, crystals)
    next(following)  # one epoch, then it is left
    resumed = make_model("gmp", kept, 0, 1).fit(crystals, y).predict(crystals)
    np.testing.assert_array_equal(resumed, whole)


def test_a_crystal_without_density_is_named() -> None:
    heavy = Crystals(
        lattice=4 * np.eye(3)[None], numbers=np.array([118], np.uint8),
        frac_coords=np.zeros((1, 3)), offsets=np.array([0, 1]),
        material_id=np.array(["oganesson"], dtype=object),
    )  # fmt: skip
    with pytest.raises(DataError, match="oganesson"):
        make_model("gmp", SMALL, 0, 1).fit(heavy, np.zeros(1))
