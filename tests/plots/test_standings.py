"""The figure of an audit: what is drawn are the shares, and the same numbers give the same file."""

from __future__ import annotations

import numpy as np
import pytest

from offmap.plots.standings import standings


def test_shares_add_up_and_the_words_are_right() -> None:
    rng = np.random.default_rng(0)
    training, audited = rng.normal(0, 0.5, 400).tolist(), [0.5] * 30 + [3.0] * 70
    figure = standings(audited, training)
    assert figure.frame["audited"].sum() == pytest.approx(1)
    assert figure.frame["training"].sum() == pytest.approx(1)
    assert figure.alt.startswith("70\N{NO-BREAK SPACE}% of the audited")
    assert figure.svg() == standings(audited, training).svg()
    assert len(figure.plotly()["data"]) == 2


def test_one_material_can_be_drawn() -> None:
    assert standings([5.0], [0.0]).frame["audited"].sum() == pytest.approx(1)
