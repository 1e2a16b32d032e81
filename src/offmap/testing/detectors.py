"""Check a detector."""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from offmap.errors import DataError
from offmap.registry import load
from offmap.testing.findings import Findings, name_of

if TYPE_CHECKING:
    from offmap.domain.reference import Reference

Array = NDArray[np.float64]

_N_TRAIN, _N_TEST, _N_FEATURES = 400, 60, 12


def check_detector(detector: str | Callable[[], Any]) -> Findings:
    """Check a detector: fitted on a training set, it scores how far out any material lies.

    It is tried on Gaussian features with labels that follow from them. Half of the rows to score
    are like training, half lie six standard deviations away.

    Parameters
    ----------
    detector
        A name (``offmap ls detectors`` or ``package.module:Class``), or the class itself.

    Returns
    -------
    Findings
        What held, and remarks (whether it needs labels, whether it measures distance at all).

    Raises
    ------
    AssertionError
        If offmap cannot use it; says why.
    """
    found = Findings(f"detector {name_of(detector)!r}")
    factory = load("detector", detector) if isinstance(detector, str) else detector
    made = found.attempt("making it without arguments", factory)
    missing = [name for name in ("fit", "score") if not hasattr(made, name)]
    if made is None or not found.expect(
        not missing, "has fit and score", f"has no {' and no '.join(missing)}"
    ):
        return found.conclude()
    X, y, queries = _planted()

    def scored(rows: NDArray[np.floating] = queries, labels: Array | None = y) -> Array:
        train = _reference(X, labels)
        before = train.X.tobytes(), rows.tobytes()
        values = np.asarray(factory().fit(train).score(rows))
        if before != (train.X.tobytes(), rows.tobytes()):
            found.broken.append("fit or score changes the arrays it is given")
        return values

    first = found.attempt("fit and score", scored)
    if first is None or not found.expect(
        first.shape == (len(queries),) and bool(np.isfinite(first).all()),
        "one finite number per material",
        f"score gives shape {first.shape} for {len(queries)} materials, or numbers not finite",
    ):
        return found.conclude()
    found.expect(
        np.array_equal(first, scored()),
        "a seed reproduces",
        "the same seed gives other scores: use the seed of the training set",
    )
    _check_rows(found, first, scored(queries[::2]))
    _check_direction(found, first)
    try:
        scored(labels=None)
    except DataError:
        found.remarks.append("learns from labels: it cannot judge a training set without them")
    except Exception as error:
        found.broken.append(f"without labels it fails: {type(error).__name__}: {error}")
    found.broken[:] = dict.fromkeys(found.broken)
    return found.conclude()


def _check_rows(found: Findings, whole: Array, part: Array) -> None:
    """A score of a material must not depend on what else is scored: p-values rest on it."""
    scale = float(whole.std()) or 1.0
    gap = float(np.abs(whole[::2] - part).max()) / scale
    found.expect(
        gap < 0.1,
        "a score depends on its own material alone",
        f"scores move by up to {gap:.2g} of their spread with the other materials in the call",
    )
    if 1e-4 < gap < 0.1:
        found.remarks.append(f"scores move by up to {gap:.1e} of their spread between calls")


def _check_direction(found: Findings, scores: Array) -> None:
    """Larger is further out."""
    inside, outside = scores[:_N_TEST], scores[_N_TEST:]
    above = outside[:, None] - inside[None, :]
    share = float(((above > 0) + 0.5 * (above == 0)).mean())
    found.expect(
        share > 0.2,
        f"{share:.0%} of planted pairs are ordered",
        f"what lies far outside scores lower ({share:.0%} of planted pairs are ordered):"
        " larger must be further out",
    )
    if 0.2 < share < 0.8:
        found.remarks.append("does not tell what lies far outside: it measures something else")


def _planted() -> tuple[NDArray[np.float32], Array, NDArray[np.float32]]:
    """Training features and labels; then rows like them, and as many that lie far outside."""
    rng = np.random.default_rng(7)
    X = rng.normal(size=(_N_TRAIN + 2 * _N_TEST, _N_FEATURES)).astype(np.float32)
    y = 2.0 * X[:, 0] + np.abs(X[:, 1]) + 0.1 * rng.normal(size=len(X))
    X[_N_TRAIN + _N_TEST :, :4] += 6
    return X[:_N_TRAIN], y[:_N_TRAIN].astype(np.float64), X[_N_TRAIN:]


def _reference(X: NDArray[np.float32], y: Array | None) -> Reference:
    from offmap.domain.reference import Reference

    return Reference(X.copy(), y, seed=0)
