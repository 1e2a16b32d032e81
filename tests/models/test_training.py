"""The one training loop: what it learns, what it never does, and how it survives."""

from __future__ import annotations

import pickle
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from numpy.typing import NDArray
from torch import nn

from offmap.errors import SettingsError
from offmap.models.batching import in_pieces, order, prefetched
from offmap.models.checkpoints import Checkpoint
from offmap.models.recipe import Recipe
from offmap.models.training import Epoch, TrainingError, predict, train

RNG = np.random.default_rng(1)
X = RNG.normal(size=(120, 4))
Y = 50 + 3 * X[:, 0] - X[:, 1]


class Table:
    """Rows of features as batches."""

    def __init__(self, values: NDArray[np.float64]) -> None:
        self.values = torch.as_tensor(values, dtype=torch.float32)
        self.sizes = np.arange(len(values)) % 7

    def __len__(self) -> int:
        return len(self.values)

    def batch(self, rows: NDArray[np.int64]) -> Any:
        return self.values[torch.as_tensor(rows)]


class Small(nn.Module):
    """Two layers, with dropout, so that order and seed matter."""

    def __init__(self) -> None:
        super().__init__()
        self.layers = nn.Sequential(nn.Linear(4, 16), nn.Tanh(), nn.Dropout(0.1), nn.Linear(16, 1))

    def forward(self, x: Any) -> Any:
        return self.layers(x)[:, 0]


def small() -> Small:
    with torch.random.fork_rng():
        torch.manual_seed(3)
        return Small()


def run(recipe: Recipe, network: nn.Module | None = None, **how: Any) -> tuple[Any, list[Epoch]]:
    network = network or small()
    return network, list(train(network, Table(X), Y, recipe, **{"seed": 5} | how))


def weights(network: nn.Module) -> NDArray[np.float32]:
    return np.concatenate([p.detach().numpy().ravel() for p in network.parameters()])


SHORT = Recipe(epochs=6, batch_size=16, learning_rate=0.01)


@pytest.mark.parametrize("loss", ["mse", "l1"])
def test_it_learns_in_the_unit_of_the_target(loss: Any) -> None:
    recipe = Recipe(epochs=40, batch_size=16, learning_rate=0.02, standardise=True, loss=loss)
    network, epochs = run(recipe)
    error = np.abs(predict(network, Table(X)) - Y).mean()
    assert error < 0.25 * np.abs(Y - Y.mean()).mean()
    assert epochs[-1].train_mae < 0.5 * epochs[0].train_mae
    assert [epoch.number for epoch in epochs] == list(range(1, 41))


def test_a_seed_reproduces_and_the_global_state_is_left_alone() -> None:
    torch.manual_seed(11)
    before = torch.random.get_rng_state()
    first, second = weights(run(SHORT)[0]), weights(run(SHORT)[0])
    assert torch.equal(before, torch.random.get_rng_state())
    np.testing.assert_array_equal(first, second)
    assert (first != weights(run(SHORT, seed=6)[0])).any()


@pytest.mark.parametrize(
    "settings",
    [
        {"schedule": "onecycle"},
        {"schedule": "plateau", "optimizer": "adam", "plateau_patience": 0},
        {"validation_share": 0.2, "keep": "best", "standardise": True},
    ],
)
def test_a_killed_training_goes_on_to_the_same_weights(settings: Any, tmp_path: Path) -> None:
    recipe = Recipe(epochs=6, batch_size=16, learning_rate=0.01, **settings)
    whole, epochs = run(recipe, watch={"test": Table(X[:9])})
    checkpoint = Checkpoint(tmp_path / "deep" / "_training.pt")
    begun = train(
        small(), Table(X), Y, recipe, seed=5, watch={"test": Table(X[:9])}, checkpoint=checkpoint
    )
    for _ in range(3):
        next(begun)
    begun.close()  # killed here
    again, found = run(recipe, checkpoint=checkpoint, watch={"test": Table(X[:9])})
    np.testing.assert_array_equal(weights(whole), weights(again))
    for one, other in zip(epochs, found, strict=True):
        assert (one.number, one.learning_rate) == (other.number, other.learning_rate)
        assert one.train_mae == other.train_mae
        np.testing.assert_array_equal(one.watched["test"], other.watched["test"])
    assert not list(tmp_path.rglob("*.tmp"))


def test_a_checkpoint_of_another_training_does_not_count(tmp_path: Path) -> None:
    checkpoint = Checkpoint(tmp_path / "_training.pt")
    run(SHORT, checkpoint=checkpoint)
    other = Recipe(epochs=6, batch_size=16, learning_rate=0.02)
    fresh, _ = run(other)
    np.testing.assert_array_equal(weights(fresh), weights(run(other, checkpoint=checkpoint)[0]))
    checkpoint.path.write_bytes(checkpoint.path.read_bytes()[:500])
    np.testing.assert_array_equal(weights(fresh), weights(run(other, checkpoint=checkpoint)[0]))


class _Trap:
    def __reduce__(self) -> tuple[Callable[[str], Any], tuple[str]]:
        return (_spring, ("sprung",))


_SPRUNG: list[str] = []


def _spring(word: str) -> None:
    _SPRUNG.append(word)


def test_nothing_in_a_checkpoint_is_run(tmp_path: Path) -> None:
    path = tmp_path / "_training.pt"
    torch.save({"fingerprint": _Trap()}, path)
    assert Checkpoint(path).load("x") is None
    path.write_bytes(pickle.dumps(_Trap()))
    assert Checkpoint(path).load("x") is None
    assert not _SPRUNG


def test_what_is_watched_never_chooses() -> None:
    recipe = Recipe(epochs=6, batch_size=16, validation_share=0.25, keep="best", learning_rate=0.05)
    alone, _ = run(recipe)
    watched, epochs = run(recipe, watch={"test": Table(X * 100)})
    np.testing.assert_array_equal(weights(alone), weights(watched))
    np.testing.assert_allclose(epochs[-1].watched["test"], predict(watched, Table(X * 100)))


def test_the_best_epoch_or_the_last_is_kept() -> None:
    wild = {"epochs": 6, "batch_size": 16, "validation_share": 0.25, "learning_rate": 0.3}
    last, epochs = run(Recipe(**wild, schedule="constant"))
    best, same = run(Recipe(**wild, schedule="constant", keep="best"))
    maes = [epoch.validation_mae for epoch in epochs]
    assert maes == [epoch.validation_mae for epoch in same]
    held = np.sort(np.random.default_rng([5, 0]).permutation(120)[:30])
    error = {n: np.abs(predict(n, Table(X))[held] - Y[held]).mean() for n in (last, best)}
    assert error[last] == pytest.approx(maes[-1], rel=1e-5)
    assert error[best] == pytest.approx(min(maes), rel=1e-5)
    assert min(maes) < maes[-1]


def test_early_stopping_is_off_until_it_is_asked_for() -> None:
    hopeless = {"epochs": 12, "validation_share": 0.25, "learning_rate": 0.0}
    assert len(run(Recipe(**hopeless))[1]) == 12
    assert len(run(Recipe(**hopeless, stop_after=3))[1]) == 4


class Narrow(Small):
    """Runs out of memory with more than three materials at once."""

    most = 3

    def forward(self, x: Any) -> Any:
        if len(x) > self.most:
            raise torch.OutOfMemoryError("CUDA out of memory. Tried to allocate 2.00 GiB")
        return self.layers[3](self.layers[1](self.layers[0](x)))[:, 0]


class Wide(Narrow):
    most = 10**9


def test_where_memory_runs_out_half_a_batch_goes_at_once() -> None:
    narrow, wide = Narrow(), Wide()
    wide.load_state_dict(narrow.state_dict())
    run(SHORT, narrow)
    run(SHORT, wide)
    np.testing.assert_allclose(weights(narrow), weights(wide), rtol=2e-3, atol=1e-5)
    np.testing.assert_allclose(predict(narrow, Table(X)), predict(wide, Table(X)), rtol=1e-3)
    narrow.most = 0
    with pytest.raises(TrainingError, match="memory"):
        run(SHORT, narrow)


def test_a_loss_that_is_no_number_stops_with_the_place() -> None:
    y = Y.copy()
    y[17] = np.nan
    with pytest.raises(TrainingError, match=r"nan at epoch 1, step \d"):
        list(train(small(), Table(X), y, SHORT))


def test_other_errors_are_not_taken_for_a_lack_of_memory() -> None:
    class Broken(Small):
        def forward(self, x: Any) -> Any:
            raise RuntimeError("mat1 and mat2 shapes cannot be multiplied")

    with pytest.raises(RuntimeError, match="shapes"):
        run(SHORT, Broken())


def test_gradients_are_clipped() -> None:
    recipe = Recipe(epochs=1, batch_size=16, gradient_clip=0.01)
    network, _ = run(recipe)
    norm = np.sqrt(sum(float((p.grad**2).sum()) for p in network.parameters()))
    assert 0.009 < norm < 0.01001


def test_lower_precision_trains_too() -> None:
    network, epochs = run(Recipe(epochs=10, batch_size=16, precision="bfloat16", standardise=True))
    assert np.isfinite(predict(network, Table(X))).all()
    assert epochs[-1].train_mae < epochs[0].train_mae


@pytest.mark.parametrize(
    ("settings", "word"),
    [
        ({"loss": "huber"}, "mse, l1"),
        ({"epochs": 0}, "epochs"),
        ({"keep": "best"}, "validation_share"),
        ({"stop_after": 2}, "validation_share"),
        ({"validation_share": 1.0}, "validation_share"),
    ],
)
def test_recipes_that_mean_nothing_are_refused(settings: Any, word: str) -> None:
    with pytest.raises(SettingsError, match=word):
        Recipe(**settings)


def test_every_material_comes_once_in_an_epoch() -> None:
    sizes = RNG.integers(1, 500, 103)
    for like in (1, 4):
        batches = order(103, 10, 0, 1, like, sizes)
        assert sorted(np.concatenate(batches).tolist()) == list(range(103))
        assert max(map(len, batches)) == 10
    spread = [np.mean([np.ptp(sizes[b]) for b in order(103, 10, 0, 1, k, sizes)]) for k in (1, 4)]
    assert spread[1] < 0.6 * spread[0]
    assert [len(part) for part in in_pieces(np.arange(7), 3)] == [3, 2, 2]
    parts = [np.array([i]) for i in range(5)]
    assert [int(b[0]) for b in prefetched(lambda rows: rows * 2, parts, ahead=True)] == [
        0, 2, 4, 6, 8,
    ]  # fmt: skip
