"""Check a representation."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
from numpy.typing import NDArray

from offmap.crystals import Crystals
from offmap.registry import load
from offmap.representations.base import Features
from offmap.testing.examples import example_crystals
from offmap.testing.findings import Findings, name_of

Array = NDArray[np.float64]


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
    found = Findings(f"representation {name_of(representation)!r}")
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
