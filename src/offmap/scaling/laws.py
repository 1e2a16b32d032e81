"""Scaling laws: five shapes fitted to an error curve, the best one chosen, and extrapolated.

With ``n`` the number of training materials (or rounds, or epochs) and ``e`` the error:

========== ==================================== ======================================
flat       ``e = a``                            more does not help
power      ``e = a n^-b``, b > 0                Hestness et al., arXiv 1712.00409
floor      ``e = a n^-b + c``                   Rosenfeld et al., arXiv 1909.12673
broken     ``e = a n^-b (1 + n/m)^(b - d)``     after Caballero et al., arXiv 2210.14891
rising     ``e = a n^b``, b > 0                 more makes it worse
========== ==================================== ======================================

Fits minimise weighted squared errors of ``log e``; the law is chosen by AICc (Hurvich & Tsai,
Biometrika 76, 297, 1989).
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from offmap.errors import OffmapError

Array = NDArray[Any]

# A curve whose logarithm is known to better than this is not trusted more than this.
_SMALLEST_SPREAD = 0.01
# Extra support, in AICc, that a law with more parameters needs before it replaces a simpler one.
_MARGIN = 2.0
# Laws within this much AICc of the best one are refitted to resamples.
_PLAUSIBLE = 7.0


@dataclass(frozen=True)
class Law:
    """A shape: how to evaluate it, where to begin the fit, and the bounds of its parameters.

    Parameters are of ``log e`` as a function of ``x = log(n / n_0)`` with ``n_0`` the geometric
    middle of the sizes: log a, then exponents, then logarithms of floors and breaks. ``sign`` is
    given for laws that are straight lines in the logarithms: the sign of their exponent.
    """

    name: str
    log_error: Callable[[Array, Array], Array]
    starts: Callable[[Array, Array], list[list[float]]]
    low: tuple[float, ...]
    high: tuple[float, ...]
    sign: float | None = None


def _flat(p: Array, x: Array) -> Array:
    return np.full_like(x, p[0])


def _power(p: Array, x: Array) -> Array:
    return np.asarray(p[0] - p[1] * x)


def _rising(p: Array, x: Array) -> Array:
    return np.asarray(p[0] + p[1] * x)


def _floor(p: Array, x: Array) -> Array:
    return np.asarray(np.logaddexp(p[0] - p[1] * x, p[2]))


def _broken(p: Array, x: Array) -> Array:
    return np.asarray(p[0] - p[1] * x + (p[1] - p[2]) * np.logaddexp(0.0, x - p[3]))


LAWS: tuple[Law, ...] = (
    Law("flat", _flat, lambda x, y: [], (-50,), (50,), 1.0),
    Law("power", _power, lambda x, y: [], (-50, 1e-4), (50, 5), -1.0),
    Law("rising", _rising, lambda x, y: [], (-50, 1e-4), (50, 5), 1.0),
    Law(
        "floor",
        _floor,
        lambda x, y: [[y.mean(), b, y.min() + s] for b in (0.3, 0.8) for s in (-0.1, -1.0)],
        (-50, 1e-4, -50),
        (50, 5, 50),
    ),
    Law(
        "broken",
        _broken,
        lambda x, y: [
            [y.mean(), 0.3, d, m] for d in (0.0, 0.6) for m in np.quantile(x, [0.3, 0.7])
        ],
        (-50, -2, -2, -20),
        (50, 5, 5, 20),
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
        ends = np.array([self.largest / 10, self.largest])
        first, last = np.log(self.predict(ends))
        return float((last - first) / np.log(10))


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
    return _best(all_fits(n, error, spread))


def all_fits(
    n: Array, error: Array, spread: Array | None = None, near: list[Fit] | None = None
) -> list[Fit]:
    """Every law with few enough parameters for the curve, simplest first.

    ``near`` restricts this to the laws given there and begins at their parameters.
    """
    n, error = np.asarray(n, dtype=np.float64), np.asarray(error, dtype=np.float64)
    usable = (n > 0) & (error > 0) & np.isfinite(error)
    if len(np.unique(n[usable])) < 3:
        raise OffmapError("a law needs errors at three different sizes at least")
    weights = np.ones_like(n) if spread is None else 1 / np.maximum(spread, _SMALLEST_SPREAD)
    middle = near[0].middle if near else float(np.exp(np.log(n[usable]).mean()))
    x, y, w = np.log(n[usable] / middle), np.log(error[usable]), weights[usable]
    w = w / w.mean()
    known = {fit.law: [list(fit.parameters)] for fit in near or []}
    fits = []
    for law in LAWS:
        k = len(law.low) + 1  # the variance is a parameter too
        enough = len(x) >= k + 2 and len(np.unique(x)) > len(law.low)
        if (near and law.name not in known) or not (enough or law.name == "flat"):
            continue
        starts = known.get(law.name) or law.starts(x, y)
        parameters, cost = _solve(law, x, y, w, starts)
        aicc = _aicc(cost, len(x), k)
        fits.append(Fit(law.name, tuple(parameters), middle, aicc, float(n[usable].max())))
    return fits


def _best(fits: list[Fit]) -> Fit:
    best = fits[0]
    for fit in fits[1:]:
        larger = len(fit.parameters) > len(best.parameters)
        if fit.aicc < best.aicc - _MARGIN * larger:
            best = fit
    return best


def _solve(
    law: Law, x: Array, y: Array, w: Array, starts: list[list[float]]
) -> tuple[list[float], float]:
    """Best parameters of one law and half the sum of squares."""
    low, high = np.array(law.low), np.array(law.high)
    if law.sign is not None:  # a straight line in the logarithms
        design = np.column_stack([np.ones_like(x), law.sign * x])[:, : len(low)]
        p = np.linalg.lstsq(design * w[:, None], y * w, rcond=None)[0]
        if (p < low).any():  # the slope is at its bound: the level alone is free
            p = np.array([np.average(y - law.sign * low[1] * x, weights=w**2), low[1]])
        return p.tolist(), float(0.5 * ((w * (law.log_error(p, x) - y)) ** 2).sum())
    from scipy.optimize import least_squares

    def residual(p: Array) -> Array:
        weighted: Array = w * (law.log_error(p, x) - y)
        return weighted

    found = [
        least_squares(
            residual,
            np.clip(start, low + 1e-9, high - 1e-9),
            bounds=(low, high),
            max_nfev=60,
        )
        for start in starts
    ]
    best = min(found, key=lambda solution: solution.cost)
    return best.x.tolist(), float(best.cost)


def _aicc(cost: float, points: int, k: int) -> float:
    variance = max(2 * cost / points, 1e-6)  # curves are not known to better than 0.1 %
    return points * float(np.log(variance)) + 2 * k + 2 * k * (k + 1) / max(points - k - 1, 0.5)


@dataclass(frozen=True)
class Forecast:
    """What a curve says, with intervals from resampled seeds.

    ``exponent`` is the slope of log error against log size over the last factor of ten;
    ``at_2x`` and ``at_10x`` are errors at twice and ten times the largest size.
    """

    fit: Fit
    exponent: tuple[float, float, float]
    at_2x: tuple[float, float, float]
    at_10x: tuple[float, float, float]


def forecast(
    n: Array, errors: Array, confidence: float = 0.95, n_bootstrap: int = 200, seed: int = 0
) -> Forecast:
    """Fit a law to replicated errors and extrapolate it.

    Parameters
    ----------
    n
        Sizes, shape (n_sizes,).
    errors
        Error of each replicate at each size, shape (n_replicates, n_sizes); NaN where there is
        none.
    confidence, n_bootstrap, seed
        Nominal coverage of the intervals, resamples behind them, and their seed.

    Returns
    -------
    Forecast
        Values with the ends of their intervals. Each resample draws replicates of every size,
        adds noise of the fit's own residuals, and chooses its law anew among those that the curve
        leaves plausible; extrapolations also carry the residual scatter.
    """
    errors = np.atleast_2d(np.asarray(errors, dtype=np.float64))
    spread = _spread(errors)
    fits = all_fits(*_points(n, errors, spread))
    fit = _best(fits)
    plausible = [f for f in fits if f.aicc < fit.aicc + _PLAUSIBLE]
    rng = np.random.default_rng(seed)
    scatter = _scatter(fit, n, np.nanmean(errors, axis=0))
    sizes = np.array([2 * n.max(), 10 * n.max()])
    draws = np.array(
        [_resampled(n, errors, spread, plausible, scatter, sizes, rng) for _ in range(n_bootstrap)]
    ).reshape(n_bootstrap, 3)
    point = (fit.exponent, *fit.predict(sizes))
    tail = (1 - confidence) / 2
    low, high = np.quantile(draws, [tail, 1 - tail], axis=0) if n_bootstrap else (point, point)
    exponent, double, tenfold = (
        (float(p), float(min(a, p)), float(max(b, p)))
        for p, a, b in zip(point, low, high, strict=True)
    )
    return Forecast(fit, exponent, double, tenfold)


def _points(n: Array, errors: Array, spread: Array) -> tuple[Array, Array, Array]:
    """Every replicate as a point: its size, error, and the spread at that size."""
    known = np.isfinite(errors)
    rows = [np.broadcast_to(values, errors.shape)[known] for values in (n, errors, spread)]
    return rows[0], rows[1], rows[2]


def _spread(errors: Array) -> Array:
    """Standard deviation of log error at each size; the typical one where it is not known."""
    several = np.isfinite(errors).sum(axis=0) > 1
    spread = np.full(errors.shape[1], np.nan)
    if several.any():
        spread[several] = np.nanstd(np.log(errors[:, several]), axis=0, ddof=1)
    typical = np.nanmedian(spread) if several.any() else _SMALLEST_SPREAD
    return np.asarray(np.maximum(np.where(np.isfinite(spread), spread, typical), _SMALLEST_SPREAD))


def _scatter(fit: Fit, n: Array, mean: Array) -> float:
    """Scatter of log error about the law, corrected for its parameters."""
    residual = np.log(mean) - np.log(fit.predict(n))
    freedom = max(len(n) - len(fit.parameters), 1)
    return float(np.sqrt((residual**2).sum() / freedom))


def _resampled(
    n: Array,
    errors: Array,
    spread: Array,
    plausible: list[Fit],
    scatter: float,
    sizes: Array,
    rng: np.random.Generator,
) -> tuple[float, float, float]:
    draw = np.full_like(errors, np.nan)
    for j in range(len(n)):
        known = np.flatnonzero(np.isfinite(errors[:, j]))
        draw[known, j] = errors[rng.choice(known, len(known)), j]
        # One replicate cannot be resampled: the typical spread stands in.
        alone = spread[j] if len(known) == 1 else 0.0
        draw[known, j] *= np.exp(max(scatter, alone) * rng.normal())
    fit = _best(all_fits(*_points(n, draw, spread), near=plausible))
    ahead = np.log(fit.predict(sizes)) + scatter * rng.normal(size=2)
    return fit.exponent, float(np.exp(ahead[0])), float(np.exp(ahead[1]))


def verdict(inside: Forecast, outside: Forecast) -> str:
    """Say in words whether more of the same data will help out of distribution."""
    low, high = outside.exponent[1:]
    said = (
        f"in distribution {_interval(inside.exponent)}, out of distribution"
        f" {_interval(outside.exponent)}: "
    )
    if low > 0.02:
        return said + "more of the same data makes it worse"
    if high < -0.02 and high < inside.exponent[2] / 2:
        return said + "more of the same data will help"
    if high < -0.02:
        return said + "more of the same data helps, but less than in distribution"
    if high - low > 0.4:
        return said + "not known: the curve is too noisy to tell"
    return said + "more of the same data will not help"


def _interval(value: tuple[float, float, float]) -> str:
    return f"{value[0]:+.2f} [{value[1]:+.2f}, {value[2]:+.2f}]"
