"""Real solid harmonics up to order 4, compiled with numba."""

from __future__ import annotations

import numpy as np

from offmap.representations.matminer.compiled import Floats, compiled

N_HARMONICS = 25
"""Components of orders 0 to 4."""

_R3, _R5, _R6 = np.sqrt(3.0), np.sqrt(5.0), np.sqrt(6.0)
_R10, _R15, _R35, _R70 = np.sqrt(10.0), np.sqrt(15.0), np.sqrt(35.0), np.sqrt(70.0)


@compiled
def solid_harmonics(x: float, y: float, z: float, out: Floats) -> None:
    """Write the components of orders 0 to 4 at a point.

    Racah normalisation: the squares of the 2l + 1 components of order l add up to r^(2l).

    Parameters
    ----------
    x, y, z
        The point.
    out
        Shape (25,); order l begins at l * l.
    """
    xx, yy, zz = x * x, y * y, z * z
    rr = xx + yy + zz
    out[0] = 1.0
    out[1], out[2], out[3] = x, y, z
    out[4] = _R3 * x * y
    out[5] = _R3 * y * z
    out[6] = _R3 * x * z
    out[7] = 0.5 * _R3 * (xx - yy)
    out[8] = 0.5 * (3.0 * zz - rr)
    out[9] = 0.5 * z * (5.0 * zz - 3.0 * rr)
    out[10] = 0.25 * _R6 * x * (5.0 * zz - rr)
    out[11] = 0.25 * _R6 * y * (5.0 * zz - rr)
    out[12] = 0.5 * _R15 * z * (xx - yy)
    out[13] = _R15 * x * y * z
    out[14] = 0.25 * _R10 * x * (xx - 3.0 * yy)
    out[15] = 0.25 * _R10 * y * (3.0 * xx - yy)
    out[16] = 0.125 * (35.0 * zz * zz - 30.0 * zz * rr + 3.0 * rr * rr)
    out[17] = 0.25 * _R10 * x * z * (7.0 * zz - 3.0 * rr)
    out[18] = 0.25 * _R10 * y * z * (7.0 * zz - 3.0 * rr)
    out[19] = 0.25 * _R5 * (xx - yy) * (7.0 * zz - rr)
    out[20] = 0.5 * _R5 * x * y * (7.0 * zz - rr)
    out[21] = 0.25 * _R70 * z * x * (xx - 3.0 * yy)
    out[22] = 0.25 * _R70 * z * y * (3.0 * xx - yy)
    out[23] = 0.125 * _R35 * (xx * xx - 6.0 * xx * yy + yy * yy)
    out[24] = 0.5 * _R35 * x * y * (xx - yy)
