"""A network on Gaussian multipoles: each atom through a perceptron, all atoms into one set."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from itertools import pairwise
from typing import Any, Literal, Self

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn

from offmap.models.batching import Ragged
from offmap.models.network import NetworkRegressor
from offmap.models.recipe import Keep, Recipe
from offmap.progress import Progress
from offmap.representations.gmp.cache import Multipoles, multipoles
from offmap.representations.gmp.densities import FORM_FACTORS
from offmap.representations.gmp.probes import COLUMNS

ATOM_LAYERS = (512, 256, 128, 64, 32)
SET_LAYERS = (256, 128, 64, 32, 16)
"""Widths of the study's network, for each atom and for the set of them."""


class GMPNet(NetworkRegressor):
    """The GMP network of the study, in double precision.

    Parameters
    ----------
    epochs, batch_size, learning_rate
        Of the training; Adam, the step halved on a plateau (patience 13, floor 1e-4), L1 loss.
    validation_share
        Training materials that the plateau and ``keep="best"`` are judged by.
    keep
        Weights of the ``"last"`` epoch (the study's) or of the ``"best"``.
    atom_layers, set_layers, steps, set_depth
        Widths of both perceptrons; steps and recurrent layers of Set2Set.
    density
        Atomic densities; see :func:`offmap.representations.gmp.densities.densities`.
    device, random_state, n_jobs, checkpoint
        Where it runs, what is random in it, threads, and the file it goes on from after a kill.

    References
    ----------
    Li et al., Commun. Mater. 6, 9 (2025); Lei & Medford, J. Phys. Chem. Lett. 13, 7911 (2022);
    Vinyals et al., "Order matters: sequence to sequence for sets", arXiv 1511.06391.
    """

    given = "multipoles"

    def __init__(
        self,
        *,
        epochs: int = 200,
        batch_size: int = 256,
        learning_rate: float = 2e-3,
        validation_share: float = 0.1,
        keep: Keep = "last",
        atom_layers: Sequence[int] = ATOM_LAYERS,
        set_layers: Sequence[int] = SET_LAYERS,
        steps: int = 9,
        set_depth: int = 5,
        density: str = FORM_FACTORS,
        device: str = "auto",
        random_state: int = 0,
        n_jobs: int = 1,
        checkpoint: str | None = None,
    ) -> None:
        self.epochs = epochs
        self.batch_size = batch_size
        self.learning_rate = learning_rate
        self.validation_share = validation_share
        self.keep: Keep = keep
        self.atom_layers = atom_layers
        self.set_layers = set_layers
        self.steps = steps
        self.set_depth = set_depth
        self.density = density
        self.device = device
        self.random_state = random_state
        self.n_jobs = n_jobs
        self.checkpoint = checkpoint

    def make_network(self) -> nn.Module:
        """Both perceptrons and what joins them; random numbers are seeded by the caller."""
        network = _Network(self.atom_layers, self.set_layers, self.steps, self.set_depth)
        return network.double()

    def describe(self, X: Any, progress: Progress | None = None) -> Multipoles:
        """Multipoles of every atom."""
        return multipoles(X, self.density, progress)

    def batches_of(self, described: Multipoles) -> AtomSets:
        """Crystals as sets of atoms."""
        return AtomSets(described, described.offsets)

    def make_recipe(self) -> Recipe:
        """How the study trains it."""
        schedule: Literal["plateau", "constant"] = "plateau"
        return Recipe(
            epochs=self.epochs,
            batch_size=self.batch_size,
            learning_rate=self.learning_rate,
            optimizer="adam",
            weight_decay=0.0,
            schedule=schedule,
            loss="l1",
            precision="float32",
            validation_share=self.validation_share,
            keep=self.keep,
        )


@dataclass(frozen=True, eq=False)
class AtomSet:
    """Atoms of a batch: features (n_atoms, 201), which crystal each is of, number of crystals."""

    features: Tensor
    crystal: Tensor
    n: int

    def to(self, device: torch.device) -> Self:
        """The same on a device."""
        return type(self)(self.features.to(device), self.crystal.to(device), self.n)


@dataclass(frozen=True, eq=False)
class AtomSets(Ragged):
    """Crystals as sets of atoms; ``offsets`` are those of the multipoles."""

    multipoles: Multipoles
    offsets: NDArray[np.int64]

    def batch(self, rows: NDArray[np.int64]) -> AtomSet:
        """The crystals at these rows."""
        crystal = np.repeat(np.arange(len(rows)), self.sizes[rows])
        values = self.multipoles.values[self.multipoles.rows(rows)]
        return AtomSet(torch.from_numpy(values).double(), torch.from_numpy(crystal), len(rows))


class _Network(nn.Module):  # type: ignore[misc]
    def __init__(
        self, atom_layers: Sequence[int], set_layers: Sequence[int], steps: int, depth: int
    ) -> None:
        super().__init__()
        # Multipoles span orders of magnitude: they are standardised by what the batches hold.
        self.standardise = nn.BatchNorm1d(len(COLUMNS), affine=False)
        self.atoms = _perceptron([len(COLUMNS), *atom_layers])
        width = atom_layers[-1]
        self.steps, self.depth = steps, depth
        self.memory = nn.LSTM(2 * width, width, depth)
        self.body = _perceptron([2 * width, *set_layers])
        self.last = nn.Linear(set_layers[-1], 1)

    def forward(self, batch: AtomSet) -> Tensor:
        """Labels, shape (n,)."""
        found: Tensor = self.last(self.embed(batch)).squeeze(-1)
        return found

    def embed(self, batch: AtomSet) -> Tensor:
        """What the last layer is given, shape (n, set_layers[-1])."""
        atoms = self.atoms(self.standardise(batch.features))
        found: Tensor = self.body(self._set(atoms, batch.crystal, batch.n))
        return found

    def _set(self, atoms: Tensor, crystal: Tensor, n: int) -> Tensor:
        """Set2Set: ask the atoms of each crystal ``steps`` times what matters, shape (n, 2 d)."""
        width = atoms.shape[1]
        state = atoms.new_zeros(2, self.depth, n, width)
        asked, hidden = atoms.new_zeros(n, 2 * width), (state[0], state[1])
        for _ in range(self.steps):
            question, hidden = self.memory(asked.unsqueeze(0), hidden)
            question = question.squeeze(0)
            answer = _attention((atoms * question[crystal]).sum(1), atoms, crystal, n)
            asked = torch.cat([question, answer], dim=1)
        return asked


def _attention(score: Tensor, atoms: Tensor, crystal: Tensor, n: int) -> Tensor:
    """Mean of the atoms of each crystal, weighted by the softmax of their scores."""
    highest = score.new_full((n,), -torch.inf).scatter_reduce(0, crystal, score, "amax")
    weight = torch.exp(score - highest.detach()[crystal])
    total = score.new_zeros(n).index_add(0, crystal, weight)
    weighted = atoms * (weight / total[crystal]).unsqueeze(1)
    return atoms.new_zeros(n, atoms.shape[1]).index_add(0, crystal, weighted)


def _perceptron(widths: Sequence[int]) -> nn.Sequential:
    layers: list[nn.Module] = []
    for before, after in pairwise(widths):
        layers += [nn.Linear(before, after), nn.BatchNorm1d(after), nn.GELU()]
    return nn.Sequential(*layers)
