"""How much the verdict on a task moves when something is chosen otherwise."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pandas as pd

from offmap.columns import CRITERION, HELD_OUT
from offmap.domain.calibration import calibration_rows
from offmap.domain.chemistry import CHEMICAL, compositions_of, context_of
from offmap.domain.choices import (
    Verdict,
    expected_error,
    mean_standing,
    of_materials,
    otherwise,
    published,
    stability,
)
from offmap.domain.error_model import FEWEST_TASKS
from offmap.domain.experience import experience
from offmap.domain.from_study import materials_of, numbers_of, predictions
from offmap.domain.judge import Context
from offmap.domain.scoring import Materials, TaskScores
from offmap.domain.verdicts import verdict
from offmap.inputs import Inputs
from offmap.progress import Reporter, Silent
from offmap.store import Store
from offmap.tasks.random import random_order

SAMPLE = 8000
"""Materials on which the published procedure is repeated."""


def task_stability(
    store: Store,
    inputs: Inputs,
    name: str,
    jobs: int = 1,
    reporter: Reporter | None = None,
    n_sample: int = SAMPLE,
    with_published: bool = True,
) -> pd.DataFrame:
    """How far the coverage of one task depends on what could have been chosen otherwise.

    Parameters
    ----------
    store, inputs
        The study; the tables ``domain_stability`` and, with how stable the verdict on each
        material is, ``domain_stability_materials`` are written there.
    name
        The task, such as ``element/F``.
    n_sample
        Materials, drawn at random, on which the published procedure is repeated, for it takes a
        map each time; offmap is repeated on all of them, and on the same sample.

    Returns
    -------
    DataFrame
        ``task``, ``method`` (``offmap`` or ``published``), ``decided_by``, ``setting``,
        ``coverage``, ``n_materials``.

    Raises
    ------
    UnknownNameError
        If no kept task has this name.
    """
    reporter = reporter or Silent()
    materials, tasks = materials_of(inputs, next(iter(inputs.features)))
    task = numbers_of(tasks, [name])[0]
    ways = _ways(store, inputs, tasks, task, jobs, reporter)
    with reporter.step(f"Choose otherwise ({name})") as progress:
        found = list(otherwise(materials, task, verdicts=ways, progress=progress))
    parts = [stability(found, len(materials.y))]
    each = of_materials(found, inputs.material_id[materials.test[:, task]])
    store.write_table("domain_stability_materials", each.assign(task=name))
    sample = _sample(materials, task, n_sample, inputs)
    if len(sample.y) < len(materials.y):
        with reporter.step(f"The same on {len(sample.y):,} materials") as progress:
            again = otherwise(sample, 0, progress=progress)
            parts.append(stability(again, len(sample.y)))
    table = pd.concat(parts, ignore_index=True).assign(method="offmap")
    if with_published:
        with reporter.step(f"The published procedure on {len(sample.y):,}") as progress:
            other = published(sample, 0, progress=progress).assign(method="published")
        table = pd.concat([table, other], ignore_index=True)
    table.insert(0, "task", name)
    table = table[["task", "method", "decided_by", "setting", "coverage", "n_materials"]]
    store.write_table("domain_stability", table, csv=True)
    return table


def summary(table: pd.DataFrame) -> pd.DataFrame:
    """Range of the coverage, and the verdicts it gives, per method: a row for each.

    Returns
    -------
    DataFrame
        ``task``, ``method``, ``decided_by``, ``n_materials``, ``n_settings``, ``coverage`` of the
        default, ``least``, ``most``, ``verdicts``.
    """
    keys, rows = ["task", "method", "decided_by", "n_materials"], []
    for key, part in table.groupby(keys, sort=False):
        found = list(dict.fromkeys(verdict(share) for share in part["coverage"]))
        rows.append(
            dict(zip(keys, key, strict=True))
            | {
                "n_settings": len(part),
                "coverage": part["coverage"].iat[0],
                "least": part["coverage"].min(),
                "most": part["coverage"].max(),
                "verdicts": ", ".join(found),
            }
        )
    return pd.DataFrame(rows)


def _ways(
    store: Store, inputs: Inputs, tasks: pd.DataFrame, task: int, jobs: int, reporter: Reporter
) -> dict[str, Verdict]:
    """Ways to decide: with finished tasks, first by the expected error, as an audit does."""
    ways = {"mean_standing": mean_standing()}
    known = predictions(store, inputs, next(iter(inputs.features)), tasks)
    if not known or task not in known[0].y_pred or len(known[0].y_pred) <= FEWEST_TASKS + 1:
        return ways
    test = inputs.membership.test_rows(
        str(tasks[CRITERION].iat[task]), str(tasks[HELD_OUT].iat[task])
    )
    learned = experience(store, inputs, known[0].model, jobs, reporter).without(test)
    made_of, chemical = compositions_of(inputs), str(tasks[CRITERION].iat[task]) in CHEMICAL

    def about(scores: TaskScores) -> Context:
        y_pred = known[0].y_pred[task]
        return context_of(made_of, test, scores, y_pred, known[0].in_distribution, chemical)

    decide = expected_error(learned, known[0], inputs.y, inputs.study.seed, about)
    return {"expected_error": decide} | ways


def _sample(materials: Materials, task: int, n: int, inputs: Inputs) -> Materials:
    """Some of the materials, drawn by their ids, with one task."""
    ids = inputs.material_id.astype(str).tolist()
    rows = np.sort(random_order(ids, inputs.study.seed)[:n])
    mask = calibration_rows([ids[i] for i in rows], inputs.study.seed)
    return replace(
        materials, X=materials.X[rows], y=materials.y[rows],
        test=materials.test[rows][:, [task]], calibration=mask,
    )  # fmt: skip
