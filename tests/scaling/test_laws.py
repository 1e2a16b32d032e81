"""Planted laws are recovered, and extrapolations keep their intervals."""

from __future__ import annotations

import numpy as np
import pytest

from offmap.errors import OffmapError
from offmap.scaling.forecasts import forecast, held_back
from offmap.scaling.laws import Fit, fit_law
from offmap.scaling.verdicts import verdict

N = np.geomspace(30, 40_000, 9)


def noisy(curve: np.ndarray, replicates: int, noise: float, seed: int) -> np.ndarray:
    rng = np.random.default_rng(seed)
    return curve * np.exp(noise * rng.normal(size=(replicates, len(curve))))


@pytest.mark.parametrize("exponent", [0.1, 0.28, 0.5])
def test_a_power_law_is_recovered(exponent: float) -> None:
    found = forecast(N, noisy(2 * N**-exponent, 5, 0.03, 1), n_bootstrap=60)
    assert found.fit.law == "power"
    value, low, high = found.exponent
    assert low <= -exponent <= high
    assert high - low < 0.1
    assert value == pytest.approx(-exponent, abs=0.03)


def test_a_floor_is_recovered() -> None:
    fit = fit_law(N, 3 * N**-0.6 + 0.08)
    assert fit.law == "floor"
    assert fit.predict(np.array([1e9]))[0] == pytest.approx(0.08, rel=0.05)
    assert abs(fit.exponent) < 0.3


def test_a_flat_curve_is_flat() -> None:
    found = forecast(N, noisy(np.full(9, 0.5), 5, 0.05, 2), n_bootstrap=60)
    assert found.fit.law == "flat"
    assert found.exponent[1] - 0.05 <= 0 <= found.exponent[2] + 0.05


def test_a_rising_curve_is_rising() -> None:
    found = forecast(N, noisy(0.2 * N**0.15, 5, 0.03, 3), n_bootstrap=60)
    assert found.fit.law == "rising"
    assert found.exponent[1] > 0


def test_a_break_is_recovered() -> None:
    fit = fit_law(N, 2 * N**-0.05 * (1 + N / 1000) ** (0.05 - 0.6))
    assert fit.law == "broken"
    assert fit.exponent == pytest.approx(-0.55, abs=0.06)


PLANTED = {
    "power": 2 * N**-0.3,
    "floor": 3 * N**-0.5 + 0.1,
    "flat": np.full(9, 0.4),
    "rising": 0.2 * N**0.1,
    "broken": 2 * N**-0.05 * (1 + N / 1000) ** -0.3,
}


@pytest.mark.parametrize("law", PLANTED)
def test_held_back_sizes_are_covered(law: str) -> None:
    covered = 0
    for seed in range(10):
        errors = noisy(PLANTED[law], 3, 0.05, seed)
        _, low, high = held_back(N, errors, n_bootstrap=60, seed=seed)
        covered += low <= errors[:, -1].mean() <= high
    assert covered >= 8


def test_twice_and_ten_times_the_data_are_foretold() -> None:
    curve = 2 * np.append(N, [2 * N[-1], 10 * N[-1]]) ** -0.3
    found = forecast(N, noisy(curve[:-2], 4, 0.03, 0), n_bootstrap=60)
    for (value, low, high), truth in zip((found.at_2x, found.at_10x), curve[-2:], strict=True):
        assert low <= truth <= high
        assert value == pytest.approx(truth, rel=0.15)
    assert (np.diff(found.error[:-1]) < 0).all()
    assert (found.low <= found.error).all()


def test_too_few_sizes_foretell_nothing() -> None:
    assert held_back(N[:3], noisy(PLANTED["power"][:3], 3, 0.05, 0)) is None


def test_three_sizes_are_needed() -> None:
    with pytest.raises(OffmapError, match="three different sizes"):
        fit_law(np.array([10.0, 100.0]), np.array([1.0, 0.5]))


def test_few_errors_do_not_pass_for_a_flat_law() -> None:
    with pytest.raises(OffmapError, match="5 errors"):
        fit_law(N[:4], 2 * N[:4] ** -0.3)
    # With noise that hides any slope, the interval says how little is known.
    found = forecast(N[:5], noisy(0.5 * N[:5] ** 0.0, 1, 0.5, 4), n_bootstrap=100)
    assert found.fit.law == "flat"
    assert found.exponent[2] - found.exponent[1] > 0.1


def test_the_verdict_is_in_words() -> None:
    inside = forecast(N, noisy(2 * N**-0.28, 4, 0.02, 5), n_bootstrap=40)
    outside = forecast(N, noisy(np.full(9, 0.6), 4, 0.02, 6), n_bootstrap=40)
    worse = forecast(N, noisy(0.2 * N**0.2, 4, 0.02, 7), n_bootstrap=40)
    assert verdict(inside.exponent, outside.exponent).endswith(
        "more of the same data will not help"
    )
    assert verdict(inside.exponent, worse.exponent).endswith("makes it worse")
    assert "will help" in verdict(inside.exponent, inside.exponent)


def test_a_fit_evaluates_its_law() -> None:
    fit = Fit("power", (0.0, 0.5), 100.0, 0.0, 1000.0)
    assert fit.predict(np.array([100.0, 400.0])).tolist() == pytest.approx([1.0, 0.5])
    assert fit.exponent == pytest.approx(-0.5)
