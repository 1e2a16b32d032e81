"""Every figure: valid for plotly, valid as SVG, with its numbers, in words, empty or full."""

from __future__ import annotations

import io
import json
from collections.abc import Callable
from xml.etree import ElementTree

import numpy as np
import pandas as pd
import plotly.graph_objects as go
import pytest

from offmap import plots
from offmap.plots.base import Figure, plain, to_json
from tests.report.planted import SCRIPT, materials


def scores() -> pd.DataFrame:
    """Scores of two models over tasks of every criterion; F fails, and is shifted."""
    groups = {
        "element": ["F", "H", "O", "Fe"],
        "group": ["17", "1", "2"],
        "space_group": ["225", "62", "2"],
        "n_elements": [">3", "<=2"],
        "mine:odd": [SCRIPT, "$x^2$"],
    }
    rows = []
    for model in ("lgbm", "rf"):
        for criterion, names in groups.items():
            for i, name in enumerate(names):
                ratio = 6.0 if name == "F" else 1.0 + 0.4 * i
                row = {
                    "model": model, "criterion": criterion, "held_out": name, "mae_ratio": ratio,
                    "mae": 0.1 * ratio, "rmse": 0.12 * ratio, "r2": 0.9 - 0.3 * i, "bias": 0.02 * i,
                    "pearson": 0.95, "n_test": 100 + i, "mae_in_distribution": 0.1,
                    "r2_in_distribution": 0.95, "bias_in_distribution": 0.0,
                }  # fmt: skip
                for metric in ("mae_ratio", "mae", "r2", "bias"):
                    row |= {
                        f"{metric}_low": row[metric] - 0.05,
                        f"{metric}_high": row[metric] + 0.05,
                    }
                rows.append(row)
    fixed = {"dataset": "d", "target": "t", "representation": "r", "seed": 0, "n_train": 900}
    return pd.DataFrame(rows).assign(**fixed)


def predictions(n: int) -> pd.DataFrame:
    """Predictions with one wild error and a formula that is a script."""
    frame = materials(n).rename(columns={"e_form": "y_true"})
    noise = np.random.default_rng(0).normal(0, 0.1, n)
    frame = frame.assign(y_pred=frame["y_true"] + noise)
    frame.loc[0, ["formula", "y_pred"]] = [SCRIPT, 50.0]
    return frame


def verdicts() -> pd.DataFrame:
    return scores()[["criterion", "held_out"]].drop_duplicates().assign(coverage=0.5)


MAKERS: dict[str, Callable[[pd.DataFrame], Figure]] = {
    "overview": lambda s: plots.overview(s, "eV"),
    "shifts": lambda s: plots.shifts(s, "eV"),
    "coverages": lambda s: plots.coverages(s, verdicts(), "eV"),
    "models": lambda s: plots.model_against_model(s, "lgbm", "rf", unit="eV"),
    "map": lambda s: plots.periodic_table(s, "mae_ratio", "eV"),
    "map of bias": lambda s: plots.periodic_table(s, "bias", "eV"),
    "map of n": lambda s: plots.periodic_table(s, "n_test", "eV"),
    "map of coverage": lambda s: plots.periodic_table(s, "coverage", "eV", verdicts=verdicts()),
    "bars of ratio": lambda s: plots.criterion_bars(s, "group", "mae_ratio", "eV"),
    "bars of R2": lambda s: plots.criterion_bars(s, "space_group", "r2", "eV"),
    "bars of bias": lambda s: plots.criterion_bars(s, "mine:odd", "bias", "eV"),
}


def check(figure: Figure) -> None:
    """What holds for every figure."""
    go.Figure(figure.plotly())  # raises if plotly knows no such attribute
    svg = figure.svg()
    ElementTree.fromstring(svg)
    assert figure.svg() == svg
    assert len(pd.read_csv(io.StringIO(figure.csv()))) == len(figure.frame)
    assert figure.title
    assert figure.alt.endswith(".")
    shown_traces = [t | {"customdata": None} for t in figure.plotly()["data"]]  # only for clicks
    text = json.dumps(plain([shown_traces, figure.plotly()["layout"]])) + svg
    assert "<script" not in text
    assert json.loads(to_json(figure.payload()))["columns"] == [str(c) for c in figure.frame]
    shown = figure._repr_mimebundle_()
    assert {"image/svg+xml", "text/plain", "application/vnd.plotly.v1+json"} == set(shown)


@pytest.mark.parametrize("name", MAKERS)
def test_figures_of_tasks(name: str) -> None:
    figure = MAKERS[name](scores())
    check(figure)
    assert len(figure.frame)


@pytest.mark.parametrize("name", MAKERS)
def test_figures_without_tasks(name: str) -> None:
    figure = MAKERS[name](scores().iloc[:0])
    check(figure)
    assert not len(figure.frame)


def test_parts_of_the_bias_add_up() -> None:
    rows = [
        {"criterion": "element", "held_out": name, "bias": total, "bias_composition": 0.2,
         "bias_structure": -0.1, "share_composition": 2 / 3}
        for name, total in [("O", 0.3), ("F", -0.5), ("<b>", 0.0)]
    ]  # fmt: skip
    figure = plots.bias_parts(pd.DataFrame(rows), "eV")
    check(figure)
    frame = figure.frame
    assert frame["held_out"].tolist() == ["O", "F", "<b>"]
    assert np.allclose(frame[["composition", "structure", "rest"]].sum(axis=1), frame["bias"])
    check(plots.bias_parts(pd.DataFrame(rows).drop(columns="share_composition")))


def test_size_curves_are_means_over_seeds() -> None:
    rows = [
        {"criterion": "element", "held_out": "F", "test": test, "n_train": n, "seed": seed,
         "mae": mae + 0.01 * seed}
        for test, mae in (("in_distribution", 0.1), ("held_out", 0.4), ("held_out_in_domain", 0.3))
        for n in (100, 1000)
        for seed in (0, 1, 2)
    ]  # fmt: skip
    figure = plots.size_curves(pd.DataFrame(rows), "element", "F", "eV")
    check(figure)
    first = figure.frame.set_index(["test", "n_train"]).loc[("held_out", 100)]
    assert first[["mae", "mae_low", "mae_high", "n_seeds"]].tolist() == pytest.approx(
        [0.41, 0.40, 0.42, 3]
    )
    check(plots.size_curves(pd.DataFrame(rows), "element", "nothing", "eV"))


@pytest.mark.parametrize("n", [1, 50, 900])
def test_parity_and_errors(n: int) -> None:
    frame = predictions(n)
    figure = plots.parity(frame, "eV")
    check(figure)
    check(plots.error_distribution(frame, frame.iloc[: n // 2], "eV"))
    assert "1 material outside the axes" in figure.caption
    assert ("bins" in figure.caption) == (n > 400)


def test_a_density_counts_every_material_on_the_axes() -> None:
    figure = plots.parity(predictions(900), "eV")
    assert figure.frame["count"].sum() == 899
    trace = figure.plotly()["data"][0]
    assert np.nansum(np.array(trace["text"], dtype=float)) == 899
    packed = figure.payload()
    assert sum(packed["bins"][2::3]) == 899
    assert max(packed["bins"][0::3] + packed["bins"][1::3]) < packed["grid"]["n"]
    assert len(json.dumps(packed)) < 12_000
    worst = figure.frame[figure.frame["count"] == 0]
    assert len(worst) == 10
    assert SCRIPT not in set(worst["formula"])  # outside the axes, so it has no ring


def test_error_shares_sum_to_one() -> None:
    frame = predictions(300).iloc[1:]
    shares = plots.error_distribution(frame, frame, "eV").frame
    assert shares["held_out_share"].sum() == pytest.approx(1, abs=0.02)
    assert np.allclose(shares["held_out_share"], shares["in_distribution_share"])


def test_the_map_tells_values_and_reasons_and_marks_failures() -> None:
    tasks = pd.DataFrame(
        [("element", "Au", 12, 9, False, "fewer than 200 test materials")],
        columns=["criterion", "held_out", "n_train", "n_test", "kept", "reason"],
    )
    figure = plots.periodic_table(scores(), "mae_ratio", "eV", tasks)
    assert figure.tiles["F"]["mark"] == "✕"
    assert figure.tiles["F"]["says"].startswith(
        "F: MAE ratio 6.00 [5.95, 6.05]; 100 materials; fails"
    )
    assert figure.tiles["Au"]["says"] == "Au: 9 materials; fewer than 200 test materials"
    assert figure.tiles["U"]["says"] == "U: not in the data"
    assert figure.html().count('class="tile"') == 118
    assert 'href="#task=element/F"' in figure.html()
    dark = int(figure.tiles["F"]["colour"][1:3], 16)
    assert dark < int(figure.tiles["H"]["colour"][1:3], 16)


def test_bars_cut_extremes_and_say_so() -> None:
    wild = scores()
    wild.loc[(wild["held_out"] == "62"), ["r2", "r2_low", "r2_high"]] = [-40.0, -50.0, -30.0]
    figure = plots.criterion_bars(wild, "space_group", "r2", "eV")
    notes = [note["text"] for note in figure.plotly()["layout"]["annotations"]]
    assert notes == ["◂ −40.0"]
    assert figure.frame["label"].tolist() == ["2 (P-1)", "62 (Pnma)", "225 (Fm-3m)"]


def test_well_ordered_but_displaced_tasks_are_named() -> None:
    shifted = scores()
    shifted.loc[shifted["held_out"] == "F", "bias"] = 0.55
    assert "1 are well ordered but shifted: F." in plots.shifts(shifted, "eV").alt


def test_the_other_model_can_be_shown() -> None:
    changed = scores()
    changed.loc[changed["model"] == "rf", "mae_ratio"] = 1.0
    frame = plots.overview(changed, series="rf").frame
    assert (frame["mae_ratio"] == 1.0).all()
    assert frame["criterion"].tolist()[:4] == ["element"] * 4


def test_names_beside_marks_do_not_cover_each_other() -> None:
    made = scores().query("model == 'lgbm' and criterion == 'element'")
    ratios = [3.0, 5.0, 7.0, 4.0]
    made = made.assign(mae=1.0, mae_ratio=ratios, mae_ratio_low=ratios, mae_ratio_high=ratios)
    made = made.assign(pearson=[0.95, 0.95, 0.5, 0.5], bias=[0.8, 0.8, 0.1, 0.9])
    frame = plots.shifts(made, "eV").frame
    named = frame.loc[frame["named"] != "", "held_out"]
    assert set(named) == {"H", "O", "Fe"}  # F lies where H lies, and H is worse
