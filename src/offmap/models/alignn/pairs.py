"""The costly part of ALIGNN: what each pair of edges does to its second edge, and to itself.

For a pair of edges a -> b -> c with features z, and its edges with features y1 and y2,

    m = G z + A y1 + B y2,  s = sigmoid(m),
    h(y2) = sum of s * (V y1) over the pairs of y2 / sum of s,  z' = z + silu(norm(m)),

the edge-gated convolution of Bresson and Laurent, arXiv 1711.07553, on the line graph. There are
some 180 pairs for each atom, so nearly all the work is here. Three things keep it small:

- the pairs of each atom are a block (:class:`~offmap.models.alignn.batch.Blocks`): sums run along
  its axes, and nothing is scattered;
- both passes go through it in parts that stay in the cache, and all but z' and m is forgotten;
- before the first layer z is a function of the angle alone, so z and G z are read from a table of
  that function on a fine grid of cosines, with linear interpolation, instead of being computed for
  each pair. The error is of the size of single precision's.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor
from torch.nn import functional

EPS = 1e-6
"""Added to a sum of gates before it divides, as in ALIGNN."""

# Pairs that are worked on at once on a processor: some megabytes of 256 features each.
_AT_ONCE = 2048


@dataclass(frozen=True)
class Chunk:
    """Some atoms of one degree: their pairs and edges as slices, and the shape of their blocks."""

    pairs: slice
    edges: slice
    n: int
    degree: int

    def rows(self, edges: Tensor) -> Tensor:
        """The edges of each atom, shape (n, degree, features)."""
        return edges[self.edges].view(self.n, self.degree, -1)

    def block(self, pairs: Tensor) -> Tensor:
        """Features of pairs as blocks, shape (n, degree out, degree in, features)."""
        return pairs.view(self.n, self.degree, self.degree, -1)


def chunks(groups: tuple[tuple[int, int], ...], at_once: int) -> Iterator[Chunk]:
    """Cut the pairs of a batch into parts of about ``at_once`` pairs, whole atoms each."""
    pair = edge = 0
    for degree, n_atoms in groups:
        most = max(1, at_once // max(degree * degree, 1))
        for begin in range(0, n_atoms if degree else 0, most):
            n = min(most, n_atoms - begin)
            yield Chunk(
                slice(pair, pair + n * degree * degree), slice(edge, edge + n * degree), n, degree
            )
            pair += n * degree * degree
            edge += n * degree


class PairUpdate(torch.autograd.Function):  # type: ignore[misc]
    """One convolution on the line graph, given ``before`` and ``after`` the product with ``z``.

    Arguments: ``z`` (n_pairs, h) with ``weight`` (h, h) and ``bias`` (h,), or ``table`` (grid, 2h)
    of z and G z with ``place`` (n_pairs,) in it; ``A y`` and ``V y`` of the incoming edges and
    ``B y`` of the outgoing ones, (n_edges, h) each; scale and shift of the norm; the groups; and
    whether z' is wanted. Gives h (n_edges, h), in the order of the outgoing edges, and z'.
    """

    @staticmethod
    def forward(  # noqa: D102
        ctx: Any,
        z: Tensor | None,
        weight: Tensor | None,
        bias: Tensor | None,
        table: Tensor | None,
        place: Tensor | None,
        into: Tensor,
        value: Tensor,
        out: Tensor,
        scale: Tensor,
        shift: Tensor,
        groups: tuple[tuple[int, int], ...],
        keep_z: bool,
    ) -> tuple[Tensor, Tensor]:
        low = _precision(into)
        at_once = _AT_ONCE if into.device.type == "cpu" else 1 << 18
        n_pairs, width = sum(d * d * n for d, n in groups), into.shape[1]
        h, total = torch.empty_like(into), torch.empty_like(into)
        z_new = into.new_empty((n_pairs if keep_z else 0, width), dtype=low)
        kept = into.new_empty((n_pairs if table is None else 0, width), dtype=low)
        for chunk in chunks(groups, at_once):
            m = chunk.block(_product(chunk, z, weight, bias, table, place, low))
            m += chunk.rows(out)[:, :, None]
            m += chunk.rows(into)[:, None]
            flat = m.view(-1, width)
            if table is None:
                kept[chunk.pairs] = flat
            gate = m.sigmoid()
            sums = gate.sum(2).add_(EPS)
            total[chunk.edges] = sums.view(-1, width)
            gate *= chunk.rows(value)[:, None]
            h[chunk.edges] = (gate.sum(2) / sums).view(-1, width)
            if keep_z:
                normed = functional.layer_norm(flat, (width,), scale, shift)
                new = functional.silu(normed, inplace=True)
                new += _before(chunk, z, table, place, width)
                z_new[chunk.pairs] = new
        ctx.save_for_backward(
            z, weight, table, place, into, value, out, scale, shift, h, total, kept
        )
        ctx.groups, ctx.keep_z, ctx.at_once, ctx.low = groups, keep_z, at_once, low
        return h, z_new

    @staticmethod
    @torch.autograd.function.once_differentiable  # type: ignore[untyped-decorator]
    def backward(ctx: Any, grad_h: Tensor, grad_z: Tensor) -> tuple[Tensor | None, ...]:  # noqa: D102
        z, weight, table, place, into, value, out, scale, shift, h, total, kept = ctx.saved_tensors
        width = into.shape[1]
        d_into, d_value, d_out = (torch.empty_like(into) for _ in range(3))
        d_scale, d_shift = torch.zeros_like(scale), torch.zeros_like(shift)
        d_weight, d_table, d_z = (
            None if given is None else make(given)
            for make, given in (
                (torch.zeros_like, weight),
                (torch.zeros_like, table),
                (torch.empty_like, z),
            )
        )
        for chunk in chunks(ctx.groups, ctx.at_once):
            if table is None:
                flat = kept[chunk.pairs].to(into.dtype)
            else:
                flat = _product(chunk, z, weight, None, table, place, ctx.low)
                block = chunk.block(flat)
                block += chunk.rows(out)[:, :, None]
                block += chunk.rows(into)[:, None]
            gate = chunk.block(flat.sigmoid())
            d_num = chunk.rows(grad_h) / chunk.rows(total)
            d_gate = d_num[:, :, None] * chunk.rows(value)[:, None]
            d_gate -= (d_num * chunk.rows(h))[:, :, None]
            d_m = torch.ops.aten.sigmoid_backward(d_gate, gate)
            gate *= d_num[:, :, None]
            d_value[chunk.edges] = gate.sum(1).view(-1, width)
            d_flat = d_m.view(-1, width)
            passed = grad_z[chunk.pairs].to(into.dtype) if ctx.keep_z else None
            if passed is not None:
                normed, mean, spread = torch.native_layer_norm(flat, (width,), scale, shift, 1e-5)
                d_normed = torch.ops.aten.silu_backward(passed, normed)
                d_norm, d_s, d_b = torch.ops.aten.native_layer_norm_backward(
                    d_normed, flat, [width], mean, spread, scale, shift, [True, True, True]
                )
                d_flat += d_norm
                d_scale += d_s
                d_shift += d_b
            d_into[chunk.edges] = d_m.sum(1).view(-1, width)
            d_out[chunk.edges] = d_m.sum(2).view(-1, width)
            if d_table is not None:
                _add_to_table(d_table, place[chunk.pairs], passed, d_flat)
            elif d_weight is not None and d_z is not None:
                low = d_flat.to(ctx.low)
                d_weight += (low.T @ z[chunk.pairs].to(ctx.low)).to(d_weight.dtype)
                back = low @ weight.to(ctx.low)
                d_z[chunk.pairs] = back if passed is None else back.to(into.dtype) + passed
        d_bias = d_out.sum(0) if weight is not None else None
        edges = (d_into, d_value, d_out, d_scale, d_shift)
        return (d_z, d_weight, d_bias, d_table, None, *edges, None, None)


def _precision(like: Tensor) -> torch.dtype:
    """Number type of the products: lower than the inputs' where mixed precision is on."""
    kind = like.device.type
    return torch.get_autocast_dtype(kind) if torch.is_autocast_enabled(kind) else like.dtype


def _before(
    chunk: Chunk, z: Tensor | None, table: Tensor | None, place: Tensor | None, width: int
) -> Tensor:
    """Features of some pairs, shape (n, h)."""
    if table is not None and place is not None:
        return _read(table[:, :width], place[chunk.pairs])
    assert z is not None
    return z[chunk.pairs]


def _product(
    chunk: Chunk,
    z: Tensor | None,
    weight: Tensor | None,
    bias: Tensor | None,
    table: Tensor | None,
    place: Tensor | None,
    low: torch.dtype,
) -> Tensor:
    """Their product with the weights, shape (n, h), in full precision."""
    if table is not None and place is not None:
        return _read(table[:, table.shape[1] // 2 :], place[chunk.pairs])
    assert z is not None
    assert weight is not None
    product = z[chunk.pairs].to(low) @ weight.to(low).T
    wide = product.to(weight.dtype)
    return wide if bias is None else wide.add_(bias)


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
