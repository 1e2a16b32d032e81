"""Exponents in words, and their distribution over tasks."""

from __future__ import annotations

import numpy as np
import pandas as pd
import pytest

from offmap.scaling.verdicts import (
    IN_DOMAIN,
    INSIDE,
    OUT_OF_DOMAIN,
    OUTSIDE,
    effect,
    exponents,
    verdict,
    with_domain,
)

FALLS = (-0.28, -0.31, -0.25)


@pytest.mark.parametrize(
    ("exponent", "said"),
    [
        ((-0.2, -0.25, -0.15), "helps"),
        ((-0.03, -0.05, -0.021), "helps"),
        ((0.0, -0.04, 0.05), "no help"),
        ((-0.01, -0.04, 0.01), "no help"),
        ((0.1, 0.03, 0.2), "worse"),
        ((-0.1, -0.4, 0.1), "not known"),
    ],
)
def test_an_exponent_says_what_more_does(exponent: tuple[float, float, float], said: str) -> None:
    assert effect(exponent) == said


def test_the_verdict_names_both_tests() -> None:
    said = verdict(FALLS, (0.02, -0.01, 0.05), OUT_OF_DOMAIN)
    assert said == (
        "in distribution -0.28 [-0.31, -0.25], out of domain +0.02 [-0.01, +0.05]:"
        " more of the same data will not help"
    )
    assert verdict(FALLS, (-0.05, -0.07, -0.03)).endswith("helps, but less than in distribution")
    assert verdict(FALLS, FALLS, curve="time").endswith("longer training will help")
    assert verdict(FALLS, (0.2, 0.1, 0.3), IN_DOMAIN, "time").endswith(
        "longer training makes it worse"
    )
    assert verdict(FALLS, (-0.1, -0.4, 0.1)).endswith("may or may not help")


def planted(n_tasks: int = 40) -> tuple[pd.DataFrame, pd.DataFrame]:
    """Half of the tasks interpolate and scale as in distribution; the others do not scale."""
    rng = np.random.default_rng(0)
    rows, verdicts = [], []
    for i in range(n_tasks):
        task = {"representation": "magpie", "model": "lgbm", "criterion": "element",
                "held_out": str(i)}  # fmt: skip
        out = i % 2 == 1
        verdicts.append(task | {"verdict": "extrapolation" if out else "interpolation"})
        for test, at in ((INSIDE, -0.3), (OUTSIDE, 0.05 if out else -0.28)):
            value = at + 0.03 * rng.normal()
            said = effect((value, value - 0.03, value + 0.03))
            rows.append(task | {"curve": "size", "test": test, "exponent": value, "effect": said})
    return pd.DataFrame(rows), pd.DataFrame(verdicts)


def test_interpolation_and_extrapolation_are_told_apart() -> None:
    laws, verdicts = planted()
    found = exponents(with_domain(laws, verdicts)).set_index(["domain", "test"])
    assert found.loc[("extrapolation", OUTSIDE), "median"] == pytest.approx(0.05, abs=0.03)
    assert found.loc[("interpolation", OUTSIDE), "median"] == pytest.approx(-0.28, abs=0.03)
    gap = found.loc[("extrapolation", OUTSIDE)]
    assert gap["gap_low"] > 0.25
    assert gap["gap_low"] <= gap["gap"] <= gap["gap_high"]
    assert found.loc[("all", OUTSIDE), "n_tasks"] == 40
    assert found.loc[("interpolation", OUTSIDE), "share_helps"] == 1.0
    shares = found.filter(like="share_").sum(axis=1)
    assert np.allclose(shares, 1)
    assert found.loc[("all", INSIDE), "gap"] == 0


def test_without_verdicts_all_tasks_are_one() -> None:
    laws, verdicts = planted(6)
    assert set(exponents(with_domain(laws, None))["domain"]) == {"all"}
    other = verdicts.assign(model="another")
    assert set(with_domain(laws, other)["domain"]) == {"interpolation", "extrapolation"}
