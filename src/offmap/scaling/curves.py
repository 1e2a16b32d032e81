"""Predictions to curves: the error on each test of each cell, at each size or after each round."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from offmap.columns import (
    CELL_KEYS,
    CRITERION,
    HELD_OUT,
    MATERIAL_ID,
    MODEL,
    N_TRAIN,
    REPRESENTATION,
    ROUND,
    SEED,
    Y_PRED,
    Y_TRUE,
)
from offmap.errors import OffmapError
from offmap.scaling.forecasts import Forecast, forecast, held_back
from offmap.scaling.verdicts import (
    IN_DOMAIN,
    INSIDE,
    OUT_OF_DOMAIN,
    OUTSIDE,
    SIZE,
    TIME,
    effect,
    verdict,
)

TEST = "test"

SCORES = ("n_test", "mae", "rmse", "r2", "bias")

# Fewer materials than this have no curve of their own.
_FEWEST = 20
# Only the end of a time curve is fitted: the first rounds are spent on the mean of the labels.
_LAST_ROUNDS = 30.0

Array = NDArray[np.float64]


class Sides:
    """Who is in the held-out group of each task, and who of them is out of the domain.

    Parameters
    ----------
    members
        The table ``members``: ``criterion``, ``held_out``, ``material_id``.
    domain
        The table ``domain``, if there is one: ``representation``, ``model``, ``criterion``,
        ``held_out``, ``material_id``, ``out_of_domain``.
    """

    def __init__(self, members: pd.DataFrame, domain: pd.DataFrame | None = None) -> None:
        self._groups = _by_task(members, [MATERIAL_ID])
        columns = [REPRESENTATION, MODEL, MATERIAL_ID, "out_of_domain"]
        self._domain = {} if domain is None else _by_task(domain, columns)

    def group(self, criterion: str, held_out: str) -> pd.Series:
        """Ids of the held-out materials."""
        return self._groups[criterion, held_out][MATERIAL_ID]

    def out_of_domain(
        self, criterion: str, held_out: str, representation: str, model: str
    ) -> pd.Series | None:
        """Ids of the held-out materials out of the domain; None where the domain is not known.

        Verdicts that were reached with the model itself come first, then those of the same
        representation.
        """
        known = self._domain.get((criterion, held_out))
        if known is None or not len(known):
            return None
        same = known[REPRESENTATION].astype(str) == representation
        mine = known[MODEL].astype(str) == model
        chosen = next(known[mask] for mask in (same & mine, mine, same, mine | True) if mask.any())
        first = chosen[REPRESENTATION].astype(str) == str(chosen[REPRESENTATION].iat[0])
        first &= chosen[MODEL].astype(str) == str(chosen[MODEL].iat[0])
        out: pd.Series = chosen.loc[first & chosen["out_of_domain"].astype(bool), MATERIAL_ID]
        return out

    def tests(
        self, ids: pd.Series, criterion: str, held_out: str, representation: str, model: str
    ) -> dict[str, NDArray[np.bool_]]:
        """Mask of each test among the materials that a cell predicted."""
        outside = ids.isin(self.group(criterion, held_out)).to_numpy()
        found = {INSIDE: ~outside, OUTSIDE: outside}
        out_ids = self.out_of_domain(criterion, held_out, representation, model)
        if out_ids is not None:
            out = ids.isin(out_ids).to_numpy()
            found |= {IN_DOMAIN: outside & ~out, OUT_OF_DOMAIN: outside & out}
        return {name: mask for name, mask in found.items() if mask.any()}


def curve(predictions: pd.DataFrame, sides: Sides) -> pd.DataFrame:
    """Scores of each cell on each of its tests.

    Parameters
    ----------
    predictions
        Of the cells of size curves, or the histories of those of time curves (with ``round``): the
        held-out group and the in-distribution test of each.
    sides
        Who is held out, and who of them is out of the domain.

    Returns
    -------
    DataFrame
        Keys of the cell (and ``round``), ``test``, ``n_test``, ``mae``, ``rmse``, ``r2``, ``bias``.
    """
    keys = [*CELL_KEYS, *([ROUND] if ROUND in predictions else [])]
    rows = []
    for key, part in predictions.groupby(keys, observed=True, sort=False):
        named = dict(zip(keys, key, strict=True))
        task = [str(named[k]) for k in (CRITERION, HELD_OUT, REPRESENTATION, MODEL)]
        y_true, y_pred = part[Y_TRUE].to_numpy(float), part[Y_PRED].to_numpy(float)
        for test, mask in sides.tests(part[MATERIAL_ID], *task).items():
            rows.append(named | {TEST: test} | _scores(y_true[mask], y_pred[mask]))
    return pd.DataFrame(rows, columns=[*keys, TEST, *SCORES])


def fitted(
    curves: pd.DataFrame, confidence: float = 0.95, n_bootstrap: int = 200
) -> tuple[pd.DataFrame, pd.DataFrame]:
    """Fit a law to each curve and say what the tests of a task say together.

    Parameters
    ----------
    curves
        What :func:`curve` gave.
    confidence, n_bootstrap
        Of the intervals.

    Returns
    -------
    laws : DataFrame
        One row per task, model and test: ``curve`` (``size`` or ``time``), ``law``, ``exponent``,
        ``mae_at_2x``, ``mae_at_10x`` with intervals; ``held_back``, what the smaller sizes
        foretell of ``mae_largest``, the error at the largest, with its interval, and whether it
        ``covers``; ``n_best``, the size or round of least error; ``effect`` and ``verdict``
        (against the in-distribution test). Curves with fewer than three sizes, or five errors in
        all, are left out.
    bands : DataFrame
        ``n``, ``mae``, ``mae_low``, ``mae_high`` of each law from the smallest size to ten times
        the largest.
    """
    over = ROUND if ROUND in curves else N_TRAIN
    kind = TIME if over == ROUND else SIZE
    task = [k for k in CELL_KEYS if k not in (SEED, N_TRAIN)]
    rows, bands = [], []
    for key, part in curves.groupby(task, observed=True, sort=False):
        named = dict(zip(task, key, strict=True)) | {"curve": kind}
        found = {
            str(test): one
            for test, mine in part.groupby(TEST, sort=False, observed=True)
            if (one := _law(mine, over, confidence, n_bootstrap)) is not None
        }
        for test, (law, check) in found.items():
            said = {"effect": effect(law.exponent), "verdict": ""}
            if test != INSIDE and INSIDE in found:
                inside = found[INSIDE][0].exponent
                said["verdict"] = verdict(inside, law.exponent, test, kind)
            rows.append(named | {TEST: test} | _columns(law) | check | said)
            band = {"n": law.n, "mae": law.error, "mae_low": law.low, "mae_high": law.high}
            bands.append(pd.DataFrame(named | {TEST: test} | band).sort_values("n"))
    empty = pd.DataFrame(columns=[*task, "curve", TEST])
    return pd.DataFrame(rows) if rows else empty, pd.concat(bands) if bands else empty


def wide(one: pd.DataFrame, over: str) -> tuple[Array, Array]:
    """Sizes, shape (n_sizes,), and MAE of each seed there, shape (n_seeds, n_sizes)."""
    table = one.pivot_table(index=SEED, columns=over, values="mae")
    n, errors = table.columns.to_numpy(np.float64), table.to_numpy(np.float64)
    kept = n > n.max() / _LAST_ROUNDS if over == ROUND and len(n) else np.ones(len(n), bool)
    return n[kept], errors[:, kept]


def _law(
    one: pd.DataFrame, over: str, confidence: float, n_bootstrap: int
) -> tuple[Forecast, dict[str, object]] | None:
    """The law of one curve, and how well its smaller sizes foretell the largest."""
    if one["n_test"].max() < _FEWEST:
        return None
    n, errors = wide(one, over)
    try:
        found = forecast(n, errors, confidence, n_bootstrap)
        told = held_back(n, errors, confidence, n_bootstrap) if over == N_TRAIN else None
    except OffmapError:
        return None
    value, low, high = told or (np.nan, np.nan, np.nan)
    mean = np.nanmean(errors, axis=0)
    largest = float(mean[-1])
    covers = None if told is None else bool(low <= largest <= high)
    check = {
        "n_best": float(n[mean.argmin()]),
        "mae_largest": largest,
        "held_back": value,
        "held_back_low": low,
    }
    return found, check | {"held_back_high": high, "covers": covers}


def _columns(found: Forecast) -> dict[str, object]:
    named = {"exponent": found.exponent, "mae_at_2x": found.at_2x, "mae_at_10x": found.at_10x}
    row: dict[str, object] = {"law": found.fit.law, "largest": found.fit.largest}
    for name, (value, low, high) in named.items():
        row |= {name: value, f"{name}_low": low, f"{name}_high": high}
    return row


def _scores(y_true: Array, y_pred: Array) -> dict[str, float]:
    """Scores that a curve shows; ranks, which cost more than all others, are not among them."""
    error = y_pred - y_true
    squares, spread = float((error**2).mean()), float(y_true.var())
    return {
        "n_test": len(error),
        "mae": float(np.abs(error).mean()),
        "rmse": squares**0.5,
        "r2": 1 - squares / spread if spread > 0 else float("nan"),
        "bias": float(error.mean()),
    }


def _by_task(table: pd.DataFrame, columns: Sequence[str]) -> dict[tuple[str, str], pd.DataFrame]:
    found = table.groupby([CRITERION, HELD_OUT], observed=True, sort=False)
    return {(str(c), str(h)): part[[*columns]] for (c, h), part in found}
