"""What happens between the products of :mod:`~offmap.models.alignn.pairs`, compiled for processors.

One pass over the pairs of edges of some atoms in each direction, in single precision, instead of
the dozen passes that torch makes; the formulas are the same. Pairs of atom i are rows
``pair + (i * d + a) * d + b`` for its outgoing edge a and incoming edge b; its edges are rows
``edge + i * d + a`` of the features of edges.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, TypeVar

import numba
import numpy as np
from llvmlite import ir  # type: ignore[import-untyped]
from numba.core import types
from numba.extending import intrinsic
from numpy.typing import NDArray

Singles = NDArray[np.float32]

_NORM_EPS = np.float32(1e-5)  # of torch's layer norm
_GATE_EPS = np.float32(1e-6)
_ZERO, _HALF, _ONE = np.float32(0), np.float32(0.5), np.float32(1)
_MOST = np.float32(87)  # exp(88.8) is no longer finite
_LOG2E = np.float32(1.44269504)
_LN2_HIGH, _LN2_LOW = np.float32(0.693359375), np.float32(-2.12194440e-4)

# Sums may be taken in any order, so that many numbers are added at once; NaN stays NaN.
_FAST = {"reassoc", "contract", "nsz", "arcp"}

Function = TypeVar("Function", bound=Callable[..., Any])


def _compiled(function: Function) -> Function:
    decorated: Function = numba.njit(cache=True, nogil=True, error_model="numpy", fastmath=_FAST)(
        function
    )
    return decorated


@intrinsic  # type: ignore[untyped-decorator]
def _as_single(typing_context: Any, bits: Any) -> Any:
    """The number whose bits these are."""

    def generate(context: Any, builder: Any, signature: Any, values: Any) -> Any:
        return builder.bitcast(values[0], ir.FloatType())

    return types.float32(types.int32), generate


@_compiled
def sigmoid(x: Any) -> Any:
    """1 / (1 + exp(-x)) to 2e-7 of itself, in steps that a processor takes for many x at once.

    The polynomial of exp is that of the Cephes library (S. L. Moshier).
    """
    x = -x
    x = _MOST if x > _MOST else x
    x = -_MOST if x < -_MOST else x
    n = np.floor(x * _LOG2E + _HALF)
    x = x - n * _LN2_HIGH
    x = x - n * _LN2_LOW
    p = np.float32(1.9875691500e-4)
    p = p * x + np.float32(1.3981999507e-3)
    p = p * x + np.float32(8.3334519073e-3)
    p = p * x + np.float32(4.1665795894e-2)
    p = p * x + np.float32(1.6666665459e-1)
    p = p * x + _HALF
    p = p * x * x + x + _ONE
    power = _as_single(np.int32((np.int32(n) + np.int32(127)) << np.int32(23)))
    return _ONE / (_ONE + p * power)


@_compiled
def _between(table: Singles, place: float, first: int, row: Singles) -> None:
    """Write a row of the table, from a column on, between two points of its grid."""
    j = min(int(place), len(table) - 2)
    up = np.float32(place - j)
    low = _ONE - up
    below, above = table[j, first:], table[j + 1, first:]
    for f in range(len(row)):
        row[f] = below[f] * low + above[f] * up


@_compiled
def _add_between(d_table: Singles, place: float, first: int, grad: Singles) -> None:
    """The backward pass of the same."""
    j = min(int(place), len(d_table) - 2)
    up = np.float32(place - j)
    low = _ONE - up
    below, above = d_table[j, first:], d_table[j + 1, first:]
    for f in range(len(grad)):
        below[f] += grad[f] * low
    for f in range(len(grad)):
        above[f] += grad[f] * up


@_compiled
def _copy(values: Singles, to: Singles) -> None:
    for f in range(len(to)):
        to[f] = values[f]


@_compiled
def _add(values: Singles, to: Singles) -> None:
    for f in range(len(to)):
        to[f] += values[f]


@_compiled
def _normed(row: Singles, unit: Singles) -> Any:
    """Write a row less its mean and over its deviation; gives one over the deviation."""
    n = np.float32(len(row))
    total, squares = _ZERO, _ZERO
    for f in range(len(row)):
        total += row[f]
    mean = total / n
    for f in range(len(row)):
        unit[f] = row[f] - mean
        squares += unit[f] * unit[f]
    spread = _ONE / np.sqrt(squares / n + _NORM_EPS)
    for f in range(len(row)):
        unit[f] *= spread
    return spread


@_compiled
def _add_silu(unit: Singles, scale: Singles, shift: Singles, to: Singles) -> None:
    for f in range(len(to)):
        x = unit[f] * scale[f] + shift[f]
        to[f] += x * sigmoid(x)


@_compiled
def _silu_slope(
    unit: Singles, scale: Singles, shift: Singles, grad: Singles, slope: Singles
) -> None:
    for f in range(len(slope)):
        x = unit[f] * scale[f] + shift[f]
        s = sigmoid(x)
        slope[f] = grad[f] * s * (_ONE + x * (_ONE - s))


@_compiled
def _tell(row: Singles, value: Singles, gates: Singles, told: Singles) -> None:
    """Add the gates of a pair, and what it tells, to the sums."""
    for f in range(len(row)):
        gate = sigmoid(row[f])
        gates[f] += gate
        told[f] += gate * value[f]


@_compiled
def _told(
    row: Singles, value: Singles, h: Singles, share: Singles, d_value: Singles, d_m: Singles
) -> None:
    """The backward pass of the same: added to ``d_value``, written to ``d_m``."""
    for f in range(len(row)):
        gate = sigmoid(row[f])
        row[f] = gate
        d_m[f] = share[f] * gate
    for f in range(len(row)):
        d_value[f] += d_m[f]
    for f in range(len(row)):
        d_m[f] *= (value[f] - h[f]) * (_ONE - row[f])


@_compiled
def forward(
    n: int, d: int, edge: int, pair: int, product: Singles, z: Singles, table: Singles,
    place: Singles, into: Singles, value: Singles, out: Singles, scale: Singles, shift: Singles,
    h: Singles, total: Singles, kept: Singles, z_new: Singles,
) -> None:  # fmt: skip
    """Messages of n atoms of degree d: writes ``h``, ``total``, ``kept`` and ``z_new``.

    ``product`` (n * d * d, width) begins with these atoms, all else with the first of the batch.
    ``kept`` and ``z_new`` may be empty, and ``table`` or ``z`` and ``product`` are.
    """
    width = into.shape[1]
    room = np.empty((4, width), np.float32)
    row, unit, gates, told = room[0], room[1], room[2], room[3]
    for e in range(n * d):
        a, first = edge + e, edge + e // d * d
        gates[:] = _GATE_EPS
        told[:] = _ZERO
        for b in range(d):
            p = e * d + b
            if len(table):
                _between(table, place[pair + p], width, row)
            else:
                _copy(product[p], row)
            _add(out[a], row)
            _add(into[first + b], row)
            if len(kept):
                _copy(row, kept[pair + p])
            _tell(row, value[first + b], gates, told)
            if not len(z_new):
                continue
            new = z_new[pair + p]
            if len(table):
                _between(table, place[pair + p], 0, new)
            else:
                _copy(z[pair + p], new)
            _normed(row, unit)
            _add_silu(unit, scale, shift, new)
        for f in range(width):
            total[a, f] = gates[f]
            h[a, f] = told[f] / gates[f]


@_compiled
def backward(
    n: int, d: int, edge: int, pair: int, kept: Singles, table: Singles, place: Singles,
    into: Singles, value: Singles, out: Singles, scale: Singles, shift: Singles, h: Singles,
    total: Singles, grad_h: Singles, grad_z: Singles, d_product: Singles, d_into: Singles,
    d_value: Singles, d_out: Singles, d_scale: Singles, d_shift: Singles, d_table: Singles,
) -> None:  # fmt: skip
    """Gradients of the same atoms, added to all of ``d_*`` but ``d_product``, which is written.

    ``d_product`` (n * d * d, width) begins with these atoms; with a table it is empty, and the
    gradients go to ``d_table``.
    """
    width = into.shape[1]
    room = np.empty((5, width), np.float32)
    row, unit, slope, share, d_m = room[0], room[1], room[2], room[3], room[4]
    for e in range(n * d):
        a, first = edge + e, edge + e // d * d
        for f in range(width):
            share[f] = grad_h[a, f] / total[a, f]
        for b in range(d):
            p = e * d + b
            if len(table):
                _between(table, place[pair + p], width, row)
                _add(out[a], row)
                _add(into[first + b], row)
            else:
                _copy(kept[pair + p], row)
            if len(grad_z):
                spread = _normed(row, unit)
            _told(row, value[first + b], h[a], share, d_value[first + b], d_m)
            if len(grad_z):
                _silu_slope(unit, scale, shift, grad_z[pair + p], slope)
                _norm(unit, spread, slope, scale, d_m, d_scale, d_shift)
            _add(d_m, d_out[a])
            _add(d_m, d_into[first + b])
            if not len(table):
                _copy(d_m, d_product[p])
                continue
            _add_between(d_table, place[pair + p], width, d_m)
            if len(grad_z):
                _add_between(d_table, place[pair + p], 0, grad_z[pair + p])


@_compiled
def _norm(
    unit: Singles, spread: float, slope: Singles, scale: Singles,
    d_m: Singles, d_scale: Singles, d_shift: Singles,
) -> None:  # fmt: skip
    """Backward pass of the norm: added to ``d_m``, ``d_scale`` and ``d_shift``."""
    n = np.float32(len(unit))
    all_, along = _ZERO, _ZERO
    for f in range(len(unit)):
        d_scale[f] += slope[f] * unit[f]
    for f in range(len(unit)):
        d_shift[f] += slope[f]
    for f in range(len(unit)):
        slope[f] *= scale[f]
        all_ += slope[f]
        along += slope[f] * unit[f]
    all_ /= n
    along /= n
    for f in range(len(unit)):
        d_m[f] += spread * (slope[f] - all_ - unit[f] * along)
