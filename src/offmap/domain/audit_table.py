"""The table of an audit: a row per material, with its interval; and what intervals held."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from offmap.columns import FORMULA, MATERIAL_ID, Y_PRED, Y_TRUE
from offmap.domain import explain
from offmap.domain.audit_place import Place, Told
from offmap.domain.audit_split import Split
from offmap.domain.conformal import BINS, Intervals, intervals, measured, trivial
from offmap.domain.experience import Experience
from offmap.domain.judge import Judged
from offmap.domain.verdicts import Combined, verdict

Array = NDArray[np.float64]


@dataclass(frozen=True, eq=False)
class Found:
    """The verdicts: ``expected`` is None where no expected error is known."""

    judged: Judged
    combined: Combined
    expected: Combined | None
    standing: Array
    whole: bool


def materials_table(split: Split, where: Place, said: Told, found: Found) -> pd.DataFrame:
    """One row per material: its verdict, its nearest materials in training, what is unlike them."""
    learn = np.flatnonzero(~split.calibration)
    out, n = found.combined.out_of_domain, len(split.test)
    why = explain.outside(where.train, where.queries, np.flatnonzero(out), split.columns)
    frame = pd.DataFrame(
        {
            MATERIAL_ID: split.test.material_id,
            FORMULA: split.test.formula,
            "verdict": np.where(out, "out_of_domain", "in_domain"),
            "combined": found.standing,
            "n_out": (found.judged.standings.test > 1).sum(axis=1),
            "new_elements": explain.new_elements(split.test.has_element, split.train.has_element),
            "nearest": explain.nearest(
                where.train, where.queries, n,
                split.train.material_id[learn], split.train.formula[learn],
            ),
            "outside": [why.get(row, []) for row in range(n)],
        }
    )  # fmt: skip
    if found.expected is not None:
        frame["expected_error"] = found.expected.score
    for name, values in ((Y_PRED, said.y_pred), (Y_TRUE, said.y_true)):
        if np.isfinite(values).any():
            frame[name] = values
    if Y_PRED in frame and Y_TRUE in frame:
        frame["error"] = said.y_pred - said.y_true
    return frame


def add_intervals(
    materials: pd.DataFrame, learned: Experience, found: Found, split: Split, nominal: float
) -> pd.DataFrame:
    """Add the interval of each material; give what they held of tasks with the same verdict."""
    assert found.expected is not None
    assert split.train.y is not None
    residuals, widest = learned.residuals, trivial(split.train.y, nominal)
    made = intervals(residuals, found.standing, found.expected.score, nominal, widest)
    _put(materials, made)
    word = verdict(float((found.standing <= 1).mean()))
    like_it = residuals.tasks_that_are(word)
    bins = measured(residuals, learned.shared, nominal, widest=widest, tasks=like_it)
    return _with_audited(bins.assign(verdict=word), materials)


def _put(materials: pd.DataFrame, made: Intervals) -> None:
    materials["bin"] = [BINS[b] for b in made.bin]
    materials["interval_low"] = materials[Y_PRED] - made.half_width
    materials["interval_high"] = materials[Y_PRED] + made.half_width
    materials["no_interval"] = made.reason


def _with_audited(bins: pd.DataFrame, materials: pd.DataFrame) -> pd.DataFrame:
    """Add how many audited materials are in each bin and, with labels, how many are covered."""
    counts = materials["bin"].value_counts()
    bins["n_audited"] = [
        int(counts.get(b, len(materials) if b == "all" else 0)) for b in bins["bin"]
    ]
    if Y_TRUE in materials:
        half = (materials["interval_high"] - materials["interval_low"]) / 2
        known = half.notna() & materials["error"].notna()
        held = (materials["error"].abs() <= half)[known].astype(float)
        share = held.groupby(materials["bin"][known]).mean()
        share.loc["all"] = held.mean()
        bins["interval_coverage_audited"] = bins["bin"].map(share).to_numpy(float)
    return bins
