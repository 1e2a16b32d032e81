"""The words of the report, checked against numbers made for them."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pandas as pd
import pytest
import typer
from typer.core import TyperGroup

from offmap.cli import app
from offmap.plots.outcomes import task_scores
from offmap.report.advice import advise, after_offset, next_steps
from offmap.report.summary import Summary, summarise
from offmap.report.tables import Tables
from tests.report.planted import plant


def scores(rows: list[dict[str, object]]) -> pd.DataFrame:
    """Task rows with everything a summary reads; ``ratio`` has an interval of 10 % around it."""
    filled = []
    for row in rows:
        ratio = float(row.pop("ratio", 1.0))  # type: ignore[arg-type]
        mae, bias = 0.1 * ratio, float(row.pop("bias", 0.0))  # type: ignore[arg-type]
        base: dict[str, object] = {
            "dataset": "d", "target": "t", "representation": "r", "model": "m", "seed": 0,
            "criterion": "element", "held_out": "Fe", "n_train": 900, "n_test": 100,
            "mae": mae, "mae_low": 0.9 * mae, "mae_high": 1.1 * mae, "rmse": 1.25 * mae,
            "bias": bias, "bias_low": bias - 0.01, "bias_high": bias + 0.01,
            "mae_ratio": ratio, "mae_ratio_low": 0.9 * ratio, "mae_ratio_high": 1.1 * ratio,
            "r2": 0.95, "r2_in_distribution": 0.97, "pearson": 0.98, "mae_over_mad": 0.3,
            "mae_over_mad_low": 0.25,
        }  # fmt: skip
        filled.append(base | row)
    return task_scores(pd.DataFrame(filled))


REFERENCE = pd.DataFrame(
    [{"mae": 0.1, "mae_low": 0.09, "mae_high": 0.11, "r2": 0.97, "n_train": 800}]
)


def told(rows: list[dict[str, object]], reference: pd.DataFrame = REFERENCE) -> Summary:
    return summarise(scores(rows), reference, "eV/atom", "energy", "m")


def test_it_counts_holding_failing_and_undecided_tasks() -> None:
    rows = [
        {"held_out": h, "ratio": r} for h, r in zip("HCNOF", (1.0, 1.2, 2.0, 5.0, 4.0), strict=True)
    ]
    text = told(rows).text
    assert "Of 5 leave-one-out tasks that model m was tested on (target energy)" in text
    assert "2 (40 %) stay within 2 times the in-distribution error" in text
    assert "2 fail (40 %)" in text
    assert "1 (20 %) cannot be decided" in text
    assert "between 40 % and 60 % of the tasks hold" in text
    assert "the error is 2.0 times that in distribution" in text


def test_it_names_the_failing_tasks_worst_first_with_intervals_and_signed_bias() -> None:
    rows = [
        {"held_out": "O", "ratio": 3.0, "bias": -0.2},
        {"held_out": "F", "ratio": 5.0, "bias": 0.45},
    ]
    text = told(rows).text
    assert text.index("F (MAE 0.50 [0.45, 0.55] eV/atom, 5.0 [4.5, 5.5] times") < text.index(
        "O (MAE"
    )
    assert "bias +0.45 [0.44, 0.46] eV/atom" in text
    assert "bias −0.20 [−0.21, −0.19] eV/atom" in text
    assert "of 2 failing tasks, 1 is predicted too high on average and 1 too low" in text
    assert "In F and O the ranking survives" in text


def test_one_of_anything_is_singular() -> None:
    text = told([{"held_out": "F", "ratio": 5.0, "bias": 0.5}]).text
    assert "Of 1 leave-one-out task " in text
    assert "1 fails" in text
    assert "This one fails when held out: F" in text
    assert "of 1 failing task, 1 is predicted too high" in text


def test_it_says_that_nothing_fails() -> None:
    found = told([{"held_out": "F"}, {"held_out": "O"}])
    assert "No task fails" in found.text
    assert "0 fail" in found.text


def test_it_warns_where_r2_misleads_and_where_training_sets_are_small() -> None:
    rows = [
        {"held_out": "F", "r2": 0.5, "r2_in_distribution": 0.6},
        {"held_out": "O", "n_train": 300},
    ]
    cautions = " ".join(caution.striptags() for caution in told(rows).cautions)
    assert "R² alone misleads: F has R² below 0.9" in cautions
    assert "On 1 of 1 R² is below 0.9 in distribution too" in cautions
    assert "1 task was trained on fewer than 80 % of the 800 materials" in cautions
    assert "no domain analysis yet" in cautions


def test_a_poor_model_is_not_praised_for_holding() -> None:
    reference = REFERENCE.assign(r2=0.01)
    cautions = told([{"held_out": "F"}], reference).cautions
    assert any("poor in distribution already (R² 0.010)" in caution for caution in cautions)


def test_without_tasks_or_without_reference_it_says_so() -> None:
    empty = scores([{}]).iloc[:0]
    assert "No task of m is scored yet" in summarise(empty, REFERENCE.iloc[:0], series="m").text
    bare = scores([{"mae_ratio": np.nan, "mae_ratio_low": np.nan, "mae_ratio_high": np.nan}])
    text = summarise(bare, REFERENCE.iloc[:0], series="m").text
    assert "none has an in-distribution reference yet" in text


def test_without_intervals_the_ratio_decides() -> None:
    rows = scores([{"held_out": "F", "ratio": 2.1}, {"held_out": "O", "ratio": 1.9}])
    bare = rows.drop(columns=[c for c in rows if c.endswith(("_low", "_high"))])
    assert sorted(task_scores(bare)["outcome"]) == ["fails", "holds"]
    assert (
        "F (MAE 0.210 eV/atom, 2.10 times"
        in summarise(task_scores(bare), REFERENCE, "eV/atom").text
    )


def test_names_from_data_are_escaped() -> None:
    rows = scores([{"held_out": "<script>x</script>", "ratio": 5.0}])
    found = summarise(rows, REFERENCE, "<u>", "<t>", "<m>")
    words = "".join(found.paragraphs)
    assert "<script" not in words
    assert "&lt;script&gt;" in words
    assert not {"<u>", "<t>", "<m>"} & set(words.split())


def test_verdicts_are_told_once_they_exist() -> None:
    rows = scores([{"held_out": h} for h in "HFO"])
    rows["verdict"] = ["interpolation", "interpolation", "extrapolation"]
    text = summarise(rows, REFERENCE).text
    assert "calls 2 interpolation and 1 extrapolation" in text
    assert "33 % of the tasks test extrapolation at all; the model holds on 1 of these" in text
    assert "no domain analysis yet" not in text


def test_a_shift_can_be_mended_by_a_few_labels() -> None:
    rng = np.random.default_rng(0)
    bias, spread = 0.5, 0.1
    errors = bias + spread * rng.normal(size=(20_000, 11))
    rmse = float(np.sqrt((errors**2).mean()))
    mended = errors[:, 10] - errors[:, :10].mean(axis=1)
    assert after_offset(rmse, bias) == pytest.approx(np.sqrt((mended**2).mean()), rel=0.02)


def test_advice_tells_shifted_from_scattered() -> None:
    tasks = scores(
        [
            {"held_out": "F", "ratio": 5.0, "bias": 0.45},
            {"held_out": "H", "ratio": 5.0, "pearson": 0.2, "mae_over_mad_low": 1.3},
            {"held_out": "P", "ratio": 2.0},
            {"held_out": "S"},
        ]
    )
    advice = {item.title: item.body.striptags() for item in advise(tasks, "eV/atom")}
    assert advice["Measure a few and correct the offset"].startswith("F is ranked well")
    assert "For H the predictions" in advice["Do not trust these"]
    assert "On H the error exceeds" in advice["Worse than a constant"]
    assert "1 task cannot be decided" in advice["Undecided: get more test data"]
    assert "about 1.0 times" in advice["Where the model may be used"]


def test_the_next_commands_can_be_typed_as_they_stand(tmp_path: Path) -> None:
    store = plant(tmp_path / "study", 200, ("lgbm",), ("crystal_system",), min_size=20)
    commands = [command for command, _ in next_steps(Tables(store))]
    assert commands[-1] == "offmap run study/study.toml --model lgbm,dummy,knn --out study"
    root = typer.main.get_command(app)
    assert isinstance(root, TyperGroup)
    for command in commands:
        name, *arguments = command.split()[1:]
        given = root.commands[name].make_context(name, arguments).params
        assert given.get("file") in (None, Path("study/study.toml"))
