"""What an audit found: a verdict with its reasons, one row per material, and the intervals."""

from __future__ import annotations

import json
from dataclasses import dataclass, field
from html import escape
from typing import Any

import numpy as np
import pandas as pd

from offmap.columns import MATERIAL_ID

# Materials that are shown where there is little room.
_SHOWN = 10


@dataclass(frozen=True, eq=False)
class Audit:
    """The result of :func:`offmap.audit`. In a notebook it shows itself.

    Parameters
    ----------
    verdict
        ``interpolation``, ``partial`` or ``extrapolation``.
    numbers
        ``coverage`` with ``coverage_low`` and ``coverage_high``, ``sure``, ``agreement``,
        ``n_train``, ``n_test``, ``n_calibration``, ``two_sample_auc``, ``twins_formula``,
        ``coverage_<detector>``, and where known ``expected_error``,
        ``expected_error_in_distribution``, ``expected_error_check``, ``mae``,
        ``mae_in_domain``, ``mae_out_of_domain``, ``mae_in_distribution``, ``auroc``;
        ``learned_from``, ``"study"`` or ``"rehearsal"``, is where expected errors come from.
    reasons
        Why, in sentences, the weightiest first.
    notes
        What the reader has to know about how it was done.
    materials
        One row per material, furthest out first: ``material_id``, ``formula``, ``verdict``
        (``in_domain`` or ``out_of_domain``), ``combined`` (1 is the threshold), ``n_out``,
        ``new_elements``, ``nearest`` and ``outside`` (lists), and where known ``expected_error``,
        ``y_pred``, ``y_true``, ``error``, ``interval_low``, ``interval_high``, ``bin``,
        ``no_interval`` (why there is none).
    bins
        Intervals per bin of the domain (:func:`offmap.domain.conformal.measured`), over finished
        tasks, or groups left out of the training set, with the same ``verdict``, with
        ``n_audited`` and ``interval_coverage_audited``; empty where there are no intervals.
    set_aside
        Materials that could not be used: ``material_id``, ``reason``.
    settings
        What was given, and the versions in use.
    calibration
        Standings of the held-out training materials that set the threshold.
    """

    verdict: str
    numbers: dict[str, Any]
    reasons: tuple[str, ...]
    notes: tuple[str, ...]
    materials: pd.DataFrame
    bins: pd.DataFrame
    set_aside: pd.DataFrame
    settings: dict[str, Any]
    calibration: list[float] = field(default_factory=list)

    @property
    def coverage(self) -> float:
        """Share of the materials that lie in the domain of the training set."""
        return float(self.numbers["coverage"])

    @property
    def unit(self) -> str:
        """Unit of the target."""
        return str(self.settings.get("unit", ""))

    @property
    def learned_from(self) -> str:
        """Where expected errors come from: ``"study"``, ``"rehearsal"``, or empty."""
        return str(self.numbers.get("learned_from", ""))

    def to_dict(self) -> dict[str, Any]:
        """Everything as plain values: the object that ``--json`` prints."""
        return {
            "verdict": self.verdict,
            **_plain(self.numbers),
            "reasons": list(self.reasons),
            "notes": list(self.notes),
            "settings": _plain(self.settings),
            "bins": _plain(self.bins.to_dict("records")),
            "set_aside": _plain(self.set_aside.to_dict("records")),
            "materials": _plain(self.materials.to_dict("records")),
        }

    def to_json(self) -> str:
        """The same as JSON; the same audit always gives the same text."""
        return json.dumps(self.to_dict(), indent=1, allow_nan=False, ensure_ascii=False)

    def table(self) -> pd.DataFrame:
        """``materials`` with lists in words, as it goes into a CSV file."""
        frame = self.materials.copy()
        frame["nearest"] = [_neighbours(found) for found in frame["nearest"]]
        frame["outside"] = [_features(found) for found in frame["outside"]]
        frame["new_elements"] = [" ".join(found) for found in frame["new_elements"]]
        return frame

    def headline(self) -> str:
        """The verdict in a sentence."""
        n = self.numbers
        sure = "" if n["sure"] else " (not sure: the interval allows another verdict)"
        return (
            f"{self.verdict}: {n['coverage']:.0%} of {n['n_test']:,} materials are in the domain of"
            f" {n['n_train']:,} training materials"
            f" [{n['coverage_low']:.0%}, {n['coverage_high']:.0%}]{sure}"
        )

    def short(self, most: int = _SHOWN) -> pd.DataFrame:
        """The materials furthest out, in the columns that fit a screen."""
        head = self.materials.head(most)
        frame = head[["material_id", "formula", "verdict"]].copy()
        frame["standing"] = head["combined"]
        for name in ("expected_error", "y_pred", "y_true"):
            if name in head:
                frame[name] = head[name]
        if "bin" in head:
            frame["+/-"] = (head["interval_high"] - head["interval_low"]) / 2
        first = [row[0] for row in head["nearest"]]
        frame["nearest"] = [f"{one['material_id']} {one['formula']}" for one in first]
        whys = zip(head["new_elements"], head["outside"], strict=True)
        frame["why"] = [_short_why(new, features) for new, features in whys]
        return frame

    def interval_table(self) -> pd.DataFrame:
        """``bins`` in the columns that fit a screen."""
        names = {
            "bin": "bin",
            "verdict": "of tasks that are",
            "n_tasks": "tasks",
            "nominal": "nominal",
            "interval_coverage": "measured",
            "interval_coverage_low": "low",
            "interval_coverage_high": "high",
            "interval_coverage_q10": "worst tenth",
            "half_width": "half-width",
            "abstained": "no interval",
            "n_audited": "audited",
            "interval_coverage_audited": "measured here",
        }
        found = [name for name in names if name in self.bins]
        return self.bins[found].rename(columns=names)

    def __str__(self) -> str:
        lines = [self.headline(), *(f"  - {reason}" for reason in self.reasons)]
        return "\n".join([*lines, *(f"  note: {note}" for note in self.notes)])

    def _repr_html_(self) -> str:
        items = "".join(f"<li>{escape(reason)}</li>" for reason in self.reasons)
        notes = "".join(f"<li>{escape(note)}</li>" for note in self.notes)
        parts = [f"<p><b>{escape(self.headline())}</b></p><ul>{items}</ul>"]
        parts += [f"<p>Notes</p><ul>{notes}</ul>"] if notes else []
        for title, frame in (("Intervals", self.interval_table()), ("Furthest out", self.short())):
            if len(frame):
                shown = frame.to_html(index=False, float_format=lambda v: f"{v:.3g}", na_rep="–")
                parts.append(f"<p>{title}</p>{shown}")
        return "\n".join(parts)


def _neighbours(found: list[dict[str, Any]]) -> str:
    return "; ".join(
        f"{one[MATERIAL_ID]} {one['formula']} ({one['distance']:.2g})" for one in found
    )


def _short_why(new: list[str], features: list[dict[str, Any]]) -> str:
    """The weightiest reason alone."""
    if new:
        return f"no {' or '.join(new)} in training"
    return feature_words(features[0]) if features else ""


def _features(found: list[dict[str, Any]]) -> str:
    return "; ".join(feature_words(one) for one in found)


def feature_words(one: dict[str, Any]) -> str:
    """One feature that puts a material outside, such as ``"density 22 (training 1.2 to 19)"``."""
    low, high, usual = one["train_low"], one["train_high"], one["neighbours"]
    if one["beyond_range"]:
        return f"{one['feature']} {one['value']:.3g} (training {low:.3g} to {high:.3g})"
    return f"{one['feature']} {one['value']:.3g} (nearest {usual:.3g})"


def _plain(value: Any) -> Any:
    """Plain JSON values; what is no finite number becomes None."""
    if isinstance(value, dict):
        return {str(k): _plain(v) for k, v in value.items()}
    if isinstance(value, (list, tuple)):
        return [_plain(v) for v in value]
    if isinstance(value, (bool, np.bool_)):
        return bool(value)
    if isinstance(value, (float, np.floating)):
        return float(f"{float(value):.6g}") if np.isfinite(value) else None
    return int(value) if isinstance(value, np.integer) else value
