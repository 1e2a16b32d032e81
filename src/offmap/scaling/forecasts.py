"""What a curve foretells: its law with intervals, from resampled replicates and plausible laws."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import Any

import numpy as np
from numpy.typing import NDArray

from offmap.scaling.laws import SMALLEST_SPREAD, Curve, Fit, best, fit_all

Array = NDArray[Any]
Interval = tuple[float, float, float]
"""A value and the ends of its interval."""

# Laws within this much AICc of the best one are refitted to resamples.
_PLAUSIBLE = 7.0
# Sizes at which the band of a law is told, from the smallest size to ten times the largest.
_N_BAND = 25


@dataclass(frozen=True, eq=False)
class Forecast:
    """What a curve says, with intervals.

    Parameters
    ----------
    fit
        The chosen law.
    exponent
        Slope of log error against log size over the last factor of ten, with its interval.
    n
        Sizes at which the error is foretold, shape (n_sizes,).
    error, low, high
        Foretold error at these sizes and the ends of its interval, shape (n_sizes,).
    """

    fit: Fit
    exponent: Interval
    n: Array
    error: Array
    low: Array
    high: Array

    def at(self, n: float) -> Interval:
        """Error foretold at one of the sizes."""
        i = int(np.argmin(np.abs(np.log(self.n / n))))
        return float(self.error[i]), float(self.low[i]), float(self.high[i])

    @property
    def at_2x(self) -> Interval:
        """Error at twice the largest size of the curve."""
        return self.at(2 * self.fit.largest)

    @property
    def at_10x(self) -> Interval:
        """Error at ten times the largest size of the curve."""
        return self.at(10 * self.fit.largest)


def forecast(
    n: Array,
    errors: Array,
    confidence: float = 0.95,
    n_bootstrap: int = 200,
    seed: int = 0,
    sizes: Array | None = None,
) -> Forecast:
    """Fit a law to replicated errors and extrapolate it.

    Parameters
    ----------
    n
        Sizes, ascending, shape (n_sizes,).
    errors
        Error of each replicate at each size, shape (n_replicates, n_sizes); NaN where there is
        none.
    confidence, n_bootstrap, seed
        Nominal coverage of the intervals, resamples behind them, and their seed.
    sizes
        Where to foretell the error; by default from the smallest size to ten times the largest.

    Returns
    -------
    Forecast
        Values with the ends of their intervals. Each resample draws replicates of every size,
        adds noise of the fit's own residuals, and chooses its law anew among those that the curve
        leaves plausible; errors also carry the residual scatter, or that of a mean over as many
        replicates as the largest size has, if that is more.

    Raises
    ------
    OffmapError
        If there are fewer than three sizes.
    """
    errors = np.atleast_2d(np.asarray(errors, dtype=np.float64))
    n = np.asarray(n, dtype=np.float64)
    known = np.isfinite(errors) & (errors > 0)
    spread = _spread(errors)
    rows = [np.broadcast_to(values, errors.shape)[known] for values in (n, errors, spread)]
    curve = Curve.of(*rows)
    fits = fit_all(curve)
    fit = best(fits)
    if sizes is None:
        sizes = np.append(np.geomspace(n.min(), 10 * n.max(), _N_BAND), 2 * n.max())
    rng = np.random.default_rng(seed)
    scatter = _scatter(fit, curve)
    drawn = _replicates(errors[:, known.any(axis=0)], n_bootstrap, rng)
    noise = np.maximum(scatter, _alone(known, spread))
    ahead = max(scatter, _unsure(known, spread))
    plausible = [f for f in fits if f.aicc < fit.aicc + _PLAUSIBLE]
    draws = np.empty((n_bootstrap, 1 + len(sizes)))
    for i, y in enumerate(drawn + noise * rng.normal(size=drawn.shape)):
        resampled = replace(curve, y=y)
        one = best(fit_all(resampled, near=plausible))
        # A flat law says that no slope can be told from zero; how well, the straight line knows.
        draws[i, 0] = resampled.slope if one.law == "flat" else one.exponent
        draws[i, 1:] = np.log(one.predict(sizes)) + ahead * rng.normal(size=len(sizes))
    point = np.append(fit.exponent, np.log(fit.predict(sizes)))
    tail = (1 - confidence) / 2
    low, high = np.quantile(draws, [tail, 1 - tail], axis=0) if n_bootstrap else (point, point)
    low, high = np.minimum(low, point), np.maximum(high, point)
    exponent = (float(point[0]), float(low[0]), float(high[0]))
    return Forecast(fit, exponent, sizes, *(np.exp(v[1:]) for v in (point, low, high)))


def held_back(
    n: Array, errors: Array, confidence: float = 0.95, n_bootstrap: int = 200, seed: int = 0
) -> Interval | None:
    """Foretell the mean error at the largest size from the smaller ones.

    Returns
    -------
    tuple or None
        Foretold error and its interval; None with fewer than four sizes.
    """
    if len(n) < 4:
        return None
    errors = np.atleast_2d(errors)
    found = forecast(
        n[:-1], errors[:, :-1], confidence, n_bootstrap, seed, sizes=np.asarray(n[-1:])
    )
    return found.at(float(n[-1]))


def _spread(errors: Array) -> Array:
    """Standard deviation of log error at each size; the typical one where it is not known."""
    several = np.isfinite(errors).sum(axis=0) > 1
    spread = np.full(errors.shape[1], np.nan)
    if several.any():
        spread[several] = np.nanstd(np.log(errors[:, several]), axis=0, ddof=1)
    typical = np.nanmedian(spread) if several.any() else SMALLEST_SPREAD
    return np.asarray(np.maximum(np.where(np.isfinite(spread), spread, typical), SMALLEST_SPREAD))


def _alone(known: Array, spread: Array) -> Array:
    """Noise of sizes with one replicate, which cannot be resampled: the typical spread."""
    counts = known.sum(axis=0)
    return np.asarray(np.where(counts == 1, spread, 0.0)[counts > 0])


def _unsure(known: Array, spread: Array) -> float:
    """Noise of the mean over the replicates of the largest size."""
    last = np.flatnonzero(known.any(axis=0))[-1]
    return float(spread[last] / np.sqrt(known[:, last].sum()))


def _scatter(fit: Fit, curve: Curve) -> float:
    """Scatter of mean log errors about the law, corrected for its parameters."""
    residual = curve.y - np.log(fit.predict(curve.n))
    freedom = max(len(curve.n) - len(fit.parameters), 1)
    return float(np.sqrt((residual**2).sum() / freedom))


def _replicates(errors: Array, n_bootstrap: int, rng: np.random.Generator) -> Array:
    """Mean log error of replicates drawn with replacement, shape (n_bootstrap, n_sizes)."""
    drawn = np.empty((n_bootstrap, errors.shape[1]))
    for j, column in enumerate(errors.T):
        logs = np.log(column[np.isfinite(column) & (column > 0)])
        drawn[:, j] = rng.choice(logs, (n_bootstrap, len(logs))).mean(axis=1)
    return drawn
