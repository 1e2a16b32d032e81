"""Risk against coverage: the error that is left when the materials furthest out are set aside."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from offmap.columns import CRITERION, IN_DISTRIBUTION
from offmap.domain.head_to_head import risk_coverage
from offmap.domain.judge import Judged
from offmap.domain.verdicts import Combined

Array = NDArray[np.float64]

SHARES = np.linspace(0.05, 1.0, 20)
"""Shares of a test set that are kept."""

IDEAL = "error itself"
"""The curve that no detector can beat."""


def risk_curves(
    judged: Sequence[Judged],
    combined: Mapping[int, Combined],
    expected: Mapping[int, Combined],
    criterion: Sequence[str],
) -> pd.DataFrame:
    """Mean absolute error of the materials furthest in, per detector and share of them.

    Parameters
    ----------
    judged
        Tasks.
    combined, expected
        Task -> mean standing, and expected error of its materials.
    criterion
        That of each task, by number.

    Returns
    -------
    DataFrame
        ``detector``, ``criterion`` (and ``all``), ``share_kept`` and ``mae``, the mean over tasks;
        ``area``, the mean of ``mae`` over the shares. Random folds are left out.
    """
    known = [j for j in judged if j.error is not None and np.isfinite(j.error).all()]
    known = [j for j in known if criterion[j.scores.task] != IN_DISTRIBUTION]
    parts = []
    for one in known:
        error, task = np.asarray(one.error), one.scores.task
        curves = {IDEAL: risk_at(error, error)}
        for i, name in enumerate(one.standings.names):
            curves[name] = risk_at(one.standings.test[:, i], error)
        for name, found in (("combined", combined), ("expected_error", expected)):
            if task in found:
                curves[name] = risk_at(found[task].score, error)
        part = pd.DataFrame(curves).assign(share_kept=SHARES)
        parts.append(part.assign(**{CRITERION: criterion[task]}))
    columns = ["detector", CRITERION, "share_kept", "mae", "area"]
    if not parts:
        return pd.DataFrame(columns=columns)
    each = pd.concat(parts).melt([CRITERION, "share_kept"], var_name="detector", value_name="mae")
    both = pd.concat([each.assign(**{CRITERION: "all"}), each])
    keys = ["detector", CRITERION, "share_kept"]
    mean = both.groupby(keys, sort=False)["mae"].mean().reset_index()
    area = mean.groupby(["detector", CRITERION], sort=False)["mae"].transform("mean")
    return mean.assign(area=area)[columns]


def risk_at(score: Array, error: Array) -> Array:
    """Mean absolute error of each of :data:`SHARES` of the materials, those furthest in first."""
    _, risk = risk_coverage(score, error)
    kept = np.maximum(np.ceil(SHARES * len(score) - 1e-9).astype(int), 1)
    found: Array = risk[kept - 1]
    return found
