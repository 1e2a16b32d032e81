"""Check a model."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

import numpy as np
from numpy.typing import NDArray

from offmap.crystals import Crystals
from offmap.elements import ELECTRONEGATIVITY
from offmap.inputs import GIVEN_CRYSTALS
from offmap.models.base import build_model
from offmap.registry import load
from offmap.testing.examples import example_crystals
from offmap.testing.findings import Findings, name_of

Array = NDArray[np.float64]


def check_model(
    model: str | Callable[..., Any], settings: Mapping[str, Any] | None = None, threads: int = 2
) -> Findings:
    """Check a model: a scikit-learn regressor of features, or of crystals if it ``consumes`` them.

    Parameters
    ----------
    model
        A name (``offmap ls models`` or ``package.module:Attribute``), or the class or function
        itself.
    settings
        Keyword arguments that a study would give it.
    threads
        Number of threads with which predictions are compared to those with one.

    Returns
    -------
    Findings
        What held, and remarks (missing values, threads).

    Raises
    ------
    AssertionError
        If offmap cannot use it; says why.
    """
    factory = load("model", model) if isinstance(model, str) else model
    found = Findings(f"model {name_of(model)!r}")
    given = settings or {}
    made = found.attempt("making it", lambda: build_model(factory, name_of(model), given, 0, 1))
    if made is None or not _speaks_sklearn(found, made):
        return found.conclude()
    X, y = _planted(getattr(factory, "consumes", "features"))
    train, test = np.arange(len(y)) % 3 > 0, np.arange(len(y)) % 3 == 0

    def predicted(threads: int = 1, X: Any = X, rows: NDArray[np.bool_] = test) -> Array:
        fresh = build_model(factory, name_of(model), given, 0, threads)
        inputs = _rows(X, train), y[train], _rows(X, rows)
        before = [_bytes(each) for each in inputs]
        values = np.asarray(fresh.fit(*inputs[:2]).predict(inputs[2]))
        found.expect(
            before == [_bytes(each) for each in inputs],
            "leaves its input alone",
            "fit or predict changes the arrays it is given",
        )
        return values

    first = found.attempt("fit and predict", predicted)
    if first is None:
        return found.conclude()
    found.held.clear()
    if found.expect(
        first.shape == (test.sum(),) and np.isfinite(first).all(),
        "one finite number per material",
        f"predict gives shape {first.shape} for {test.sum()} materials, or numbers not finite",
    ):
        _check_predictions(found, first, predicted, y, train, test, threads)
    if isinstance(X, np.ndarray):
        _remark_on_missing(found, predicted, X)
    found.held[:] = dict.fromkeys(found.held)
    found.broken[:] = dict.fromkeys(found.broken)
    return found.conclude()


def _speaks_sklearn(found: Findings, made: Any) -> bool:
    from sklearn.base import clone

    missing = [
        name for name in ("fit", "predict", "get_params", "set_params") if not hasattr(made, name)
    ]
    if not found.expect(
        not missing, "has the methods of scikit-learn", f"has no {', '.join(missing)}"
    ):
        return False
    copy = found.attempt("sklearn.base.clone", lambda: clone(made))
    return copy is not None and found.expect(
        repr(copy.get_params(deep=False)) == repr(made.get_params(deep=False)),
        "can be cloned",
        "a clone has other parameters: __init__ must only store what it is given",
    )


def _check_predictions(
    found: Findings,
    first: Array,
    predicted: Callable[..., Array],
    y: Array,
    train: NDArray[np.bool_],
    test: NDArray[np.bool_],
    threads: int,
) -> None:
    found.expect(
        np.array_equal(first, predicted()),
        "a seed reproduces",
        "the same seed gives other predictions: take random_state, and use it",
    )
    half = test & (np.cumsum(test) % 2 == 0)
    found.expect(
        np.allclose(first[half[test]], predicted(rows=half), rtol=1e-6, atol=1e-9),
        "a prediction depends on its own material alone",
        "a prediction depends on the other materials in the call",
    )
    floor = float(np.abs(y[test] - y[train].mean()).mean())
    error = float(np.abs(first - y[test]).mean())
    found.expect(
        error <= 1.02 * floor,
        f"MAE {error:.3f} on planted data, {floor:.3f} for the mean",
        f"MAE {error:.3f} on planted data: worse than the mean of the training labels, {floor:.3f}",
    )
    threaded = predicted(threads=threads) if threads > 1 else first
    if not np.array_equal(first, threaded):
        gap = float(np.abs(first - threaded).max())
        found.remarks.append(f"predictions move by up to {gap:.1e} with the number of threads")


def _remark_on_missing(found: Findings, predicted: Callable[..., Array], X: Array) -> None:
    holes = X.copy()
    holes[::7, 1] = np.nan
    try:
        takes = bool(np.isfinite(predicted(X=holes)).all())
    except Exception:
        takes = False
    if takes:
        found.held.append("takes missing values")
    else:
        found.remarks.append(
            "takes no missing values: descriptors that are undefined are NaN; "
            "put a sklearn.impute.SimpleImputer in front"
        )


def _planted(consumes: str) -> tuple[Any, Array]:
    """Features or crystals, and labels that follow from them."""
    if consumes in GIVEN_CRYSTALS:
        crystals = example_crystals()
        difference = [np.ptp(ELECTRONEGATIVITY[c.numbers]) for c in crystals]
        return crystals, -(np.array(difference) ** 1.5)
    rng = np.random.default_rng(3)
    X = rng.normal(size=(360, 8)).astype(np.float32)
    return X, (X[:, 0] * 2 + np.abs(X[:, 1]) + 0.05 * rng.normal(size=360)).astype(np.float64)


def _rows(X: Any, rows: NDArray[np.bool_]) -> Any:
    return X.take(np.flatnonzero(rows)) if isinstance(X, Crystals) else X[rows]


def _bytes(X: Any) -> bytes:
    if isinstance(X, Crystals):
        return b"".join(a.tobytes() for a in (X.lattice, X.numbers, X.frac_coords))
    return bytes(X.tobytes())
