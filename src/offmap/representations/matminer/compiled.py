"""The one place that says how the inner loops are compiled."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, TypeVar, cast

import numba
import numpy as np
from numpy.typing import NDArray

Floats = NDArray[np.float64]
Ints = NDArray[Any]

ZERO = cast(int, np.int64(0))
"""Where counters start: a plain 0 is a type of its own and compiles what it is handed to anew."""

Function = TypeVar("Function", bound=Callable[..., Any])


def compiled(function: Function) -> Function:
    """Compile with numba on first use; kept on disk for the next process.

    numba notices a change in the file of a function, not in the functions that it calls: after
    editing one, delete the ``__pycache__`` of this folder.
    """
    decorated: Function = numba.njit(cache=True, error_model="numpy")(function)
    return decorated
