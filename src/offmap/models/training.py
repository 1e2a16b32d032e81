"""The one loop that trains every network: steps, schedule, checkpoints, scores of each epoch.

A network is a ``torch.nn.Module`` that is called with a batch and gives one number per material,
shape (n,). What it is trained on is :class:`~offmap.models.batching.Batches`, which makes a batch
of any rows, as an object with ``to(device)``. A :class:`~offmap.models.recipe.Recipe` says how.
:func:`train` yields an :class:`Epoch` after each pass, so that a caller may follow it, and leaves
the network with the weights that are kept::

    for epoch in train(network, batches, y, Recipe(epochs=25), seed=0):
        print(epoch.number, epoch.train_mae)
    y_pred = predict(network, batches, device="cpu")

Order of the batches, dropout and the choice of validation materials follow from the seed and the
number of the epoch alone: a run that was killed and goes on from its checkpoint ends with the
weights of one that was not. Nothing touches the global random state. Materials that are only
watched never choose anything: neither weights, nor the learning rate, nor when to stop.
"""

from __future__ import annotations

import hashlib
import time
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import nn

from offmap.errors import OffmapError
from offmap.models.batching import Batches, in_pieces, order, out_of_memory, prefetched, seeded
from offmap.models.checkpoints import Checkpoint
from offmap.models.recipe import Recipe
from offmap.models.rounds import log_spaced

Array = NDArray[np.float64]
Rows = NDArray[np.int64]

# Epochs after which watched materials are predicted: all of them up to about this many.
_WATCHED = 60


class TrainingError(OffmapError):
    """Training cannot go on; the message says why and what to try."""


@dataclass(frozen=True)
class Epoch:
    """What one pass over the training materials came to.

    ``train_mae`` is over the pass itself, while the weights changed; ``validation_mae`` is after it
    (NaN without validation materials); both in the unit of the target. ``watched`` holds
    predictions for materials that are looked at and never learned from.
    """

    number: int
    seconds: float
    learning_rate: float
    train_mae: float
    validation_mae: float
    watched: Mapping[str, Array] = field(default_factory=dict)

    def row(self) -> dict[str, float]:
        """The numbers, for a table of epochs."""
        names = ("number", "seconds", "learning_rate", "train_mae", "validation_mae")
        return {name: getattr(self, name) for name in names}


def train(
    network: nn.Module,
    data: Batches,
    y: Array,
    recipe: Recipe,
    *,
    seed: int = 0,
    device: torch.device | str = "cpu",
    watch: Mapping[str, Batches] | None = None,
    checkpoint: Checkpoint | None = None,
) -> Iterator[Epoch]:
    """Train a network, one epoch at a time.

    Parameters
    ----------
    network
        Initialised; changed in place, and moved to ``device``.
    data, y
        Training materials and their labels, shape (n,).
    recipe
        How.
    seed
        What order, dropout and validation materials follow from.
    device
        Where it is trained.
    watch
        Further materials to predict after the epochs (after all of the first 60 or so, then ever
        more rarely).
    checkpoint
        Where the state is kept after each epoch; if it holds one of the same training, that goes
        on, and the epochs that were done are yielded again from it.

    Yields
    ------
    Epoch
        One per epoch. When the last has been taken the network has the weights that are kept.

    Raises
    ------
    TrainingError
        If the loss is no finite number, or one material alone is too much for the memory.
    """
    watch = watch or {}
    run = Training(network, data, y, recipe, seed, torch.device(device))
    key = run.fingerprint(watch)
    state = checkpoint.load(key) if checkpoint is not None else None
    if state is not None:
        run.resume(state)
    yield from list(run.epochs)
    while not run.finished:
        epoch = run.epoch(watch)
        if checkpoint is not None:
            run.write(checkpoint, key)
        yield epoch


def predict(
    network: nn.Module,
    data: Batches,
    batch_size: int = 32,
    device: torch.device | str = "cpu",
    method: str = "forward",
) -> NDArray[np.float32]:
    """What a network gives for each material, in order.

    Materials of like size go together; where memory runs out, fewer go at once.

    Parameters
    ----------
    method
        ``"forward"``: labels, in their unit; or another method of the network that takes a batch,
        such as ``"embed"``.

    Returns
    -------
    ndarray
        Shape (n,), or (n, d) for embeddings.
    """
    device = torch.device(device)
    network.eval().to(device)
    call = getattr(network, method)
    centre, spread = network.label_scale.tolist() if method == "forward" else (0.0, 1.0)
    rows = np.argsort(data.sizes, kind="stable")[::-1].copy()
    found: list[NDArray[np.float32]] = []
    at, most = 0, batch_size
    with torch.inference_mode():
        while at < len(rows):
            try:
                part = call(data.batch(rows[at : at + most]).to(device))
            except (RuntimeError, MemoryError) as error:
                most = _fewer(error, most)
                continue
            found.append(part.float().cpu().numpy())
            at += most
    if not found:
        return np.empty(0, np.float32)
    values = np.concatenate(found)
    in_order = np.empty_like(values)
    in_order[rows] = values * spread + centre
    return in_order


class Training:
    """One training: the network, what changes it, and how far it has come."""

    def __init__(
        self,
        network: nn.Module,
        data: Batches,
        y: Array,
        recipe: Recipe,
        seed: int,
        device: torch.device,
    ) -> None:
        self.network = network
        self.data, self.y, self.recipe, self.seed, self.device = data, y, recipe, seed, device
        shuffled = np.random.default_rng([seed, 0]).permutation(len(data))
        n_validation = round(recipe.validation_share * len(data))
        self.validation = np.sort(shuffled[:n_validation])
        self.rows = np.sort(shuffled[n_validation:])
        self.centre, self.spread = _scale(y[self.rows]) if recipe.standardise else (0.0, 1.0)
        keep_scale(network, self.centre, self.spread)
        network.to(device)
        n_steps = recipe.epochs * -(-len(self.rows) // recipe.batch_size)
        self.optimizer = recipe.make_optimizer(network)
        self.schedule = recipe.make_schedule(self.optimizer, n_steps)
        self.epochs: list[Epoch] = []
        self.best_mae, self.best_epoch = np.inf, 0
        self.best_weights: dict[str, Any] = {}
        self.most = recipe.batch_size  # materials that fit into memory at once
        self.written = -np.inf

    @property
    def finished(self) -> bool:
        """Whether every epoch is done, or no better one has come for long enough."""
        n, patience = len(self.epochs), self.recipe.stop_after
        return n >= self.recipe.epochs or (patience > 0 and n - self.best_epoch >= patience)

    # -- an epoch --------------------------------------------------------------------------------

    def epoch(self, watch: Mapping[str, Batches]) -> Epoch:
        """Train on every material once; after the last time, take the weights that are kept."""
        begun, number = time.perf_counter(), len(self.epochs) + 1
        rate = float(self.optimizer.param_groups[0]["lr"])
        train_mae = self._pass(number)
        validation_mae = self._validate(number)
        if isinstance(self.schedule, torch.optim.lr_scheduler.ReduceLROnPlateau):
            self.schedule.step(train_mae if np.isnan(validation_mae) else validation_mae)
        self.epochs.append(Epoch(number, 0.0, rate, train_mae, validation_mae))
        if self.finished and self.recipe.keep == "best":
            self.network.load_state_dict(self.best_weights)
        watched = {}
        if self.finished or number in log_spaced(self.recipe.epochs, _WATCHED):
            watched = {name: self._predict(data) for name, data in watch.items()}
        seconds = time.perf_counter() - begun
        self.epochs[-1] = Epoch(number, seconds, rate, train_mae, validation_mae, watched)
        return self.epochs[-1]

    def _pass(self, number: int) -> float:
        """Every batch of one epoch; the mean absolute error on the way."""
        recipe = self.recipe
        sizes = self.data.sizes[self.rows]
        n = len(self.rows)
        batches = order(n, recipe.batch_size, self.seed, number, recipe.like, sizes)
        self.network.train()
        error, on_gpu = 0.0, self.device.type == "cuda"
        drawn = (self.rows[rows] for rows in batches)
        with seeded(_mixed(self.seed, number), self.device):
            made = prefetched(lambda rows: (rows, self.data.batch(rows)), drawn, ahead=on_gpu)
            for step, (rows, batch) in enumerate(made, start=1):
                error += self._step(rows, batch, f"epoch {number}, step {step}")
        return self.spread * error / n

    def _step(self, rows: Rows, batch: Any, where: str) -> float:
        """One step of the optimizer; the sum of the absolute errors."""
        while True:
            self.optimizer.zero_grad(set_to_none=True)
            try:
                error, loss = self._gradients(rows, batch)
                break
            except (RuntimeError, MemoryError) as problem:
                self.most = _fewer(problem, min(self.most, len(rows)))
        if not np.isfinite(loss):
            raise TrainingError(
                f"the loss is {loss} at {where}: a smaller learning_rate or a gradient_clip helps,"
                " unless a label or an input is at fault"
            )
        if self.recipe.gradient_clip:
            nn.utils.clip_grad_norm_(self.network.parameters(), self.recipe.gradient_clip)
        self.optimizer.step()
        if isinstance(self.schedule, torch.optim.lr_scheduler.OneCycleLR):
            self.schedule.step()
        return error

    def _gradients(self, rows: Rows, batch: Any) -> tuple[float, float]:
        """Add up the gradients of all parts of a batch; absolute error and loss."""
        pieces = in_pieces(rows, self.most)
        error, loss = 0.0, 0.0
        for piece in pieces:
            part = batch if len(pieces) == 1 else self.data.batch(piece)
            labels = (self.y[piece] - self.centre) / self.spread
            with self._precision():
                y_pred = self.network(part.to(self.device))
            wide = y_pred.double() if y_pred.dtype == torch.float64 else y_pred.float()
            y = torch.as_tensor(labels, dtype=wide.dtype, device=self.device)
            share = self.recipe.loss_of(wide, y) * (len(piece) / len(rows))
            share.backward()
            error += float((wide.detach() - y).abs().sum())
            loss += float(share.detach())
        return error, loss

    def _precision(self) -> Any:
        precision = self.recipe.precision
        if precision == "auto":
            able = self.device.type == "cuda" and torch.cuda.is_bf16_supported()
            precision = "bfloat16" if able else "float32"
        return torch.autocast(self.device.type, torch.bfloat16, enabled=precision == "bfloat16")

    def _predict(self, data: Batches) -> Array:
        y_pred = predict(self.network, data, self.recipe.batch_size, self.device)
        return y_pred.astype(np.float64)

    def _validate(self, number: int) -> float:
        """Mean absolute error of the validation materials; the best weights are noted."""
        if not len(self.validation):
            return float("nan")
        error = self._predict(Part(self.data, self.validation)) - self.y[self.validation]
        mae = float(np.abs(error).mean())
        if mae < self.best_mae:
            self.best_mae, self.best_epoch = mae, number
            weights = self.network.state_dict().items()
            self.best_weights = {name: w.detach().cpu().clone() for name, w in weights}
        return mae

    # -- going on after a kill -------------------------------------------------------------------

    def fingerprint(self, watch: Mapping[str, Batches]) -> str:
        """What tells this training from others: data, settings, seed and shapes of the weights."""
        digest = hashlib.blake2b(repr((self.recipe, self.seed)).encode(), digest_size=16)
        for name, data in {"": self.data, **watch}.items():
            digest.update(f"{name}:{len(data)}".encode() + np.asarray(data.sizes).tobytes())
        digest.update(np.asarray(self.y, np.float64).tobytes())
        shapes = {name: tuple(w.shape) for name, w in self.network.state_dict().items()}
        digest.update(repr(shapes).encode())
        return digest.hexdigest()

    def write(self, checkpoint: Checkpoint, fingerprint: str) -> None:
        """Keep the state, unless it was kept a moment ago."""
        now = time.monotonic()
        if now - self.written < checkpoint.every_seconds and not self.finished:
            return
        self.written = now
        checkpoint.save(
            {
                "fingerprint": fingerprint,
                "network": self.network.state_dict(),
                "optimizer": self.optimizer.state_dict(),
                "schedule": self.schedule.state_dict() if self.schedule else {},
                "best": {
                    "mae": float(self.best_mae),
                    "epoch": self.best_epoch,
                    "weights": self.best_weights,
                },
                "epochs": [
                    {**e.row(), "watched": {k: torch.tensor(v) for k, v in e.watched.items()}}
                    for e in self.epochs
                ],
            }
        )

    def resume(self, state: Mapping[str, Any]) -> None:
        """Take up the state that :meth:`write` kept."""
        self.network.load_state_dict(state["network"])
        self.optimizer.load_state_dict(state["optimizer"])
        if self.schedule:
            self.schedule.load_state_dict(state["schedule"])
        best = state["best"]
        self.best_mae, self.best_epoch = best["mae"], best["epoch"]
        self.best_weights = best["weights"]
        self.epochs = [
            Epoch(**{**row, "watched": {k: v.numpy() for k, v in row["watched"].items()}})
            for row in state["epochs"]
        ]


@dataclass(frozen=True, eq=False)
class Part:
    """Some rows of other :class:`Batches`."""

    whole: Batches
    rows: Rows

    @property
    def sizes(self) -> Rows:
        """Work of each material."""
        return self.whole.sizes[self.rows]

    def __len__(self) -> int:
        return len(self.rows)

    def batch(self, rows: Rows) -> Any:
        """The materials at these of the rows."""
        return self.whole.batch(self.rows[rows])


def keep_scale(network: nn.Module, centre: float = 0.0, spread: float = 1.0) -> None:
    """Keep with the weights what turns the network's numbers into labels."""
    network.register_buffer("label_scale", torch.tensor([centre, spread], dtype=torch.float32))


def _scale(y: Array) -> tuple[float, float]:
    """Mean and standard deviation of labels, as they are kept; 1 where they are all alike."""
    return float(np.float32(y.mean())), float(np.float32(y.std())) or 1.0


def _mixed(seed: int, number: int) -> int:
    return int(np.random.SeedSequence([seed, number]).generate_state(1)[0])


def _fewer(error: BaseException, most: int) -> int:
    """Half as many materials at once, if it was the memory that ran out; raises otherwise."""
    if not out_of_memory(error):
        raise error
    if torch.cuda.is_available():
        torch.cuda.empty_cache()
    if most <= 1:
        raise TrainingError("one material alone is too much for the memory") from error
    return most // 2
