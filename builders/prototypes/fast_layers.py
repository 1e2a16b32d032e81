"""Exact but cheaper forward passes of CHGNet's three message layers.

CHGNet concatenates the features of atoms, bonds and angles for each edge or angle and multiplies
by two weight matrices. Multiplying each part before it is gathered gives the same sums with far
fewer products, because there are many more angles than bonds and bonds than atoms.
"""

from __future__ import annotations

import types

import torch
from torch.nn.functional import linear


def quicken(model) -> None:
    """Replace the forward passes of a CHGNet model's atom, bond and angle layers in place."""
    for layers, forward in (
        (model.atom_conv_layers, atom_forward),
        (model.bond_conv_layers, bond_forward),
        (model.angle_layers, angle_forward),
    ):
        for layer in layers:
            layer.forward = types.MethodType(forward, layer)


def gated(mlp, parts: list):
    """Apply a GatedMLP to the concatenation of parts.

    Parameters
    ----------
    mlp : GatedMLP
    parts : list of (Tensor of shape (n, d), index or None)
        Features and the rows of them to gather; None where there is nothing to gather.
    """
    first = [_first_linear(branch) for branch in (mlp.mlp_core, mlp.mlp_gate)]
    weight = torch.cat([layer.weight for layer, _ in first])
    bias = torch.cat([layer.bias for layer, _ in first])
    total, start = None, 0
    for features, index in parts:
        width = features.shape[1]
        product = linear(features, weight[:, start : start + width], bias if start == 0 else None)
        start += width
        product = product if index is None else torch.index_select(product, 0, index)
        total = product if total is None else total.add_(product)
    core, gate = total.split(first[0][0].weight.shape[0], dim=1)
    for layer in first[0][1]:
        core = layer(core)
    for layer in first[1][1]:
        gate = layer(gate)
    if mlp.norm is not None:
        core, gate = mlp.bn1(core), mlp.bn2(gate)
    return mlp.activation(core) * mlp.sigmoid(gate)


def _first_linear(branch):
    layers = list(branch.layers)
    index = next(i for i, layer in enumerate(layers) if isinstance(layer, torch.nn.Linear))
    return layers[index], layers[index + 1 :]


def _add_up(messages, owners, like):
    return torch.zeros_like(like).index_add(0, owners, messages)


def _finish(layer, update, old, norm):
    if getattr(layer, "use_mlp_out", False):
        update = layer.mlp_out(update)
    if layer.resnet:
        update = update + old
    return update if norm is None else norm(update)


def atom_forward(self, atom_feas, bond_feas, bond_weights, atom_graph, directed2undirected):
    """Forward pass of AtomConv."""
    center, neighbour = atom_graph[:, 0], atom_graph[:, 1]
    messages = gated(
        self.twoBody_atom,
        [(atom_feas, center), (bond_feas, directed2undirected), (atom_feas, neighbour)],
    )
    messages = messages * torch.index_select(bond_weights, 0, directed2undirected)
    return _finish(self, _add_up(messages, center, atom_feas), atom_feas, self.atom_norm)


def bond_forward(self, atom_feas, bond_feas, bond_weights, angle_feas, bond_graph):
    """Forward pass of BondConv."""
    atom, one, other = bond_graph.unbind(dim=1)
    update = gated(
        self.twoBody_bond,
        [(bond_feas, one), (bond_feas, other), (angle_feas, None), (atom_feas, atom)],
    )
    update = update * torch.index_select(bond_weights, 0, one)
    update = update * torch.index_select(bond_weights, 0, other)
    return _finish(self, _add_up(update, one, bond_feas), bond_feas, self.bond_norm)


def angle_forward(self, atom_feas, bond_feas, angle_feas, bond_graph):
    """Forward pass of AngleUpdate."""
    atom, one, other = bond_graph.unbind(dim=1)
    update = gated(
        self.twoBody_bond,
        [(bond_feas, one), (bond_feas, other), (angle_feas, None), (atom_feas, atom)],
    )
    return _finish(self, update, angle_feas, self.angle_norm)
