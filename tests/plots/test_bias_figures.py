"""Figures of the bias analysis: violins of its parts, and what labels mend."""

from __future__ import annotations

import numpy as np
import pandas as pd
import pytest

from offmap import plots
from tests.plots.test_figures import check


def _materials() -> pd.DataFrame:
    """Fluorides 0.5 too low by composition, oxides 0.2 too high by structure, one part constant."""
    rng = np.random.default_rng(0)
    parts = {"F": (-0.5, 0.0), "O": (0.0, 0.2), "<b>": (0.0, 0.0)}
    frames = []
    for name, (composition, structure) in parts.items():
        found = pd.DataFrame({"composition": composition + 0.05 * rng.normal(size=300)})
        found["structure"] = structure + 0.02 * rng.normal(size=300)
        if name == "<b>":
            found["structure"] = 0.0
        found["error"] = found["composition"] + found["structure"]
        frames.append(found.assign(criterion="element", held_out=name))
    return pd.concat(frames, ignore_index=True)


def test_violins_show_where_each_part_lies() -> None:
    figure = plots.bias_violins(_materials(), "eV")
    check(figure)
    frame = figure.frame
    assert frame.drop_duplicates("task")["held_out"].tolist() == ["O", "F", "<b>"]
    highest = frame.loc[frame.groupby(["held_out", "part"])["density"].idxmax()]
    peak = highest.set_index(["held_out", "part"])["x"]
    assert peak["F", "composition"] == pytest.approx(-0.5, abs=0.05)
    assert peak["O", "structure"] == pytest.approx(0.2, abs=0.02)
    mean = frame.drop_duplicates(["held_out", "part"]).set_index(["held_out", "part"])["mean"]
    assert mean["F", "composition"] == pytest.approx(-0.5, abs=0.02)
    assert frame["density"].between(0, 1).all()
    assert (highest["density"] == 1).all()
    within = frame[(frame["held_out"] == "O") & (frame["part"] == "composition")]["x"]
    assert -0.2 < within.min() < within.max() < 0.2


def test_violins_of_nothing() -> None:
    figure = plots.bias_violins(_materials().iloc[:0])
    check(figure)
    assert not len(figure.frame)


def _rescue() -> pd.DataFrame:
    rows = []
    for choice in ("random", "diverse"):
        for remedy, sizes in (("none", (0,)), ("offset", (5, 50)), ("retrain", (0, 5, 50))):
            for n in sizes:
                mae = 0.5 / (1 + n / 10)
                rows.append(
                    {"criterion": "element", "held_out": "F", "choice": choice, "remedy": remedy,
                     "n_labelled": n, "mae": mae, "mae_low": mae - 0.02, "mae_high": mae + 0.02,
                     "n_draws": 3, "mae_in_distribution": 0.1, "reached": "reached with 50"}
                )  # fmt: skip
    return pd.DataFrame(rows)


def test_rescue_curves_fall_from_the_untouched_error() -> None:
    figure = plots.rescue_curves(_rescue(), "element", "F", "random", "eV")
    check(figure)
    assert (figure.untouched, figure.inside) == (0.5, 0.1)
    assert set(figure.frame["choice"]) == {"random"}
    assert figure.frame["n_labelled"].min() == 5
    assert "offset reached with 50" in figure.alt
    names = [trace["name"] for trace in figure.plotly()["data"]]
    assert names == ["offset", "retrained"]
    check(plots.rescue_curves(_rescue(), "element", "nothing"))
