"""What to do next, worked out from the numbers of one model."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np
import pandas as pd
from markupsafe import Markup

from offmap.columns import CRITERION, HELD_OUT, N_TEST
from offmap.plots.outcomes import FAILS, HOLDS, UNDECIDED, is_shifted
from offmap.plots.words import counted, number
from offmap.report.section import Section, render, task_link
from offmap.report.summary import links
from offmap.report.tables import Tables

# Labels with which an offset is estimated in the advice.
FEW = 10

_DESCRIBED = 5
_LISTED = 10
_BASELINES = ("dummy", "knn")


@dataclass(frozen=True)
class Advice:
    """One thing to do, and why."""

    title: str
    body: Markup


def section(tables: Tables) -> Section | None:
    """The chapter "What should I do?"."""
    if not len(tables.scored):
        return None
    advice = {s: list(advise(tables.tasks_of(s), tables.unit)) for s in tables.series}
    steps = list(next_steps(tables))
    return Section("advice", "", render("advice.html", advice=advice, steps=steps))


def advise(tasks: pd.DataFrame, unit: str = "") -> Iterator[Advice]:
    """Suggestions for one model.

    Parameters
    ----------
    tasks
        Its scored tasks.
    unit
        Unit of the target.
    """
    failing = tasks[tasks["outcome"] == FAILS]
    shifted = is_shifted(failing)
    if shifted.any():
        yield Advice("Measure a few and correct the offset", _offsets(failing[shifted], unit))
    scattered = failing[~shifted]
    if len(scattered):
        words = (
            "For {} the predictions are more than displaced: an offset would leave most of the"
            " error or a broken ranking ({}). Do not use this model there; label such materials"
            " and train on them, or try a representation that tells them apart."
        )
        body = Markup(words).format(links(scattered, _LISTED), _offset_effects(scattered, unit))
        yield Advice("Do not trust these", body)
    useless = _worse_than_mean(tasks)
    if len(useless):
        words = (
            "On {} the error exceeds that of guessing the mean label of the group (MAE / MAD > 1)."
        )
        yield Advice("Worse than a constant", Markup(words).format(links(useless, _LISTED)))
    undecided = tasks[tasks["outcome"] == UNDECIDED]
    if len(undecided):
        words = (
            "{} cannot be decided with the materials there are (median test set: {}): {}. More"
            " test materials would narrow the interval; more resamples would not."
        )
        n = counted(int(undecided[N_TEST].median()), "material")
        body = Markup(words).format(counted(len(undecided), "task"), n, links(undecided, _LISTED))
        yield Advice("Undecided: get more test data", body)
    holding = tasks[tasks["outcome"] == HOLDS]
    if len(holding):
        words = (
            "Where a task holds, expect about {} times the in-distribution error (worst: {}),"
            " provided your materials resemble those of the test set."
        )
        ratios = holding["mae_ratio"]
        body = Markup(words).format(number(ratios.median(), 2), number(ratios.max(), 2))
        yield Advice("Where the model may be used", body)


def after_offset(rmse: float, bias: float, n_labels: int = FEW) -> float:
    """RMSE that is left after subtracting a shift estimated from a few labels.

    The spread about the mean error is s² = rmse² - bias²; a mean over n labels is itself uncertain
    by s²/n, so that s √(1 + 1/n) is left.
    """
    spread = np.sqrt(max(rmse**2 - bias**2, 0.0))
    return float(spread * np.sqrt(1 + 1 / n_labels))


def next_steps(tables: Tables) -> Iterator[tuple[str, str]]:
    """Commands that would answer what is still open, and the question each answers."""
    folder = tables.store.folder.name
    if tables.verdicts is None:
        yield f"offmap domain {folder}", "Do the test sets lie outside the training data?"
    if tables.get("bias") is None:
        yield f"offmap bias {folder}", "Does the bias come from composition or from structure?"
    if tables.get("scaling") is None:
        yield f"offmap scaling {folder}", "Would more training data help?"
    if not set(_BASELINES) & set(tables.study.models):
        every = ",".join((*tables.study.models, *_BASELINES))
        command = f"offmap run {folder}/study.toml --model {every} --out {folder}"
        yield command, "Is the model better than a baseline?"


def _offset_effects(tasks: pd.DataFrame, unit: str) -> Markup:
    """What an offset would do to the worst of these tasks."""
    one = Markup("{task}: r {r}, RMSE {before} → about {after}")
    worst = tasks.nlargest(_DESCRIBED, "mae_ratio").to_dict("records")
    lines = [
        one.format(
            task=task_link(row[CRITERION], row[HELD_OUT]),
            r=number(row["pearson"], 2),
            before=number(row["rmse"], 2),
            after=f"{number(after_offset(row['rmse'], row['bias']), 2)} {unit}".strip(),
        )
        for row in worst
    ]
    return Markup("; ").join(lines)


def _offsets(shifted: pd.DataFrame, unit: str) -> Markup:
    words = (
        "{names} {are} ranked well but displaced as a whole. Label {few} materials of the group,"
        " subtract their mean error, and little but the scatter should be left: {lines}. This is"
        " an estimate from the scores, not a test: try it on labels that were not used for it."
    )
    return Markup(words).format(
        names=links(shifted, _LISTED),
        are="is" if len(shifted) == 1 else "are",
        few=FEW,
        lines=_offset_effects(shifted, unit),
    )


def _worse_than_mean(tasks: pd.DataFrame) -> pd.DataFrame:
    low = tasks.get("mae_over_mad_low")
    value = tasks["mae_over_mad"]
    bound = value if low is None else low.fillna(value)
    found: pd.DataFrame = tasks[bound > 1]
    return found
