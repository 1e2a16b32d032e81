"""Which detector to trust: whether being called out of domain goes with a large error."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from offmap.domain.two_sample import area

Array = NDArray[np.float64]

# Materials of a task below which its sample-level numbers say nothing.
_FEWEST = 20


def risk_coverage(score: Array, error: Array) -> tuple[Array, Array]:
    """Mean absolute error of the materials that lie furthest in, for growing shares of them.

    Parameters
    ----------
    score
        Larger is further out, shape (n,).
    error
        Absolute errors, shape (n,).

    Returns
    -------
    coverage, risk
        Shapes (n,): share of the materials kept, and their mean absolute error.
    """
    order = np.argsort(score, kind="stable")
    count = np.arange(1, len(score) + 1)
    risk: Array = np.cumsum(error[order]) / count
    return count / len(score), risk


def excess_area(score: Array, error: Array) -> float:
    """Area under the risk-coverage curve, 0 for ranking by the error itself and 1 for no ranking.

    Above 1 the detector ranks the wrong way (Geifman, Uziel & El-Yaniv, ICLR 2019, arXiv
    1805.08206, who normalise by the first of the two).
    """
    found = risk_coverage(score, error)[1].mean()
    best = risk_coverage(error, error)[1].mean()
    random = error.mean()
    return float((found - best) / (random - best)) if random > best else float("nan")


def rank_correlation(a: Array, b: Array) -> float:
    """Spearman's rank correlation; NaN if either is constant or there are fewer than three."""
    from scipy.stats import spearmanr

    both = np.isfinite(a) & np.isfinite(b)
    a, b = a[both], b[both]
    if len(a) < 3 or np.ptp(a) == 0 or np.ptp(b) == 0:
        return float("nan")
    return float(spearmanr(a, b).statistic)


def sample_level(score: Array, error: Array, large: float) -> dict[str, float]:
    """How the scores of one task's test materials go with their errors.

    Parameters
    ----------
    score
        Shape (n,).
    error
        Absolute errors, shape (n,).
    large
        The error that only 5 % of in-distribution materials exceed.

    Returns
    -------
    dict
        ``rank_correlation``, ``auroc`` for "error above ``large``" (NaN unless at least 5 materials
        are on either side) and ``excess_area``.
    """
    if len(score) < _FEWEST:
        return dict.fromkeys(("rank_correlation", "auroc", "excess_area"), float("nan"))
    is_large = error > large
    enough = min(is_large.sum(), (~is_large).sum()) >= 5
    return {
        "rank_correlation": rank_correlation(score, error),
        "auroc": area(score, is_large) if enough else float("nan"),
        "excess_area": excess_area(score, error),
    }
