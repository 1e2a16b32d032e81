"""Why an audit came out as it did, in sentences; the weightiest first."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Mapping
from typing import Any

import numpy as np
import pandas as pd

from offmap.domain.calibration import FALSE_ALARMS
from offmap.domain.rehearsal import FEWEST, STAND_IN
from offmap.domain.verdicts import INTERPOLATION

TASKS = {"study": "finished tasks", "rehearsal": "groups left out of the training set"}
"""What expected errors are learned from, in words."""

# Share of test materials from which something is said of them as a whole.
_MANY = 0.1
# How many times the in-distribution error is too much for materials in domain.
_MUCH = 2.0


def reasons(
    numbers: Mapping[str, Any], materials: pd.DataFrame, unit: str, model: str = ""
) -> tuple[str, ...]:
    """Reasons for the verdict.

    Parameters
    ----------
    numbers, materials
        Of the :class:`~offmap.domain.audit_result.Audit`.
    unit
        Of the target.
    model
        Whose errors were made.
    """
    found = [*_place(numbers, materials), *_features(materials), *_split(numbers)]
    return (*found, *_errors(numbers, f" {unit}" if unit else "", model == STAND_IN))


def no_expected_error(study: bool, rehearse: bool) -> str:
    """Why there is none: with a study, with a rehearsal, or with neither."""
    if rehearse:
        return (
            f"no expected error: rehearsing takes {FEWEST} labelled training materials with ten "
            "groups that can be left out"
        )
    otherwise = "" if study else ", or with --rehearse from groups left out of the training set"
    return f"no expected error: that is learned from the finished tasks of a study{otherwise}"


def _place(numbers: Mapping[str, Any], materials: pd.DataFrame) -> Iterator[str]:
    out = 1 - float(numbers["coverage"])
    yield (
        f"{out:.0%} of the materials lie out of domain; of materials like the training set "
        f"{FALSE_ALARMS:.0%} would"
    )
    new = Counter(symbol for row in materials["new_elements"] for symbol in row)
    if new:
        total = sum(1 for row in materials["new_elements"] if row)
        names = ", ".join(f"{symbol} ({n:,})" for symbol, n in new.most_common(6))
        yield f"{total:,} materials contain elements that no training material has: {names}"
    if numbers["agreement"] < 0.6:
        yield (
            f"the detectors disagree: only {numbers['agreement']:.0%} of them side with the verdict"
            " on a material"
        )


def _features(materials: pd.DataFrame) -> Iterator[str]:
    out = materials[materials["verdict"] == "out_of_domain"]
    if len(out) < 1:
        return
    beyond = Counter(one["feature"] for row in out["outside"] for one in row if one["beyond_range"])
    if beyond and beyond.most_common(1)[0][1] >= _MANY * len(out):
        names = ", ".join(f"{name} ({n / len(out):.0%})" for name, n in beyond.most_common(3))
        yield f"features beyond the training range, of those out of domain: {names}"
    inside = Counter(
        one["feature"] for row in out["outside"] for one in row if not one["beyond_range"]
    )
    if inside and inside.most_common(1)[0][1] >= _MANY * len(out):
        names = ", ".join(f"{name} ({n / len(out):.0%})" for name, n in inside.most_common(3))
        yield f"features unlike those of the nearest training materials: {names}"


def _split(numbers: Mapping[str, Any]) -> Iterator[str]:
    if numbers["twins_formula"] >= _MANY:
        yield (
            f"{numbers['twins_formula']:.0%} of the materials have a formula that is in the "
            "training set too: the test is easier than its verdict says"
            if numbers["verdict"] != INTERPOLATION
            else f"{numbers['twins_formula']:.0%} of the materials have a formula that is in the "
            "training set too"
        )
    auc = numbers["two_sample_auc"]
    if np.isfinite(auc):
        how = "cannot" if auc < 0.6 else "can" if auc > 0.9 else "can partly"
        yield f"a classifier {how} tell the two sides apart (area {auc:.2f}); that alone is no harm"


def _errors(numbers: Mapping[str, Any], unit: str, of_stand_in: bool) -> Iterator[str]:
    if "expected_error" in numbers:
        yield (
            f"expected error {numbers['expected_error']:.3g}{unit}, of materials like the training "
            f"set {numbers['expected_error_in_distribution']:.3g}{unit}"
        )
    if "expected_error_check" in numbers:
        check = numbers["expected_error_check"]
        yield (
            f"that forecast, for {check['n_tasks']} {TASKS[numbers['learned_from']]}, each without "
            f"itself: within a factor of 1.5 for {check['within_factor_1.5']:.0%}, rank "
            f"correlation {check['rank_correlation']:.2f} with the error made"
        )
    if "mae" in numbers:
        parts = [
            f"{numbers[key]:.3g} {words}"
            for key, words in (("mae_in_domain", "in domain"), ("mae_out_of_domain", "out"))
            if np.isfinite(numbers[key])
        ]
        usual = numbers.get("mae_in_distribution", float("nan"))
        parts += [f"{usual:.3g} in distribution"] if np.isfinite(usual) else []
        who = "error that small trees made" if of_stand_in else "error made"
        yield f"{who}: {numbers['mae']:.3g}{unit} ({', '.join(parts)})"
        if numbers["mae_in_domain"] > _MUCH * usual:
            yield (
                f"materials in domain erred {numbers['mae_in_domain'] / usual:.1f} times as much as"
                " materials like the training set: the verdict does not see all that is missing"
            )
