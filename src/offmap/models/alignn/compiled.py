"""A convolution on the line graph on a processor: products by torch, the rest compiled."""

from __future__ import annotations

from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from offmap.models.alignn.terms import Gradients, Terms, chunks

# Pairs that are worked on at once: some megabytes of 256 features each.
_AT_ONCE = 2048

# The compiled part runs in one thread; with more than this many, torch alone is as fast.
_FEW_THREADS = 4


def able(terms: Terms) -> bool:
    """Whether this is for these tensors: in single precision, on a processor."""
    single: bool = terms.into.dtype == terms.low == torch.float32
    here: bool = terms.into.device.type == "cpu"
    return single and here and torch.get_num_threads() <= _FEW_THREADS


def forward(terms: Terms) -> None:
    """Write ``h``, ``total``, ``z_new`` and ``kept``."""
    from offmap.models.alignn import kernels

    t = terms
    into = t.into if t.bias is None else t.into + t.bias
    width = into.shape[1]
    z = _numbers(t.z, width)
    room = into.new_empty((0, width))
    fixed = [_numbers(x, width) for x in (into, t.value, t.out)]
    fixed += [_vector(x) for x in (t.scale, t.shift)]
    fixed += [_numbers(x, width) for x in (t.h, t.total, t.kept, t.z_new)]
    for chunk in chunks(t.groups, _AT_ONCE):
        if t.z is not None and t.weight is not None:
            n = chunk.pairs.stop - chunk.pairs.start
            room = room if len(room) >= n else into.new_empty((n, width))
            torch.mm(t.z[chunk.pairs], t.weight.T, out=room[:n])
        kernels.forward(
            chunk.n, chunk.degree, chunk.edges.start, chunk.pairs.start, _numbers(room, width), z,
            _numbers(t.table, 2 * width), _vector(t.place), *fixed,
        )  # fmt: skip


def backward(terms: Terms, grad_h: Tensor, grad_z: Tensor, g: Gradients) -> None:
    """Add to the gradients."""
    from offmap.models.alignn import kernels

    t = terms
    width = t.into.shape[1]
    fixed = [_numbers(t.kept, width), _numbers(t.table, 2 * width), _vector(t.place)]
    fixed += [_numbers(x, width) for x in (t.into, t.value, t.out)]
    fixed += [_vector(x) for x in (t.scale, t.shift)]
    fixed += [_numbers(x, width) for x in (t.h, t.total, grad_h)]
    fixed.append(_numbers(grad_z if t.keep_z else None, width))
    found = [_numbers(x, width) for x in (g.into, g.value, g.out)]
    found += [_vector(g.scale), _vector(g.shift), _numbers(g.table, 2 * width)]
    room = t.into.new_empty((0, width))
    for chunk in chunks(t.groups, _AT_ONCE):
        n = chunk.pairs.stop - chunk.pairs.start
        if t.table is None and len(room) < n:
            room = t.into.new_empty((n, width))
        rest = [*fixed, _numbers(room, width), *found]
        kernels.backward(chunk.n, chunk.degree, chunk.edges.start, chunk.pairs.start, *rest)
        if t.z is None or t.weight is None or g.z is None or g.weight is None:
            continue
        torch.addmm(g.weight, room[:n].T, t.z[chunk.pairs], out=g.weight)
        if t.keep_z:
            torch.addmm(grad_z[chunk.pairs], room[:n], t.weight, out=g.z[chunk.pairs])
        else:
            torch.mm(room[:n], t.weight, out=g.z[chunk.pairs])


def _numbers(values: Tensor | None, width: int) -> NDArray[np.float32]:
    """A matrix as the compiled code takes it; without rows if there is none."""
    if values is None:
        return np.empty((0, width), np.float32)
    found: NDArray[Any] = values.detach().contiguous().numpy()
    return found


def _vector(values: Tensor | None) -> NDArray[np.float32]:
    found: NDArray[Any] = (
        np.empty(0, np.float32) if values is None else values.detach().contiguous().numpy()
    )
    return found
