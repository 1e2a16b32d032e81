"""ALIGNN in plain PyTorch, with layer normalisation.

K. Choudhary and B. DeCost, npj Comput. Mater. 7, 185 (2021), doi 10.1038/s41524-021-00650-1. The
parameters have the names that they have in the authors' package, so its weights can be loaded.
"""

from __future__ import annotations

import torch
from torch import Tensor, nn
from torch.nn import functional

from offmap.models.alignn.batch import Blocks
from offmap.models.alignn.features import atom_features
from offmap.models.alignn.pairs import PairUpdate
from offmap.models.alignn.terms import EPS

# Cosines between which the features of angles are interpolated; and how many pairs there must be
# for that to be less work than to compute them.
_GRID = 4096
_WORTH_A_TABLE = 2 * _GRID


class RadialBasis(nn.Module):  # type: ignore[misc]
    """A number as Gaussians around evenly spaced centres, as wide as they are apart (ALIGNN)."""

    def __init__(self, low: float, high: float, bins: int) -> None:
        super().__init__()
        self.register_buffer("centers", torch.linspace(low, high, bins))
        self.gamma = (bins - 1) / (high - low)

    def forward(self, x: Tensor) -> Tensor:  # noqa: D102
        return torch.exp(-self.gamma * (x[:, None] - self.centers) ** 2)


class Layer(nn.Module):  # type: ignore[misc]
    """Linear map, layer norm, SiLU."""

    def __init__(self, n_in: int, n_out: int) -> None:
        super().__init__()
        self.layer = nn.Sequential(nn.Linear(n_in, n_out), nn.LayerNorm(n_out), nn.SiLU())

    def forward(self, x: Tensor) -> Tensor:  # noqa: D102
        return self.layer(x)


class GatedConvolution(nn.Module):  # type: ignore[misc]
    """Edge-gated graph convolution (Bresson and Laurent, arXiv 1711.07553)."""

    def __init__(self, width: int) -> None:
        super().__init__()
        self.src_gate = nn.Linear(width, width)
        self.dst_gate = nn.Linear(width, width)
        self.edge_gate = nn.Linear(width, width)
        self.bn_edges = nn.LayerNorm(width)
        self.src_update = nn.Linear(width, width)
        self.dst_update = nn.Linear(width, width)
        self.bn_nodes = nn.LayerNorm(width)

    def forward(
        self, batch: Blocks, x: Tensor, y: Tensor, kinds: bool = False
    ) -> tuple[Tensor, Tensor]:
        """Atoms ``x`` (n_atoms, h) and edges ``y``, each told of the other.

        ``y`` has a row for each edge or, with ``kinds``, where atoms of an element are still the
        same, for each kind of edge.
        """
        source, target = batch.source, batch.target
        if kinds:
            source, target = batch.kind_source, batch.kind_target
        m = rows(self.src_gate(x), source) + rows(self.dst_gate(x), target)
        m = m + self.edge_gate(y)
        gate = torch.sigmoid(m)
        told = rows(self.dst_update(x), source) * gate
        if kinds:
            gate, told = rows(gate, batch.kind), rows(told, batch.kind)
        h = sums(told, batch.groups) / (sums(gate, batch.groups) + EPS)
        x = x + functional.silu(self.bn_nodes(self.src_update(x) + h))
        return x, y + functional.silu(self.bn_edges(m))

    def on_pairs(
        self,
        batch: Blocks,
        y: Tensor,
        z: Tensor | None,
        table: Tensor | None,
        keep_z: bool,
        kinds: bool = False,
    ) -> tuple[Tensor, Tensor]:
        """The same on the line graph: edges ``y`` and pairs ``z`` (n_pairs, h), or their table.

        ``table`` (grid, h) is what ``z`` is at evenly spaced cosines from -1 to 1. What is given
        back has a row for each edge.
        """
        place = None
        weight, bias = self.edge_gate.weight, self.edge_gate.bias
        if table is not None:
            place = (batch.cosine + 1) * ((len(table) - 1) / 2)
            table = torch.cat([table, self.edge_gate(table)], 1).to(y.dtype)
            z = weight = bias = None
        into, value, out = self.src_gate(y), self.dst_update(y), self.dst_gate(y)
        own, outgoing = self.src_update(y), batch.outgoing
        if kinds:
            into, value, own, y = (rows(each, batch.kind) for each in (into, value, own, y))
            outgoing = batch.kind[outgoing]
        h, z_new = PairUpdate.apply(
            z,
            weight,
            bias,
            table,
            place,
            into.to(y.dtype),
            value.to(y.dtype),
            rows(out, outgoing).to(y.dtype),
            self.bn_edges.weight,
            self.bn_edges.bias,
            batch.groups,
            keep_z,
        )
        h = rows(h, batch.leaving)
        return y + functional.silu(self.bn_nodes(own + h)), z_new


class AlignnLayer(nn.Module):  # type: ignore[misc]
    """A convolution on the crystal graph, then one on its line graph."""

    def __init__(self, width: int) -> None:
        super().__init__()
        self.node_update = GatedConvolution(width)
        self.edge_update = GatedConvolution(width)


class AlignnNetwork(nn.Module):  # type: ignore[misc]
    """Atomistic line graph network: a batch of crystals to one number each.

    Parameters
    ----------
    alignn_layers, gcn_layers
        Layers that use angles, then layers that do not.
    hidden
        Features of each atom, edge and pair.
    embedding
        Width of the step between basis functions and features.
    edge_bins, triplet_bins
        Gaussians from 0 to 8 angstrom, and from -1 to 1 for cosines.
    """

    def __init__(
        self,
        alignn_layers: int = 2,
        gcn_layers: int = 2,
        hidden: int = 256,
        embedding: int = 64,
        edge_bins: int = 80,
        triplet_bins: int = 40,
    ) -> None:
        super().__init__()
        elements = torch.from_numpy(atom_features())
        self.register_buffer("elements", elements, persistent=False)
        self.atom_embedding = Layer(elements.shape[1], hidden)
        self.edge_embedding = nn.Sequential(
            RadialBasis(0, 8, edge_bins), Layer(edge_bins, embedding), Layer(embedding, hidden)
        )
        self.angle_embedding = nn.Sequential(
            RadialBasis(-1, 1, triplet_bins),
            Layer(triplet_bins, embedding),
            Layer(embedding, hidden),
        )
        self.alignn_layers = nn.ModuleList(AlignnLayer(hidden) for _ in range(alignn_layers))
        self.gcn_layers = nn.ModuleList(GatedConvolution(hidden) for _ in range(gcn_layers))
        self.fc = nn.Linear(hidden, 1)

    def forward(self, batch: Blocks) -> Tensor:
        """One number per crystal, shape (n,)."""
        return self.fc(self.embed(batch))[:, 0]

    def embed(self, batch: Blocks) -> Tensor:
        """Mean over the atoms of each crystal before the last linear map, shape (n, hidden)."""
        x = rows(self.atom_embedding(self.elements), batch.numbers)
        y = self.edge_embedding(batch.length)
        z = table = None
        if len(self.alignn_layers):
            if len(batch.cosine) > _WORTH_A_TABLE:
                grid = torch.linspace(-1, 1, _GRID, device=y.device, dtype=batch.cosine.dtype)
                table = self.angle_embedding(grid)
            else:
                z = self.angle_embedding(batch.cosine)
        kinds = True  # until layers have told atoms of an element apart
        for number, layer in enumerate(self.alignn_layers, start=1):
            x, m = layer.node_update(batch, x, y, kinds)
            more = number < len(self.alignn_layers)
            y, z = layer.edge_update.on_pairs(batch, m, z, table, more, kinds)
            table, kinds = None, False
        for layer in self.gcn_layers:
            x, y = layer(batch, x, y, kinds)
            y, kinds = rows(y, batch.kind) if kinds else y, False
        total = x.new_zeros((len(batch.sizes), x.shape[1])).index_add(0, batch.crystal, x)
        return total / batch.sizes[:, None]


def rows(values: Tensor, index: Tensor) -> Tensor:
    """``values[index]``, whose backward pass is fast."""
    return functional.embedding(index, values)


def sums(edges: Tensor, groups: tuple[tuple[int, int], ...]) -> Tensor:
    """Sum over the incoming edges of each atom, shape (n_atoms, h)."""
    parts, begin = [], 0
    for degree, n in groups:
        part = edges[begin : begin + degree * n].view(n, degree, edges.shape[1])
        parts.append(part.sum(1))
        begin += degree * n
    return torch.cat(parts)
