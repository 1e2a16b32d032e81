"""Check that a model, criterion or representation of your own fits into offmap.

A check builds its own small data, tries what offmap will rely on, and raises ``AssertionError``
with every point that does not hold, in words. What it returns says what held, and what is allowed
but worth knowing.

>>> from offmap.testing import check_model
>>> print(check_model("sklearn.tree:DecisionTreeRegressor"))  # doctest: +ELLIPSIS
model 'sklearn.tree:DecisionTreeRegressor' fits: ...
"""

from __future__ import annotations

import itertools
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any

import numpy as np
from numpy.typing import NDArray

from offmap.attributes import Attributes, attributes
from offmap.crystals import Crystal, Crystals
from offmap.elements import ELECTRONEGATIVITY, NUMBERS
from offmap.models.base import build_model
from offmap.registry import load
from offmap.representations.base import Features
from offmap.tasks.membership import Groups, groups_from_values

Array = NDArray[np.float64]


@dataclass
class Findings:
    """What a check found.

    Parameters
    ----------
    subject
        What was checked, in words.
    held
        What offmap relies on and found to be so.
    broken
        What it relies on and found not to be so.
    remarks
        What is allowed but worth knowing.
    """

    subject: str
    held: list[str] = field(default_factory=list)
    broken: list[str] = field(default_factory=list)
    remarks: list[str] = field(default_factory=list)

    def __str__(self) -> str:
        text = f"{self.subject} fits: {'; '.join(self.held)}"
        return text + "".join(f"\n  note: {remark}" for remark in self.remarks)

    def expect(self, fact: bool, held: str, broken: str) -> bool:
        """Note one point; give back whether it holds."""
        (self.held if fact else self.broken).append(held if fact else broken)
        return fact

    def attempt(self, what: str, work: Callable[[], Any]) -> Any:
        """Run something that must not fail; None, and a broken point, if it does."""
        try:
            return work()
        except Exception as error:  # whatever code of somebody else raises is the finding
            self.broken.append(f"{what} fails: {type(error).__name__}: {error}")
            return None

    def conclude(self) -> Findings:
        """Raise ``AssertionError`` if any point is broken."""
        if self.broken:
            raise AssertionError(f"{self.subject} does not fit:\n- " + "\n- ".join(self.broken))
        return self


# -- models ------------------------------------------------------------------------------------


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
    found = Findings(f"model {_name(model)!r}")
    given = settings or {}
    made = found.attempt("making it", lambda: build_model(factory, _name(model), given, 0, 1))
    if made is None or not _speaks_sklearn(found, made):
        return found.conclude()
    X, y = _planted(getattr(factory, "consumes", "features"))
    train, test = np.arange(len(y)) % 3 > 0, np.arange(len(y)) % 3 == 0

    def predicted(threads: int = 1, X: Any = X, rows: NDArray[np.bool_] = test) -> Array:
        fresh = build_model(factory, _name(model), given, 0, threads)
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
    if consumes == "crystals":
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


# -- criteria ----------------------------------------------------------------------------------


def check_criterion(criterion: str | Callable[[Attributes], Any]) -> Findings:
    """Check a criterion: attributes of materials -> one value, or a list of values, for each.

    Parameters
    ----------
    criterion
        A name (``offmap ls criteria`` or ``package.module:function``), or the function itself.

    Raises
    ------
    AssertionError
        If offmap cannot use it; says why.
    """
    function = load("criterion", criterion) if isinstance(criterion, str) else criterion
    found = Findings(f"criterion {_name(criterion)!r}")
    known = attributes(example_crystals())

    def members(order: NDArray[np.int64]) -> dict[str, NDArray[np.bool_]]:
        groups = _groups(function, known[order])
        columns = groups.matrix[np.argsort(order)].T
        return dict(zip(groups.labels, columns, strict=True))

    groups = found.attempt("grouping materials", lambda: _groups(function, known))
    if groups is None or not found.expect(
        groups.matrix.shape == (len(known), len(groups.labels)),
        "one row per material, one column per group",
        f"the matrix has shape {groups.matrix.shape} for {len(known)} materials"
        f" and {len(groups.labels)} groups",
    ):
        return found.conclude()
    labels = list(groups.labels)
    found.expect(
        len(set(labels)) == len(labels) and all(labels),
        "group names are unique",
        f"group names are not unique or empty: {sorted(labels)}",
    )
    found.expect(
        groups.matrix.dtype == np.bool_,
        "membership is yes or no",
        f"the matrix has type {groups.matrix.dtype}, not bool",
    )
    as_is = members(np.arange(len(known)))
    found.expect(_same(as_is, members(np.arange(len(known)))), "deterministic", "not deterministic")
    shuffled = np.random.default_rng(1).permutation(len(known))
    found.expect(
        _same(as_is, members(shuffled)),
        "the order of the materials does not matter",
        "groups depend on the order of the materials",
    )
    if not labels:
        found.remarks.append("no example crystal belongs to a group")
    whole = [label for label, rows in as_is.items() if rows.all()]
    if whole:
        found.remarks.append(f"groups that hold every example crystal: {', '.join(whole)}")
    return found.conclude()


def _groups(function: Callable[[Attributes], Any], known: Attributes) -> Groups:
    result = function(known)
    return result if isinstance(result, Groups) else groups_from_values(result)


def _same(a: dict[str, NDArray[np.bool_]], b: dict[str, NDArray[np.bool_]]) -> bool:
    return a.keys() == b.keys() and all(np.array_equal(a[label], b[label]) for label in a)


# -- representations ---------------------------------------------------------------------------


def check_representation(representation: str | Callable[[], Any]) -> Findings:
    """Check a representation: crystals -> one row of numbers each.

    Parameters
    ----------
    representation
        A name (``offmap ls representations`` or ``package.module:Class``), or the class itself.

    Raises
    ------
    AssertionError
        If offmap cannot use it; says why.
    """
    found = Findings(f"representation {_name(representation)!r}")
    factory = (
        load("representation", representation)
        if isinstance(representation, str)
        else representation
    )
    made = found.attempt("making it without arguments", factory)
    wanted = ("name", "version", "columns", "needs_structure", "blocks", "featurize")
    missing = [name for name in wanted if not hasattr(made, name)]
    if made is None or not found.expect(
        not missing, "has every attribute", f"has no {', '.join(missing)}"
    ):
        return found.conclude()
    columns = tuple(made.columns)
    found.expect(
        len(set(columns)) == len(columns) > 0, "column names are unique", "column names repeat"
    )
    stray = sorted({c for block in made.blocks.values() for c in block} - set(columns))
    found.expect(not stray, "blocks are made of columns", f"blocks name other columns: {stray}")
    crystals = example_crystals()
    features = found.attempt("featurize", lambda: made.featurize(crystals))
    if features is None or not _check_features(found, features, columns, len(crystals)):
        return found.conclude()
    _check_rows(found, made.featurize, crystals, features)
    if not made.needs_structure:
        bare = Crystals.from_formulas(crystals.formula.tolist(), crystals.material_id.tolist())
        found.attempt(
            "featurize without structures (needs_structure is False)", lambda: made.featurize(bare)
        )
    return found.conclude()


def _check_features(found: Findings, features: Any, columns: tuple[str, ...], n: int) -> bool:
    if not found.expect(
        isinstance(features, Features), "gives Features", f"gives a {type(features).__name__}"
    ):
        return False
    shape, dtype = features.values.shape, features.values.dtype
    whole = found.expect(
        shape == (n, len(columns)) and tuple(features.columns) == columns,
        "one row per crystal, one column per name",
        f"values have shape {shape} for {n} crystals and {len(columns)} columns",
    )
    found.expect(dtype == np.float64, "values are float64", f"values are {dtype}, not float64")
    if not whole:
        return False
    infinite = [
        c for c, bad in zip(columns, np.isinf(features.values).any(axis=0), strict=True) if bad
    ]
    found.expect(not infinite, "no value is infinite", f"infinite values in {infinite[:5]}")
    lost = set(np.flatnonzero(np.isnan(features.values).all(axis=1)).tolist())
    unexplained = sorted(lost - set(features.reasons))
    found.expect(
        not unexplained,
        "what cannot be described has a reason",
        f"rows of NaN without a reason: {unexplained[:5]}",
    )
    if features.reasons:
        why = next(iter(features.reasons.values()))
        found.remarks.append(f"{len(features.reasons)} of {n} example crystals: {why}")
    return True


def _check_rows(
    found: Findings, featurize: Callable[[Crystals], Features], crystals: Crystals, whole: Features
) -> None:
    """Each row follows from its crystal alone, and from nothing that is a choice of setting."""

    def same(values: Array, like: Array, tolerance: float) -> bool:
        scale = np.nanmax(np.abs(whole.values), axis=0, initial=1e-6)
        with np.errstate(invalid="ignore"):  # infinite values are told elsewhere
            return np.allclose(values / scale, like / scale, rtol=0, atol=tolerance, equal_nan=True)

    again = featurize(crystals).values
    found.expect(
        np.array_equal(again, whole.values, equal_nan=True), "deterministic", "not deterministic"
    )
    order = np.random.default_rng(1).permutation(len(crystals))
    moved = featurize(crystals.take(order)).values
    found.expect(
        same(moved, whole.values[order], 1e-9),
        "the order of the crystals does not matter",
        "values depend on the order of the crystals",
    )
    few = np.arange(0, len(crystals), 7)
    alone = np.concatenate(
        [featurize(crystals.take(few[i : i + 1])).values for i in range(len(few))]
    )
    found.expect(
        same(alone, whole.values[few], 1e-9),
        "a row follows from its own crystal",
        "values depend on the other crystals of the batch",
    )
    for what, changed in _same_crystals(crystals.take(few)).items():
        if not same(featurize(changed).values, whole.values[few], 1e-4):
            found.remarks.append(f"values change when {what}")


def _same_crystals(crystals: Crystals) -> dict[str, Crystals]:
    """The same crystals, written down in other ways."""
    turn = np.linalg.qr(np.random.default_rng(5).normal(size=(3, 3)))[0]
    turn *= np.sign(np.linalg.det(turn))
    return {
        "the crystal is turned": Crystals.from_list(
            c._replace(lattice=c.lattice @ turn) for c in crystals
        ),
        "the origin is moved": Crystals.from_list(
            c._replace(frac_coords=(c.frac_coords + np.array([0.13, 0.37, 0.71])) % 1)
            for c in crystals
        ),
        "sites are listed in another order": Crystals.from_list(
            c._replace(numbers=c.numbers[::-1], frac_coords=c.frac_coords[::-1]) for c in crystals
        ),
    }


# -- what is checked on ------------------------------------------------------------------------


def example_crystals() -> Crystals:
    """Give 72 binary crystals of three kinds: rock salt, caesium chloride, and a triclinic one."""
    halves = np.array([[0.0, 0, 0], [0.5, 0.5, 0.5]])
    low = np.array([[1.0, 0, 0], [0.11, 1.07, 0], [0.05, 0.13, 1.19]])
    prototypes = (
        (0.5 - 0.5 * np.eye(3), halves, 5.2),
        (np.eye(3), halves, 3.3),
        (low, np.array([[0.02, 0.01, 0.03], [0.48, 0.55, 0.53]]), 3.2),
    )
    crystals = []
    pairs = itertools.product("Li Na K Mg Ca Ti Fe Zn".split(), "O S Cl".split())
    for i, ((metal, anion), (cell, sites, size)) in enumerate(itertools.product(pairs, prototypes)):
        numbers = np.array([NUMBERS[metal], NUMBERS[anion]], dtype=np.uint8)
        lattice = cell * size * (1 + 0.004 * float(numbers.sum()) ** 0.5)
        crystals.append(Crystal(f"example-{i:02d}", lattice, numbers, sites))
    return Crystals.from_list(crystals)


def _name(given: Any) -> str:
    if isinstance(given, str):
        return given
    module = getattr(given, "__module__", type(given).__module__)
    return f"{module}:{getattr(given, '__qualname__', type(given).__qualname__)}"
