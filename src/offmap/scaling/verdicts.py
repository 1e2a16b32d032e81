"""What the laws of many curves say: in words for one task, as distributions over all of them."""

from __future__ import annotations

from typing import Any

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from offmap.columns import CRITERION, HELD_OUT, MODEL, REPRESENTATION
from offmap.scaling.forecasts import Interval

INSIDE, OUTSIDE = "in_distribution", "held_out"
IN_DOMAIN, OUT_OF_DOMAIN = "held_out_in_domain", "held_out_out_of_domain"

TEST_WORDS = {
    INSIDE: "in distribution",
    OUTSIDE: "held out",
    IN_DOMAIN: "held out, in domain",
    OUT_OF_DOMAIN: "held out, out of domain",
}
"""Name of a test to how it is called."""

SIZE, TIME = "size", "time"
_SUBJECT = {SIZE: "more of the same data", TIME: "longer training"}

# Ten times the data at these exponents: 5 % and 21 % less error.
_SLIGHT, _MODEST = 0.02, 0.10

HELPS, WORSE, NO_HELP, UNKNOWN = "helps", "worse", "no help", "not known"

ALL = "all"
"""``domain`` of the rows over all tasks."""


def effect(exponent: Interval) -> str:
    """What an exponent with its interval says: ``helps``, ``worse``, ``no help``, ``not known``.

    ``no help``: the interval holds 0 (to 0.02) and nothing below -0.10, which would be a fifth less
    error for ten times the data.
    """
    _, low, high = exponent
    if low > _SLIGHT:
        return WORSE
    if high < -_SLIGHT:
        return HELPS
    return NO_HELP if low > -_MODEST else UNKNOWN


def verdict(inside: Interval, outside: Interval, test: str = OUTSIDE, curve: str = SIZE) -> str:
    """Say in words whether more of the same will help.

    Parameters
    ----------
    inside, outside
        Exponents of the in-distribution test and of the other test, with intervals.
    test
        Which other test.
    curve
        ``size`` or ``time``.
    """
    said = (
        f"in distribution {_interval(inside)}, {TEST_WORDS.get(test, test).split(', ')[-1]}"
        f" {_interval(outside)}: {_SUBJECT[curve]}"
    )
    found = effect(outside)
    if found == HELPS:
        # Less than half the slope: the gap to the in-distribution error widens.
        less = outside[0] > inside[0] / 2
        return f"{said} helps, but less than in distribution" if less else f"{said} will help"
    if found == WORSE:
        return f"{said} makes it worse"
    return f"{said} will not help" if found == NO_HELP else f"{said} may or may not help"


def _interval(value: Interval) -> str:
    return f"{value[0]:+.2f} [{value[1]:+.2f}, {value[2]:+.2f}]"


def exponents(
    laws: pd.DataFrame, confidence: float = 0.95, n_bootstrap: int = 200, seed: int = 0
) -> pd.DataFrame:
    """Compare exponents over all tasks: tests beside each other, extrapolation beside the rest.

    Parameters
    ----------
    laws
        The table ``scaling_laws`` with ``domain``, the verdict on each task (:func:`with_domain`).
    confidence, n_bootstrap, seed
        Of the intervals of medians: tasks are drawn with replacement.

    Returns
    -------
    DataFrame
        One row per model, kind of curve, ``domain`` (``all``, ``interpolation``, ``partial``,
        ``extrapolation``) and test: ``n_tasks``; ``median`` exponent with its interval, ``q25``,
        ``q75``; ``gap``, the median over tasks of the exponent minus the in-distribution one of the
        same task, with its interval; and the share of tasks with each effect (``share_helps``,
        ``share_no_help``, ``share_worse``, ``share_not_known``).
    """
    rng = np.random.default_rng(seed)
    task = [REPRESENTATION, MODEL, "curve", CRITERION, HELD_OUT]
    inside = laws[laws["test"] == INSIDE].set_index(task)["exponent"]
    reference = inside.reindex(pd.MultiIndex.from_frame(laws[task])).to_numpy(float)
    known = laws.assign(gap=laws["exponent"].to_numpy(float) - reference)
    whole = pd.concat([known.assign(domain=ALL), known[known["domain"] != ""]])
    rows = []
    keys = [REPRESENTATION, MODEL, "curve", "domain", "test"]
    for key, part in whole.groupby(keys, sort=False):
        row: dict[str, Any] = dict(zip(keys, key, strict=True)) | {"n_tasks": len(part)}
        for name, column in (("median", "exponent"), ("gap", "gap")):
            row |= _median(name, part[column].to_numpy(float), confidence, n_bootstrap, rng)
        quartiles = np.quantile(part["exponent"], [0.25, 0.75])
        row |= {"q25": float(quartiles[0]), "q75": float(quartiles[1])}
        said = part["effect"].value_counts(normalize=True)
        shares = {f"share_{e.replace(' ', '_')}": e for e in (HELPS, NO_HELP, WORSE, UNKNOWN)}
        rows.append(row | {name: float(said.get(e, 0.0)) for name, e in shares.items()})
    return pd.DataFrame(rows)


def with_domain(laws: pd.DataFrame, verdicts: pd.DataFrame | None) -> pd.DataFrame:
    """Add the domain verdict of each task (column ``domain``); empty where there is none.

    Verdicts that were reached with the model itself come first, then those of any.
    """
    task = [CRITERION, HELD_OUT]
    keys = [REPRESENTATION, MODEL, *task]
    laws = laws.astype(dict.fromkeys(keys, str))
    if verdicts is None or not len(verdicts):
        return laws.assign(domain="")
    named = verdicts.astype({**dict.fromkeys(keys, str), "verdict": str})
    own = named.drop_duplicates(keys).set_index(keys)["verdict"]
    other = named.drop_duplicates(task).set_index(task)["verdict"]
    found = own.reindex(pd.MultiIndex.from_frame(laws[keys])).to_numpy(object)
    rest = other.reindex(pd.MultiIndex.from_frame(laws[task])).to_numpy(object)
    return laws.assign(
        domain=pd.Series(found, laws.index).fillna(pd.Series(rest, laws.index)).fillna("")
    )


def _median(
    name: str,
    values: NDArray[Any],
    confidence: float,
    n_bootstrap: int,
    rng: np.random.Generator,
) -> dict[str, float]:
    values = values[np.isfinite(values)]
    if not len(values):
        return dict.fromkeys((name, f"{name}_low", f"{name}_high"), float("nan"))
    drawn = np.median(rng.choice(values, (max(n_bootstrap, 1), len(values))), axis=1)
    tail = (1 - confidence) / 2
    low, high = np.quantile(drawn, [tail, 1 - tail])
    return {name: float(np.median(values)), f"{name}_low": float(low), f"{name}_high": float(high)}
