"""BFGS on the positions and the cell of one crystal, within its symmetry."""

from __future__ import annotations

import numpy as np
from prototypes import Crystal

MAX_MOVE = 0.2  # angstrom per step
MAX_STRAIN = 0.06  # per step
REUSE = 0.03  # angstrom moved with the same list of neighbours
CURVATURE = 40.0  # eV/angstrom**2, first guess of the Hessian
SOFTEST = 2.0  # eV/angstrom**2, least curvature used for a step
BULK = 0.6  # eV/angstrom**3, first guess of the elastic constants


class Minimiser:
    """BFGS on the positions and the cell of one crystal.

    The variables are the positions in the frame of the starting cell and the deformation
    gradient, weighted so that one starting curvature suits both.
    """

    def __init__(self, crystal: Crystal):
        self.start = crystal
        self.size = 3 * len(crystal.numbers)
        self.weight = np.sqrt(crystal.volume * BULK / CURVATURE)
        positions = crystal.frac_coords @ crystal.lattice
        self.q = np.concatenate([positions.ravel(), self.weight * np.eye(3).ravel()])
        self.hessian = CURVATURE * np.eye(self.q.size)
        self.previous = None
        self.evaluations = 0
        self.rotations, self.permutations = symmetry(crystal)
        self.graph = None
        self.graph_q = None

    @property
    def deformation(self) -> np.ndarray:
        """Return the deformation gradient, applied to row vectors from the right."""
        return self.q[self.size :].reshape(3, 3) / self.weight

    def crystal(self) -> Crystal:
        """Return the current crystal."""
        lattice = self.start.lattice @ self.deformation
        frac = self.q[: self.size].reshape(-1, 3) @ np.linalg.inv(self.start.lattice)
        return Crystal(lattice, self.start.numbers, frac)

    def update_graph(self, potential):
        """Return the graph of the current crystal, with the old neighbours after small moves."""
        crystal = self.crystal()
        if self.graph is not None and self._moved() < REUSE:
            potential.move(self.graph, crystal)
        else:
            self.graph, self.graph_q = potential.graph(crystal), self.q
        return self.graph

    def _moved(self) -> float:
        change = self.q - self.graph_q
        strain = np.abs(change[self.size :]).max() / self.weight
        return np.linalg.norm(change[: self.size].reshape(-1, 3), axis=1).max() + 6.0 * strain

    def gradient(self, forces: np.ndarray, virial: np.ndarray) -> np.ndarray:
        """Chain rule from forces and dE/dstrain to the variables, then the symmetry mean."""
        deformation = self.deformation
        on_positions = self._mean(-forces @ deformation.T)
        on_cell = np.linalg.inv(deformation).T @ virial / self.weight
        on_cell = np.einsum("rij,jk,rlk->il", self.rotations, on_cell, self.rotations)
        return np.concatenate([on_positions.ravel(), on_cell.ravel() / len(self.rotations)])

    def _mean(self, vectors: np.ndarray) -> np.ndarray:
        rotated = np.einsum("rij,nj->rni", self.rotations, vectors)
        total = np.zeros_like(vectors)
        for image, permutation in zip(rotated, self.permutations, strict=True):
            total[permutation] += image
        return total / len(self.rotations)

    def step(self, forces: np.ndarray, virial: np.ndarray) -> None:
        """Update the Hessian and take one step, limited in length and strain."""
        gradient = self.gradient(forces, virial)
        if self.previous is not None:
            self._update(self.q - self.previous[0], gradient - self.previous[1])
        omega, vectors = np.linalg.eigh(self.hessian)
        move = -vectors @ ((vectors.T @ gradient) / np.maximum(np.abs(omega), SOFTEST))
        longest = np.linalg.norm(move[: self.size].reshape(-1, 3), axis=1).max()
        strain = np.abs(move[self.size :]).max() / self.weight
        move /= max(1.0, longest / MAX_MOVE, strain / MAX_STRAIN)
        self.previous = (self.q.copy(), gradient)
        self.q = self.q + move

    def _update(self, dq: np.ndarray, dg: np.ndarray) -> None:
        if np.abs(dq).max() < 1e-7 or abs(dq @ dg) < 1e-10:
            return
        hq = self.hessian @ dq
        self.hessian += np.outer(dg, dg) / (dq @ dg) - np.outer(hq, hq) / (dq @ hq)


def symmetry(crystal: Crystal) -> tuple[np.ndarray, np.ndarray]:
    """Return the Cartesian rotations and atom permutations of a crystal's space group.

    Returns
    -------
    rotations : ndarray of shape (n_operations, 3, 3)
    permutations : ndarray of shape (n_operations, n_atoms)
        Where each operation sends each atom.
    """
    import moyopy

    cell = moyopy.Cell(
        basis=crystal.lattice.tolist(),
        positions=crystal.frac_coords.tolist(),
        numbers=[int(n) for n in crystal.numbers],
    )
    operations = moyopy.MoyoDataset(cell, symprec=1e-4).operations
    columns = crystal.lattice.T
    to_frac = np.linalg.inv(columns)
    rotations, permutations = [], []
    for rotation, shift in zip(operations.rotations, operations.translations, strict=True):
        images = crystal.frac_coords @ np.array(rotation).T + np.array(shift)
        delta = images[:, None] - crystal.frac_coords[None]
        delta -= np.round(delta)
        distance = np.linalg.norm(delta @ crystal.lattice, axis=-1)
        distance[crystal.numbers[:, None] != crystal.numbers[None]] = np.inf
        rotations.append(columns @ np.array(rotation) @ to_frac)
        permutations.append(distance.argmin(axis=1))
    return np.array(rotations), np.array(permutations)
