"""A convolution on the line graph in torch alone: graphics cards, and any precision."""

from __future__ import annotations

import torch
from torch import Tensor
from torch.nn import functional

from offmap.models.alignn.terms import EPS, Chunk, Gradients, Terms, chunks

# Pairs that are worked on at once, on a processor and on a graphics card.
_AT_ONCE = 2048
_AT_ONCE_ON_CARD = 1 << 18


def forward(terms: Terms) -> None:
    """Write ``h``, ``total``, ``z_new`` and ``kept``."""
    t = terms
    width = t.into.shape[1]
    for chunk in chunks(t.groups, _at_once(t)):
        flat = _gates(chunk, t)
        if t.table is None:
            t.kept[chunk.pairs] = flat
        gate = chunk.block(flat).sigmoid()
        sums = gate.sum(2).add_(EPS)
        t.total[chunk.edges] = sums.view(-1, width)
        gate *= chunk.rows(t.value)[:, None]
        t.h[chunk.edges] = (gate.sum(2) / sums).view(-1, width)
        if t.keep_z:
            normed = functional.layer_norm(flat, (width,), t.scale, t.shift)
            new = functional.silu(normed, inplace=True)
            new += _before(chunk, t)
            t.z_new[chunk.pairs] = new


def backward(terms: Terms, grad_h: Tensor, grad_z: Tensor, g: Gradients) -> None:
    """Add to the gradients."""
    t = terms
    width = t.into.shape[1]
    for chunk in chunks(t.groups, _at_once(t)):
        flat = _gates(chunk, t) if t.table is not None else t.kept[chunk.pairs].to(t.into.dtype)
        gate = chunk.block(flat.sigmoid())
        d_num = chunk.rows(grad_h) / chunk.rows(t.total)
        d_gate = d_num[:, :, None] * chunk.rows(t.value)[:, None]
        d_gate -= (d_num * chunk.rows(t.h))[:, :, None]
        d_m = torch.ops.aten.sigmoid_backward(d_gate, gate)
        gate *= d_num[:, :, None]
        g.value[chunk.edges] = gate.sum(1).view(-1, width)
        d_flat = d_m.view(-1, width)
        passed = grad_z[chunk.pairs].to(t.into.dtype) if t.keep_z else None
        if passed is not None:
            _norm(flat, passed, t, d_flat, g)
        g.into[chunk.edges] = d_m.sum(1).view(-1, width)
        g.out[chunk.edges] = d_m.sum(2).view(-1, width)
        if t.place is not None and g.table is not None:
            _add_to_table(g.table, t.place[chunk.pairs], passed, d_flat)
        elif t.z is not None and t.weight is not None and g.weight is not None and g.z is not None:
            low = d_flat.to(t.low)
            g.weight += (low.T @ t.z[chunk.pairs].to(t.low)).to(g.weight.dtype)
            back = low @ t.weight.to(t.low)
            g.z[chunk.pairs] = back if passed is None else back.to(t.into.dtype) + passed


def _at_once(terms: Terms) -> int:
    return _AT_ONCE if terms.into.device.type == "cpu" else _AT_ONCE_ON_CARD


def _gates(chunk: Chunk, t: Terms) -> Tensor:
    """Write m of some pairs, shape (n, h), in full precision."""
    if t.table is not None and t.place is not None:
        flat = _read(t.table[:, t.table.shape[1] // 2 :], t.place[chunk.pairs])
    else:
        assert t.z is not None
        assert t.weight is not None
        product = t.z[chunk.pairs].to(t.low) @ t.weight.to(t.low).T
        flat = product.to(t.into.dtype)
        if t.bias is not None:
            flat += t.bias
    m = chunk.block(flat)
    m += chunk.rows(t.out)[:, :, None]
    m += chunk.rows(t.into)[:, None]
    return flat


def _before(chunk: Chunk, t: Terms) -> Tensor:
    """Features of some pairs, shape (n, h)."""
    if t.table is not None and t.place is not None:
        return _read(t.table[:, : t.table.shape[1] // 2], t.place[chunk.pairs])
    assert t.z is not None
    return t.z[chunk.pairs]


def _norm(flat: Tensor, passed: Tensor, t: Terms, d_flat: Tensor, g: Gradients) -> None:
    """Backward pass of silu(norm(m)): added to ``d_flat`` and to scale and shift."""
    width = [flat.shape[1]]
    normed, mean, spread = torch.native_layer_norm(flat, width, t.scale, t.shift, 1e-5)
    d_normed = torch.ops.aten.silu_backward(passed, normed)
    d_norm, d_scale, d_shift = torch.ops.aten.native_layer_norm_backward(
        d_normed, flat, width, mean, spread, t.scale, t.shift, [True, True, True]
    )
    d_flat += d_norm
    g.scale += d_scale
    g.shift += d_shift


def _read(table: Tensor, place: Tensor) -> Tensor:
    """Rows of a table between its grid points, by linear interpolation."""
    index = place.long().clamp_(max=len(table) - 2)
    weight = (place - index).unsqueeze(1)
    return torch.lerp(table.index_select(0, index), table.index_select(0, index + 1), weight)


def _add_to_table(d_table: Tensor, place: Tensor, passed: Tensor | None, d_m: Tensor) -> None:
    """The backward pass of :func:`_read`, added to ``d_table``."""
    index = place.long().clamp_(max=len(d_table) - 2)
    upper = (place - index).unsqueeze(1)
    grad = torch.cat([torch.zeros_like(d_m) if passed is None else passed, d_m], dim=1)
    raised = grad * upper
    d_table.index_add_(0, index + 1, raised)
    d_table.index_add_(0, index, grad.sub_(raised))
