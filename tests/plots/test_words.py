"""Numbers, names and colours as people read them."""

from __future__ import annotations

import math

import numpy as np
import pandas as pd
import pytest
from hypothesis import given
from hypothesis import strategies as st

from offmap.plots.base import to_json
from offmap.plots.outcomes import outcomes, task_scores
from offmap.plots.scales import Scale, ink_on, scale_of
from offmap.plots.words import (
    counted,
    estimate,
    fixed,
    in_order,
    listed,
    number,
    percent,
    plotly_text,
    short_name,
    signed,
    task_name,
)


@pytest.mark.parametrize(
    ("value", "text"),
    [
        (0.043211, "0.0432"), (12345, "12,345"), (1234.5, "1,234"), (-0.5, "−0.500"), (0.0, "0"),
        (math.nan, "–"), (None, "–"), (1e-9, "1.00e−09"), (math.inf, "–"), ("x", "–"),
    ],
)  # fmt: skip
def test_numbers(value: object, text: str) -> None:
    assert number(value) == text


@given(st.floats(allow_nan=True, allow_infinity=True))
def test_any_number_can_be_written(value: float) -> None:
    assert number(value)
    assert estimate(value, value, value)
    assert fixed(value, 3)
    assert percent(value)
    assert not fixed(value, 3).startswith("−0.000")


def test_estimates() -> None:
    assert estimate(0.994, 0.992, 0.996) == "0.994 [0.992, 0.996]"
    assert estimate(12.34, 10.1, 15.2) == "12 [10, 15]"
    assert estimate(0.5, math.nan, math.nan, "eV") == "0.500 eV"
    assert signed(0.25) == "+0.250"
    assert fixed(-0.0001, 3, sign=True) == "0.000"


def test_words() -> None:
    assert counted(1, "task") == "1 task"
    assert counted(2000, "task") == "2,000 tasks"
    assert listed(["a", "b", "c"]) == "a, b and c"
    assert task_name("space_group", "225") == "space group 225 (Fm-3m)"
    assert task_name("n_elements", "<=2") == "at most 2 elements"
    assert task_name("my.module:by_mass", "heavy") == "by mass heavy"
    assert short_name("space_group", "none") == "none"
    assert plotly_text("<b>&") == "&lt;b&gt;&amp;"


@given(st.text())
def test_json_in_a_page_cannot_end_its_element(text: str) -> None:
    found = to_json({text: text})
    assert "<" not in found
    assert "\u2028" not in found


def test_tasks_come_in_the_order_of_chemistry_and_symmetry() -> None:
    tasks = pd.DataFrame(
        [
            ("mine", "b"), ("space_group", "225"), ("space_group", "62"),
            ("crystal_system", "cubic"), ("crystal_system", "triclinic"),
            ("point_group", "m-3m"), ("point_group", "-1"),
            ("n_elements", ">2"), ("n_elements", "<=4"), ("element", "F"), ("element", "H"),
            ("group", "17"), ("group", "2"), ("mine", "a"),
        ],
        columns=["criterion", "held_out"],
    )  # fmt: skip
    assert in_order(tasks)["held_out"].tolist() == [
        "H", "F", "2", "17", "<=4", ">2", "triclinic", "cubic", "-1", "m-3m", "62", "225", "a", "b",
    ]  # fmt: skip


def test_outcomes_by_interval() -> None:
    frame = pd.DataFrame(
        [(1.0, 0.9, 2.0), (2.0, 1.9, 2.1), (2.5, 2.01, 3.0), (math.nan, 1.0, 1.0)],
        columns=["mae_ratio", "mae_ratio_low", "mae_ratio_high"],
    )
    assert outcomes(frame).tolist() == ["holds", "undecided", "fails", "unknown"]


def test_of_several_runs_of_a_task_the_fullest_is_shown() -> None:
    rows = [
        {"dataset": "d", "target": "t", "representation": r, "model": "m", "criterion": "element",
         "held_out": "F", "seed": s, "n_train": n}
        for r, s, n in [("a", 1, 100), ("a", 0, 100), ("a", 0, 50), ("b", 0, 100)]
    ]  # fmt: skip
    tasks = task_scores(pd.DataFrame(rows))
    assert tasks["series"].tolist() == ["m · a", "m · b"]
    assert tasks[["seed", "n_train"]].to_numpy().tolist() == [[0, 100], [0, 100]]


@pytest.mark.parametrize("metric", ["mae", "r2", "bias", "mae_ratio", "n_test", "coverage"])
def test_every_colour_lets_its_text_be_read(metric: str) -> None:
    scale = scale_of(metric, np.linspace(0.1, 5, 40))
    for colour in scale.hexes(np.linspace(-6, 6, 101)):
        assert _contrast(colour, ink_on(colour)) > 4.5


def _contrast(one: str, other: str) -> float:
    bright, dark = sorted((_luminance(one), _luminance(other)), reverse=True)
    return (bright + 0.05) / (dark + 0.05)


def _luminance(colour: str) -> float:
    channels = [int(colour[i : i + 2], 16) / 255 for i in (1, 3, 5)]
    linear = [c / 12.92 if c <= 0.03928 else ((c + 0.055) / 1.055) ** 2.4 for c in channels]
    return 0.2126 * linear[0] + 0.7152 * linear[1] + 0.0722 * linear[2]


def test_scales() -> None:
    scale = Scale(1.0, 4.0, "log")
    assert np.allclose(scale.place([0.5, 1, 2, 4, 9]), [0, 0, 0.5, 1, 1])
    assert scale.ticks() == [1, 2, 4]
    assert scale_of("mae", []).high > 0
    assert scale_of("bias", [math.nan]).low < 0
