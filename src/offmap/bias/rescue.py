"""What mends a biased group: error on the rest of it after labelling a few of its materials."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Any

import numpy as np
import pandas as pd

from offmap.bias.case import Array, Case, Rows, Settings
from offmap.bias.choice import CHOICES, distance_to, standardised
from offmap.bias.remedies import REMEDIES
from offmap.scores import percentile_interval

SIZES = (5, 10, 20, 50, 100, 200, 500, 1000)
"""Labelled materials of the group."""

NOTHING, RETRAIN = "none", "retrain"

KEYS = ("choice", "remedy", "n_labelled")


@dataclass(frozen=True)
class Plan:
    """How a rescue is tried out.

    Parameters
    ----------
    sizes
        Numbers of labelled materials; those above half of the group are left out.
    n_draws
        Random halves of the group: one half may be labelled, the error is that of the other.
    n_retrained
        Draws for which models are retrained; it is what costs.
    own_model
        Retrain the model of the study; by default fast trees stand in for it.
    """

    sizes: tuple[int, ...] = SIZES
    n_draws: int = 10
    n_retrained: int = 3
    own_model: bool = False


def rescue(
    case: Case, settings: Settings, plan: Plan, reference: Array, make: Callable[[], Any]
) -> pd.DataFrame:
    """Try every remedy with every choice of materials on one task.

    In each draw half of the group is a pool that may be labelled and the other half is never
    touched. The error is told on that half (``mae``), the same for every number of labels and every
    choice, and on all that is not labelled (``mae_rest``). Only the former compares choices fairly:
    who labels the hardest materials first has easier ones left.

    Parameters
    ----------
    reference
        In-distribution predictions of all materials, shape (n,); NaN where unknown.
    make
        Makes the model that is retrained.

    Returns
    -------
    DataFrame
        One row per choice, remedy and number of labels: ``mae`` with the interval over draws,
        ``mae_rest``, ``n_draws``, ``mae_in_distribution`` over the same materials, and
        ``n_to_in_distribution`` with ``reached`` in words.
    """
    trial = _Trial(case, settings, plan, make)
    frame = pd.DataFrame([row for draw in range(plan.n_draws) for row in trial.draw(draw)])
    inside = np.abs(reference - case.y_true)
    for draw in range(plan.n_draws):
        _, untouched = trial.halves(draw)
        known = untouched[np.isfinite(inside[untouched])]
        level = float(inside[known].mean()) if len(known) else np.nan
        frame.loc[frame["draw"] == draw, "mae_in_distribution"] = level
    return _with_reach(_over_draws(frame, settings.confidence))


class _Trial:
    """One task on which remedies are tried, with what all draws share."""

    def __init__(self, case: Case, settings: Settings, plan: Plan, make: Callable[[], Any]) -> None:
        self._case, self._settings, self._plan, self._make = case, settings, plan, make
        self._Z = standardised(case.X, case.train)
        self._distance = np.full(len(case.y_true), np.nan)
        self._distance[case.test] = distance_to(self._Z[case.test], self._Z[case.train])
        none = np.empty(0, dtype=np.int64)
        self._without = self._retrained(none) if plan.n_retrained else none.astype(float)

    def halves(self, draw: int) -> tuple[Rows, Rows]:
        """A pool that may be labelled, and the rest of the group."""
        rng = np.random.default_rng([self._settings.seed, 5, draw])
        order = rng.permutation(self._case.test)
        half = len(order) // 2
        return np.sort(order[:half]), np.sort(order[half:])

    def draw(self, draw: int) -> Iterator[dict[str, Any]]:
        """Every choice, number of labels and remedy in one draw."""
        case, (pool, untouched) = self._case, self.halves(draw)
        for choice, order_of in CHOICES.items():
            rng = np.random.default_rng([self._settings.seed, 6, draw])
            order = order_of(pool, self._Z, self._distance, rng)
            for n in (0, *[n for n in self._plan.sizes if n <= len(pool)]):
                labelled = order[:n]
                mended = self._mended(labelled)
                if draw < self._plan.n_retrained:
                    mended[RETRAIN] = self._retrained(labelled) if n else self._without
                rest = np.setdiff1d(case.test, labelled)
                for remedy, y_pred in mended.items():
                    error = np.full(len(case.y_true), np.nan)
                    error[case.test] = np.abs(y_pred - case.y_true[case.test])
                    yield {
                        "draw": draw, "choice": choice, "remedy": remedy, "n_labelled": n,
                        "mae": float(error[untouched].mean()),
                        "mae_rest": float(error[rest].mean()),
                    }  # fmt: skip

    def _mended(self, labelled: Rows) -> dict[str, Array]:
        """Predictions of all test rows by each remedy that leaves the model as it is."""
        case, Z = self._case, self._Z
        y_pred = case.y_pred[case.test]
        if not len(labelled):
            return {NOTHING: y_pred}
        known = (case.y_true[labelled], case.y_pred[labelled], Z[labelled])
        return {name: mend(*known, y_pred, Z[case.test]) for name, mend in REMEDIES.items()}

    def _retrained(self, labelled: Rows) -> Array:
        """Predictions of all test rows by a model that was trained with the labelled ones."""
        case, model = self._case, self._make()
        rows = np.sort(np.concatenate([case.train, labelled]))
        model.fit(np.asarray(case.X_all[rows]), case.y_true[rows])
        return np.asarray(model.predict(np.asarray(case.X_all[case.test])), dtype=np.float64)


def _over_draws(frame: pd.DataFrame, confidence: float) -> pd.DataFrame:
    """Mean over draws, with the interval that holds the middle of them."""
    rows = []
    for keys, part in frame.groupby([*KEYS], sort=False):
        low, high = percentile_interval(part["mae"].to_numpy(), confidence)
        rows.append(
            dict(zip(KEYS, keys, strict=True))
            | {"mae": float(part["mae"].mean()), "mae_low": low, "mae_high": high}
            | {"mae_rest": float(part["mae_rest"].mean()), "n_draws": len(part)}
            | {"mae_in_distribution": float(part["mae_in_distribution"].mean())}
        )
    return pd.DataFrame(rows)


def _with_reach(frame: pd.DataFrame) -> pd.DataFrame:
    """Add the number of labels at which each remedy reaches the in-distribution error."""
    parts = []
    for _, part in frame.groupby(["choice", "remedy"], sort=False):
        inside = part[part["mae"] <= part["mae_in_distribution"]]["n_labelled"]
        n = int(inside.min()) if len(inside) else None
        words = f"not within {part['n_labelled'].max()}" if n is None else f"reached with {n}"
        if part["mae_in_distribution"].isna().all():
            words = "in-distribution error unknown"
        reach = pd.array([n] * len(part), dtype="Int64")
        parts.append(part.assign(n_to_in_distribution=reach, reached=words))
    return pd.concat(parts, ignore_index=True)
