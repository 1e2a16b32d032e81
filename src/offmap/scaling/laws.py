"""Scaling laws: five shapes fitted to an error curve, and the choice between them.

With ``n`` the number of training materials (or rounds, or epochs) and ``e`` the error:

========== ==================================== ======================================
flat       ``e = a``                            more does not help
power      ``e = a n^-b``, b > 0                Hestness et al., arXiv 1712.00409
rising     ``e = a n^b``, b > 0                 more makes it worse
floor      ``e = a n^-b + c``                   Rosenfeld et al., arXiv 1909.12673
broken     ``e = a n^-b (1 + n/m)^(b - d)``     after Caballero et al., arXiv 2210.14891
========== ==================================== ======================================

Fits minimise weighted squared errors of ``log e``; the law is chosen by AICc (Hurvich & Tsai,
Biometrika 76, 297, 1989). The first three are straight lines in the logarithms and solved as such;
MINPACK's Levenberg-Marquardt, through scipy, fits the other two.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from offmap.errors import OffmapError

Array = NDArray[Any]

SMALLEST_SPREAD = 0.01
"""A curve whose logarithm is known to better than this is not trusted more than this."""

# Extra support, in AICc, that a law needs for each parameter more than a simpler one has.
_MARGIN = 2.0
# With fewer points no law could be told from a flat one.
_FEWEST = 5
# A slope nearer to zero than this is no slope.
_LEAST_SLOPE = 1e-4


@dataclass(frozen=True)
class Law:
    """A shape: its value, its derivatives, where to begin the fit, and bounds.

    Parameters are of ``log e`` as a function of ``x = log(n / n_0)`` with ``n_0`` the geometric
    middle of the sizes: log a, then exponents, then logarithms of floors and breaks. ``slope`` is
    given for laws that are straight lines: the sign of their slope, 0 where there is none.
    """

    name: str
    log_error: Callable[[Array, Array], Array]
    n_parameters: int
    slope: float | None = None
    jacobian: Callable[[Array, Array], Array] | None = None
    starts: Callable[[Array, Array], list[list[float]]] | None = None
    bounds: Callable[[Array], tuple[list[float], list[float]]] | None = None


def _flat(p: Array, x: Array) -> Array:
    return np.full_like(x, p[0])


def _power(p: Array, x: Array) -> Array:
    return np.asarray(p[0] - p[1] * x)


def _rising(p: Array, x: Array) -> Array:
    return np.asarray(p[0] + p[1] * x)


def _floor(p: Array, x: Array) -> Array:
    return np.asarray(np.logaddexp(p[0] - p[1] * x, p[2]))


def _floor_jacobian(p: Array, x: Array) -> Array:
    falling = 1 / (1 + np.exp(np.clip(p[2] - p[0] + p[1] * x, -700, 700)))
    return np.column_stack([falling, -falling * x, 1 - falling])


def _floor_starts(x: Array, y: Array) -> list[list[float]]:
    return [[y.mean(), b, y.min() + below] for b in (0.3, 0.8) for below in (-0.1, -1.0)]


def _broken(p: Array, x: Array) -> Array:
    return np.asarray(p[0] - p[1] * x + (p[1] - p[2]) * np.logaddexp(0.0, x - p[3]))


def _broken_jacobian(p: Array, x: Array) -> Array:
    past = np.logaddexp(0.0, x - p[3])
    share = 1 / (1 + np.exp(np.clip(p[3] - x, -700, 700)))
    return np.column_stack([np.ones_like(x), past - x, -past, (p[2] - p[1]) * share])


def _broken_starts(x: Array, y: Array) -> list[list[float]]:
    return [[y.mean(), 0.3, d, m] for d in (0.0, 0.6) for m in np.quantile(x, [0.3, 0.7])]


LAWS: tuple[Law, ...] = (
    Law("flat", _flat, 1, slope=0.0),
    Law("power", _power, 2, slope=-1.0),
    Law("rising", _rising, 2, slope=1.0),
    Law(
        "floor",
        _floor,
        3,
        jacobian=_floor_jacobian,
        starts=_floor_starts,
        bounds=lambda x: ([-50, _LEAST_SLOPE, -50], [50, 5, 50]),
    ),
    Law(
        "broken",
        _broken,
        4,
        jacobian=_broken_jacobian,
        starts=_broken_starts,
        # A break outside the sizes that were tried would be no finding of theirs.
        bounds=lambda x: ([-50, -2, -2, x.min() - 0.1], [50, 5, 5, x.max() + 0.1]),
    ),
)


@dataclass(frozen=True)
class Fit:
    """A law fitted to one curve.

    Parameters
    ----------
    law
        Name of the shape.
    parameters
        Of ``log e`` in ``log(n / middle)``.
    middle
        Geometric middle of the sizes.
    aicc
        Corrected Akaike criterion; lower is better.
    largest
        Largest size of the curve.
    """

    law: str
    parameters: tuple[float, ...]
    middle: float
    aicc: float
    largest: float

    def predict(self, n: Array) -> Array:
        """Error at sizes ``n``."""
        shape = next(law for law in LAWS if law.name == self.law)
        x = np.log(np.asarray(n, dtype=np.float64) / self.middle)
        return np.exp(shape.log_error(np.array(self.parameters), x))

    @property
    def exponent(self) -> float:
        """Slope of log error against log size over the last factor of ten: negative is better."""
        first, last = np.log(self.predict(np.array([self.largest / 10, self.largest])))
        return float((last - first) / np.log(10))


@dataclass(frozen=True, eq=False)
class Curve:
    """An error curve with its replicates put together.

    Parameters
    ----------
    n
        Sizes, ascending, shape (n_sizes,).
    y
        Mean logarithm of the error at each size.
    weight
        Square root of what a deviation of that mean counts.
    within
        Weighted sum of squares of replicates about their means.
    points
        Number of replicates in all.
    """

    n: Array
    y: Array
    weight: Array
    within: float
    points: int

    @classmethod
    def of(cls, n: Array, error: Array, spread: Array | None = None) -> Curve:
        """Put points together; see :func:`fit_law`.

        Raises
        ------
        OffmapError
            If there are fewer than three different sizes, or five errors.
        """
        n, error = np.asarray(n, dtype=np.float64), np.asarray(error, dtype=np.float64)
        usable = (n > 0) & (error > 0) & np.isfinite(error)
        sizes, place = np.unique(n[usable], return_inverse=True)
        if len(sizes) < 3:
            raise OffmapError("a law needs errors at three different sizes at least")
        if usable.sum() < _FEWEST:
            raise OffmapError(f"a law needs {_FEWEST} errors at least, seeds included")
        w = np.ones_like(n) if spread is None else 1 / np.maximum(spread, SMALLEST_SPREAD)
        w = w[usable] / w[usable].mean()
        y = np.log(error[usable])
        weight = np.bincount(place, w**2)
        mean = np.bincount(place, w**2 * y) / weight
        within = float((w**2 * (y - mean[place]) ** 2).sum())
        return cls(sizes, mean, np.sqrt(weight), within, len(y))

    @property
    def slope(self) -> float:
        """Slope of the straight line through the logarithms."""
        x, w = np.log(self.n), self.weight**2
        x = x - w @ x / w.sum()
        return float((w * x) @ self.y / ((w * x) @ x))

    @property
    def middle(self) -> float:
        """Geometric middle of the sizes."""
        return float(np.exp(np.log(self.n).mean()))


def fit_law(n: Array, error: Array, spread: Array | None = None) -> Fit:
    """Choose and fit a law.

    Parameters
    ----------
    n
        Size of each point, shape (n_points,), positive; sizes may repeat.
    error
        Error of each point, positive.
    spread
        Standard deviation of ``log(error)`` of each point; equal weights if not given.

    Raises
    ------
    OffmapError
        If there are fewer than three different sizes.
    """
    return best(fit_all(Curve.of(n, error, spread)))


def fit_all(curve: Curve, near: Sequence[Fit] = ()) -> list[Fit]:
    """Every law with few enough parameters for the curve, simplest first.

    ``near`` restricts this to the laws given there and begins at their parameters.
    """
    x, middle = np.log(curve.n / curve.middle), curve.middle
    known = {fit.law: [list(fit.parameters)] for fit in near}
    fits = []
    for law in LAWS:
        k = law.n_parameters + 1  # the variance is a parameter too
        enough = curve.points >= k + 2 and len(x) > law.n_parameters
        if (near and law.name not in known) or not (enough or law.name == "flat"):
            continue
        parameters, squares = _solve(law, x, curve.y, curve.weight, known.get(law.name))
        aicc = _aicc(squares + curve.within, curve.points, k)
        fits.append(Fit(law.name, tuple(parameters), middle, aicc, float(curve.n.max())))
    return fits


def best(fits: Sequence[Fit]) -> Fit:
    """The law of lowest AICc; one with more parameters must win by 2 for each of them."""
    chosen = fits[0]
    for fit in fits[1:]:
        larger = max(len(fit.parameters) - len(chosen.parameters), 0)
        if fit.aicc < chosen.aicc - _MARGIN * larger:
            chosen = fit
    return chosen


def _solve(
    law: Law, x: Array, y: Array, w: Array, starts: list[list[float]] | None
) -> tuple[list[float], float]:
    """Best parameters of one law and the sum of squares."""
    if law.slope is not None:
        p = _straight(law.slope, x, y, w**2)
        return p.tolist(), float(((w * (law.log_error(p, x) - y)) ** 2).sum())
    assert law.bounds is not None
    assert law.starts is not None
    low, high = (np.array(ends) for ends in law.bounds(x))
    found = [_least_squares(law, x, y, w, start, low, high) for start in starts or law.starts(x, y)]
    p, squares = min(found, key=lambda solution: solution[1])
    return p.tolist(), squares


def _straight(sign: float, x: Array, y: Array, w: Array) -> Array:
    """Level, and slope of the given sign if it is not 0, of a weighted straight line."""
    total = w.sum()
    level, centre = float(w @ y) / total, float(w @ x) / total
    if sign == 0:
        return np.array([level])
    slope = sign * float(w @ ((x - centre) * (y - level))) / float(w @ (x - centre) ** 2)
    slope = min(max(slope, _LEAST_SLOPE), 5.0)
    return np.array([level - sign * slope * centre, slope])


def _least_squares(
    law: Law, x: Array, y: Array, w: Array, start: Sequence[float], low: Array, high: Array
) -> tuple[Array, float]:
    """Fit within bounds: each parameter is a sigmoid, from its lower to its upper bound."""
    from scipy.optimize import least_squares

    width = high - low

    def bounded(u: Array) -> Array:
        return np.asarray(low + width / (1 + np.exp(-np.clip(u, -40, 40))))

    def residual(u: Array) -> Array:
        return np.asarray(w * (law.log_error(bounded(u), x) - y))

    def jacobian(u: Array) -> Array:
        assert law.jacobian is not None
        p = bounded(u)
        return np.asarray(w[:, None] * law.jacobian(p, x) * ((p - low) * (high - p) / width))

    share = np.clip((np.asarray(start) - low) / width, 1e-6, 1 - 1e-6)
    begin = np.log(share / (1 - share))
    # MINPACK wants no fewer residuals than parameters, which `fit_all` has seen to.
    found = least_squares(residual, begin, jacobian, method="lm", max_nfev=60)
    return bounded(found.x), float(2 * found.cost)


def _aicc(squares: float, points: int, k: int) -> float:
    variance = max(squares / points, 1e-6)  # curves are not known to better than 0.1 %
    return points * float(np.log(variance)) + 2 * k + 2 * k * (k + 1) / max(points - k - 1, 0.5)
