"""CHGNet evaluated on many crystals at once; torch is imported on first use."""

from __future__ import annotations

import os

import numpy as np
from prototypes import Crystal


class Potential:
    """CHGNet 0.3.0 evaluated on many crystals at once: energies, forces and virials."""

    def __init__(self, quick=True):
        os.environ.setdefault("CUDA_VISIBLE_DEVICES", "")
        import torch
        from chgnet.model import CHGNet
        from fast_layers import quicken

        torch.set_num_threads(1)
        self.model = CHGNet.load(model_name="0.3.0", use_device="cpu", verbose=False)
        self.model.eval()
        for parameter in self.model.parameters():
            parameter.requires_grad_(False)
        if quick:
            quicken(self.model)

    def graph(self, crystal: Crystal):
        """Convert a crystal; raises ValueError where an atom has no neighbour within 6 A."""
        from pymatgen.core import Lattice, Structure

        structure = Structure(
            Lattice(crystal.lattice), [int(n) for n in crystal.numbers], crystal.frac_coords
        )
        return self.model.graph_converter(structure)

    def move(self, graph, crystal: Crystal) -> None:
        """Give an existing graph the positions and cell of a crystal, neighbours unchanged."""
        import torch

        def tensor(values):
            return torch.tensor(values, dtype=torch.float32, requires_grad=True)

        graph.atom_frac_coord = tensor(crystal.frac_coords)
        graph.lattice = tensor(crystal.lattice)

    def evaluate(self, graphs: list) -> list[tuple[float, np.ndarray, np.ndarray]]:
        """Return (energy per atom, forces, dE/dstrain) of each graph in eV and angstrom.

        The gradients are taken once and without their own graph, which is about twice as fast
        as the model's own prediction.
        """
        import torch
        from chgnet.model.model import BatchedGraph

        batch = BatchedGraph.from_graphs(
            graphs,
            bond_basis_expansion=self.model.bond_basis_expansion,
            angle_basis_expansion=self.model.angle_basis_expansion,
            compute_stress=True,
        )
        out = self.model._compute(batch)
        total = (out["e"] * out["atoms_per_graph"]).sum()
        grads = torch.autograd.grad(total, [*batch.atom_positions, *batch.strains])
        energies = (out["e"] + self.model.composition_model(graphs)).detach().numpy()
        grads = [g.numpy().astype(float) for g in grads]
        forces, virials = grads[: len(graphs)], grads[len(graphs) :]
        return [
            (float(e), -f, (s + s.T) / 2) for e, f, s in zip(energies, forces, virials, strict=True)
        ]
