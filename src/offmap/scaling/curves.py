"""Error against training size, on both tests of each cell."""

from __future__ import annotations

import numpy as np
import pandas as pd

from offmap.columns import (
    CELL_KEYS,
    CRITERION,
    HELD_OUT,
    MATERIAL_ID,
    N_TRAIN,
    Y_PRED,
    Y_TRUE,
)
from offmap.errors import OffmapError
from offmap.scaling.laws import Forecast, forecast, verdict
from offmap.scores import scores

TEST = "test"
INSIDE, OUTSIDE = "in_distribution", "held_out"
IN_DOMAIN, OUT_OF_DOMAIN = "held_out_in_domain", "held_out_out_of_domain"

_SCORES = ("n_test", "mae", "rmse", "r2", "bias")


def curve(
    predictions: pd.DataFrame, members: pd.DataFrame, domain: pd.DataFrame | None = None
) -> pd.DataFrame:
    """Scores of each cell on each of its tests.

    Parameters
    ----------
    predictions
        Of the cells of the size curves: the held-out group and the in-distribution test of each.
    members
        The test side of each task: ``criterion``, ``held_out``, ``material_id``.
    domain
        Verdicts per material (``criterion``, ``held_out``, ``material_id``, ``out_of_domain``): the
        group is then scored in and out of the domain as well.

    Returns
    -------
    DataFrame
        Keys of the cell, ``test``, ``n_test``, ``mae``, ``rmse``, ``r2``, ``bias``.
    """
    rows = []
    task_of = members.groupby([CRITERION, HELD_OUT], observed=True)[MATERIAL_ID]
    groups = {key: set(ids) for key, ids in task_of}
    outs = _out_of_domain(domain)
    for key, part in predictions.groupby([*CELL_KEYS], observed=True, sort=False):
        named = dict(zip(CELL_KEYS, key, strict=True))
        task = (named[CRITERION], named[HELD_OUT])
        ids = part[MATERIAL_ID]
        held_out = ids.isin(groups[task]).to_numpy()
        tests = {INSIDE: ~held_out, OUTSIDE: held_out}
        if task in outs:
            out = ids.isin(outs[task]).to_numpy()
            tests |= {IN_DOMAIN: held_out & ~out, OUT_OF_DOMAIN: held_out & out}
        y_true, y_pred = part[Y_TRUE].to_numpy(float), part[Y_PRED].to_numpy(float)
        for name, chosen in tests.items():
            if chosen.any():
                found = scores(y_true[chosen], y_pred[chosen])
                rows.append(named | {TEST: name} | {s: found[s] for s in _SCORES})
    return pd.DataFrame(rows, columns=None if rows else [*CELL_KEYS, TEST, *_SCORES])


def laws(curves: pd.DataFrame, confidence: float = 0.95, n_bootstrap: int = 200) -> pd.DataFrame:
    """Fit a law to each curve and say what the two tests of a task say together.

    Parameters
    ----------
    curves
        What :func:`curve` gave.
    confidence, n_bootstrap
        Of the intervals.

    Returns
    -------
    DataFrame
        One row per task, model and test: ``law``, ``exponent``, ``mae_at_2x``, ``mae_at_10x`` with
        intervals, and ``verdict`` (of the held-out test against the in-distribution one). Curves
        with fewer than three sizes are left out.
    """
    task = [k for k in CELL_KEYS if k not in ("seed", N_TRAIN)]
    rows = []
    for key, part in curves.groupby(task, observed=True, sort=False):
        found: dict[str, Forecast] = {}
        for name, one in part.groupby(TEST, sort=False):
            try:
                found[str(name)] = _forecast(one, confidence, n_bootstrap)
            except OffmapError:
                continue
        for name, one_found in found.items():
            row = dict(zip(task, key, strict=True)) | {TEST: name}
            row |= _columns(one_found)
            if name != INSIDE and INSIDE in found:
                row["verdict"] = verdict(found[INSIDE], one_found)
            rows.append(row)
    return pd.DataFrame(rows)


def _forecast(one: pd.DataFrame, confidence: float, n_bootstrap: int) -> Forecast:
    wide = one.pivot_table(index="seed", columns=N_TRAIN, values="mae")
    sizes = wide.columns.to_numpy(dtype=np.float64)
    return forecast(sizes, wide.to_numpy(dtype=np.float64), confidence, n_bootstrap)


def _columns(found: Forecast) -> dict[str, object]:
    named = {"exponent": found.exponent, "mae_at_2x": found.at_2x, "mae_at_10x": found.at_10x}
    row: dict[str, object] = {"law": found.fit.law}
    for name, (value, low, high) in named.items():
        row |= {name: value, f"{name}_low": low, f"{name}_high": high}
    return row


def _out_of_domain(domain: pd.DataFrame | None) -> dict[tuple[str, str], set[str]]:
    if domain is None:
        return {}
    out = domain[domain["out_of_domain"].to_numpy(bool)]
    return {
        (str(key[0]), str(key[1])): set(part[MATERIAL_ID])
        for key, part in out.groupby([CRITERION, HELD_OUT], observed=False)
    }
