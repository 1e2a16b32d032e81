"""How tables look on a terminal: a line never runs over, and what is missing is said."""

from __future__ import annotations

from pathlib import Path

import pandas as pd
import pytest

from offmap.cli import views
from offmap.terminal import Lines, laid_out, show_table

TABLE = pd.DataFrame(
    {
        "task": ["element/F", "crystal_system/triclinic"],
        "n_test": [3842, 12],
        "mae": [0.80421, None],
        "sure": [True, False],
        "why": ["no F in training", "a long sentence that a narrow terminal has no room for"],
        "size": [38420.0, 7.0],
    }
)


@pytest.mark.parametrize("width", [60, 80, 120])
def test_no_line_is_wider_than_the_terminal(width: int) -> None:
    lines, n_columns = laid_out(TABLE, width)
    assert max(map(len, lines)) <= width
    assert n_columns == {60: 4, 80: 5, 120: 6}[width]


def test_in_a_pipe_nothing_is_cut() -> None:
    lines, n_columns = laid_out(TABLE)
    assert n_columns == 6
    assert lines[1].split() == "element/F 3842 0.8042 yes no F in training 38420".split()
    assert lines[2].startswith("crystal_system/triclinic      12       -  no ")
    assert "no room for" in lines[2]


def test_what_is_not_shown_is_said(
    capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("offmap.terminal._width", lambda: 40)
    show_table(TABLE, most=1)
    assert capsys.readouterr().out.endswith(
        "... and 1 more row and 2 more columns (--json has all)\n"
    )
    show_table(TABLE, most=1, whole=Path("study/table.csv"))
    printed = capsys.readouterr().out
    assert printed.endswith("... and 1 more row\nall rows and columns: study/table.csv\n")


def test_steps_that_had_nothing_to_do_are_no_news(capsys: pytest.CaptureFixture[str]) -> None:
    with Lines().step("Find symmetry"):
        pass
    with Lines().step("Report") as progress:
        progress(1, 1)
    assert capsys.readouterr().err.startswith("Report: done in ")


def test_a_view_has_the_task_as_a_flag_takes_it_and_intervals_beside_values() -> None:
    keys = {"criterion": ["element", "period"], "held_out": ["F", "2"], "model": ["rf", "rf"]}
    ratios = {"mae_ratio": [1.0, 3.0], "mae_ratio_low": [0.9, None], "mae_ratio_high": [1.1, None]}
    shown = views.scores(pd.DataFrame(keys | ratios))
    assert shown["task"].tolist() == ["period/2", "element/F"]
    assert shown["mae_ratio"].tolist() == ["3.00", "1.00 [0.90, 1.10]"]
    assert "model" not in shown  # there is but one


def test_sentences_are_those_of_the_tasks_that_were_asked_for() -> None:
    keys = {"criterion": ["element"] * 3, "held_out": list("FOH"), "model": ["rf"] * 3}
    frame = pd.DataFrame(keys | {"verdict": ["biased", "", "not biased"]})
    assert list(views.in_words(frame, "verdict", ["element/H"])) == ["element/H: not biased"]
    assert len(list(views.in_words(frame, "verdict"))) == 2
