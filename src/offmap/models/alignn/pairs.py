"""The costly part of ALIGNN: what each pair of edges does to its second edge, and to itself.

For a pair of edges a -> b -> c with features z, and its edges with features y1 and y2,

    m = G z + A y1 + B y2,  s = sigmoid(m),
    h(y2) = sum of s * (V y1) over the pairs of y2 / sum of s,  z' = z + silu(norm(m)),

the edge-gated convolution of Bresson and Laurent, arXiv 1711.07553, on the line graph. There are
some 180 pairs for each atom, so nearly all the work is here. Four things keep it small:

- the pairs of each atom are a block (:class:`~offmap.models.alignn.batch.Blocks`): sums run along
  its axes, and nothing is scattered;
- both passes go through it in parts that stay in the cache, and all but z' and m is forgotten;
- before the first layer z is a function of the angle alone, so z and G z are read from a table of
  that function on a fine grid of cosines, with linear interpolation, instead of being computed for
  each pair. The error is of the size of single precision's;
- on a processor, all but the matrix products is compiled into one pass each way.
"""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor

from offmap.models.alignn import compiled, eager
from offmap.models.alignn.terms import Gradients, Terms


class PairUpdate(torch.autograd.Function):  # type: ignore[misc]
    """One convolution on the line graph, given ``before`` and ``after`` the product with ``z``.

    Arguments: the inputs of :class:`~offmap.models.alignn.terms.Terms`, as far as ``keep_z``.
    Gives h (n_edges, h), in the order of the outgoing edges, and z'.
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
        n_pairs, width = sum(d * d * n for d, n in groups), into.shape[1]
        terms = Terms(
            z, weight, bias, table, place, into, value, out, scale, shift, groups, keep_z, low,
            h=torch.empty_like(into),
            total=torch.empty_like(into),
            z_new=into.new_empty((n_pairs if keep_z else 0, width), dtype=low),
            kept=into.new_empty((n_pairs if table is None else 0, width), dtype=low),
        )  # fmt: skip
        how = compiled if compiled.able(terms) else eager
        how.forward(terms)
        saved = (z, weight, bias, table, place, into, value, out, scale, shift)
        ctx.save_for_backward(*saved, terms.h, terms.total, terms.kept)
        ctx.rest, ctx.how = (groups, keep_z, low), how
        return terms.h, terms.z_new

    @staticmethod
    @torch.autograd.function.once_differentiable  # type: ignore[untyped-decorator]
    def backward(ctx: Any, grad_h: Tensor, grad_z: Tensor) -> tuple[Tensor | None, ...]:  # noqa: D102
        *saved, h, total, kept = ctx.saved_tensors
        groups, keep_z, low = ctx.rest
        z, weight, bias, table, place, into, value, out, scale, shift = saved
        terms = Terms(
            z, weight, bias, table, place, into, value, out, scale, shift, groups, keep_z, low,
            h, total, h.new_empty(0), kept,
        )  # fmt: skip
        g = Gradients.of(terms)
        ctx.how.backward(terms, grad_h, grad_z, g)
        d_bias = None if weight is None else g.out.sum(0)
        edges = (g.into, g.value, g.out, g.scale, g.shift)
        return (g.z, g.weight, d_bias, g.table, None, *edges, None, None)


def _precision(like: Tensor) -> torch.dtype:
    """Number type of the products: lower than the inputs' where mixed precision is on."""
    kind = like.device.type
    return torch.get_autocast_dtype(kind) if torch.is_autocast_enabled(kind) else like.dtype
