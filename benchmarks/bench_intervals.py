"""Measure whether intervals keep their coverage on tasks they have not seen, bin by bin.

Every finished task of a study in turn is audited with intervals made without it and without any
row of its materials. Over tasks of each verdict, over the elements alone, and by what was tried
besides: all verdicts pooled, and the forecast of the task as a whole as a further scale.

    python benchmarks/bench_intervals.py STUDY
"""

from __future__ import annotations

import argparse
from dataclasses import replace

import numpy as np
import pandas as pd

from offmap.columns import CRITERION, HELD_OUT, IN_DISTRIBUTION
from offmap.domain.conformal import NOMINAL, VERDICTS, Residuals, measured, trivial
from offmap.domain.experience import experience
from offmap.domain.finished import reopen
from offmap.domain.from_study import materials_of
from offmap.store import Store
from offmap.terminal import reporter, show_table


def main() -> None:
    """Print the tables."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("study")
    parser.add_argument("--nominal", type=float, default=NOMINAL)
    parser.add_argument("--jobs", type=int, default=1)
    given = parser.parse_args()
    store = Store.open(given.study)
    inputs = reopen(store, "", given.jobs, reporter())
    known = experience(store, inputs, "", given.jobs, reporter())
    tasks = materials_of(inputs, next(iter(inputs.features)))[1]
    shared, residuals = known.shared, known.residuals
    widest = trivial(inputs.y, given.nominal)
    print(f"no interval is wider than +/- {widest:.3g}, half of what holds {given.nominal:.0%}")
    chosen = tasks[CRITERION] != IN_DISTRIBUTION
    elements = np.flatnonzero(tasks[CRITERION] == "element")
    ways = {"by verdict": residuals, "all verdicts pooled": pooled(residuals)}
    forecast = scaled(store, tasks, residuals)
    if forecast is not None:
        ways["by verdict, times the forecast of the task"] = forecast
    for way, rows in ways.items():
        for which, these in (("tasks", np.flatnonzero(chosen)), ("elements", elements)):
            mine = np.isin(rows.task, these)
            for word, code in [*((word, i) for i, word in enumerate(VERDICTS)), ("all", -1)]:
                # The verdict on a task is that of its rows, however the intervals are made.
                wanted = mine & ((residuals.verdict == code) | (code < 0))
                if not wanted.any():
                    continue
                these_ones = np.unique(rows.task[wanted])
                table = measured(rows, shared, given.nominal, widest=widest, tasks=these_ones)
                print(f"\n{way}: {which}, {word}")
                show_table(table)


def pooled(residuals: Residuals) -> Residuals:
    """As if all tasks had the same verdict."""
    furthest = np.full_like(residuals.verdict, len(VERDICTS) - 1)
    return replace(residuals, verdict=furthest)


def scaled(store: Store, tasks: pd.DataFrame, residuals: Residuals) -> Residuals | None:
    """Expected errors times the task's forecast over their mean; None without the domain stage."""
    if not store.has_table("verdicts"):
        return None
    verdicts = store.read_table("verdicts").astype({CRITERION: str, HELD_OUT: str})
    forecast = verdicts.drop_duplicates([CRITERION, HELD_OUT]).set_index([CRITERION, HELD_OUT])
    mae = forecast["expected_mae"].reindex(pd.MultiIndex.from_frame(tasks[[CRITERION, HELD_OUT]]))
    mean = pd.Series(residuals.expected).groupby(residuals.task).transform("mean")
    factor = mae.to_numpy(float)[residuals.task] / mean.to_numpy(float)
    return replace(residuals, expected=residuals.expected * np.where(factor > 0, factor, 1.0))


if __name__ == "__main__":
    main()
