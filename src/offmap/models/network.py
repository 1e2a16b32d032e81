"""Networks as scikit-learn regressors: fit, follow, predict, embed, save and load."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any, Protocol, Self

import numpy as np
import torch
from numpy.typing import NDArray
from sklearn.base import BaseEstimator, RegressorMixin
from torch import nn

from offmap.errors import DataError, SettingsError
from offmap.models.batching import Batches, seeded, threads
from offmap.models.checkpoints import Checkpoint, read_tensors, write_tensors
from offmap.models.recipe import Recipe
from offmap.models.training import Epoch, keep_scale, predict, train
from offmap.progress import Progress

Array = NDArray[np.float64]


class Described(Protocol):
    """What was made of materials; row -> why nothing could be made of it."""

    @property
    def reasons(self) -> Mapping[int, str]:
        """Empty if all is well."""
        ...


class NetworkRegressor(RegressorMixin, BaseEstimator):  # type: ignore[misc]
    """What every network of the package does; a subclass says what it is.

    A subclass has ``make_network``, ``make_data`` and ``make_recipe``, and the parameters
    ``device``, ``random_state``, ``n_jobs`` and ``checkpoint`` besides its own. Instead of
    ``make_data`` it may have ``describe`` and ``batches_of``, and in ``given`` a word for what it
    is given of each material: a study then sets materials aside that cannot be described.

    Attributes
    ----------
    network_ : torch.nn.Module
        With the weights that are kept.
    epochs_ : list of Epoch
        How training went.
    """

    consumes = "crystals"
    given: str
    device: str
    random_state: int
    n_jobs: int
    checkpoint: str | None

    def make_network(self) -> nn.Module:
        """The network before training; its random numbers are seeded by the caller."""
        raise NotImplementedError

    def describe(self, X: Any, progress: Progress | None = None) -> Described:
        """What the network is given of materials; made once, and found again in a cache."""
        raise NotImplementedError

    def batches_of(self, described: Any) -> Batches:
        """The same as the network takes it."""
        raise NotImplementedError

    def make_recipe(self) -> Recipe:
        """How it is trained."""
        raise NotImplementedError

    def make_data(self, X: Any) -> Batches:
        """Materials as the network takes them.

        Raises
        ------
        DataError
            If one of them cannot be described.
        """
        described = self.describe(X)
        if described.reasons:
            row, why = next(iter(described.reasons.items()))
            raise DataError(
                f"{len(described.reasons)} crystals have no {self.given}, such as"
                f" {X.material_id[row]}: {why}"
            )
        return self.batches_of(described)

    def fit(self, X: Any, y: Array) -> Self:
        """Train on materials ``X`` with labels ``y``, shape (n,)."""
        for _ in self._train(X, y, {}):
            pass
        return self

    def fit_by_round(self, X: Any, y: Array, X_test: Any) -> Iterator[tuple[int, Array]]:
        """The same, yielding what ``X_test`` is predicted after an epoch, and its number."""
        for epoch in self._train(X, y, {"test": self.make_data(X_test)}):
            if epoch.watched:
                yield epoch.number, epoch.watched["test"]

    def _train(self, X: Any, y: Array, watch: Mapping[str, Batches]) -> Iterator[Epoch]:
        recipe, device = self.make_recipe(), where(self.device)
        with seeded(self.random_state):
            self.network_ = self.make_network()
        kept = Checkpoint(Path(self.checkpoint)) if self.checkpoint else None
        self.epochs_: list[Epoch] = []
        with threads(self.n_jobs):
            for epoch in train(
                self.network_,
                self.make_data(X),
                np.asarray(y, np.float64),
                recipe,
                seed=self.random_state,
                device=device,
                watch=watch,
                checkpoint=kept,
            ):
                self.epochs_.append(epoch)
                yield epoch

    def predict(self, X: Any) -> Array:
        """Labels of materials, shape (n,)."""
        return self._ask(X, "forward")

    def embed(self, X: Any) -> Array:
        """What the network makes of materials before its last layer, shape (n, d)."""
        return self._ask(X, "embed")

    def _ask(self, X: Any, method: str) -> Array:
        size = self.make_recipe().batch_size
        with threads(self.n_jobs):
            found = predict(self.network_, self.make_data(X), size, where(self.device), method)
        return found.astype(np.float64)

    def facts(self) -> dict[str, Any]:
        """How it was trained, for the record of a run."""
        recipe = self.make_recipe()
        share = recipe.validation_share
        said = f"{share:.0%} of the training materials, for {_uses(recipe)}" if share else ""
        return {
            "device": str(where(self.device)),
            "parameters": sum(p.numel() for p in self.network_.parameters()),
            "epochs": [epoch.row() for epoch in self.epochs_],
            **({"validation": said} if said else {}),
        }

    def own_state(self) -> dict[str, Any]:
        """What a subclass needs besides settings and weights to be made again; plain values."""
        return {}

    def take_state(self, state: Mapping[str, Any]) -> None:
        """Take up what :meth:`own_state` gave, before the network is made."""

    # -- keeping it ------------------------------------------------------------------------------

    def save(self, path: str | Path) -> None:
        """Write settings and weights to one file of tensors and plain values."""
        settings = {k: v for k, v in self.get_params().items() if k != "checkpoint"}
        weights = {name: w.detach().cpu() for name, w in self.network_.state_dict().items()}
        write_tensors(Path(path), {**self.own_state(), "settings": settings, "weights": weights})

    @classmethod
    def load(cls, path: str | Path) -> Self:
        """The regressor that :meth:`save` wrote.

        Raises
        ------
        SettingsError
            If the file is no such regressor.
        """
        try:
            state = read_tensors(Path(path))
            model = cls(**state["settings"])
            model.take_state(state)
            model.network_ = model.make_network()
            keep_scale(model.network_)
            model.network_.load_state_dict(state["weights"])
        except OSError:
            raise
        except Exception as error:
            raise SettingsError(f"{path} holds no trained {cls.__name__}: {error}") from error
        model.epochs_ = []
        return model


def where(device: str) -> torch.device:
    """The device of this name; ``"auto"``: a graphics card if there is one.

    Raises
    ------
    SettingsError
        If it is not there.
    """
    if device == "auto":
        return torch.device("cuda" if torch.cuda.is_available() else "cpu")
    try:
        found = torch.device(device)
        torch.empty(1, device=found)
    except (RuntimeError, AssertionError) as error:
        raise SettingsError(f"device = {device!r} cannot be used here: {error}") from error
    return found


def _uses(recipe: Recipe) -> str:
    uses = [
        ("the choice of the epoch", recipe.keep == "best"),
        ("early stopping", recipe.stop_after > 0),
        ("the learning rate", recipe.schedule == "plateau"),
    ]
    return ", ".join(what for what, used in uses if used) or "scores alone"
