"""What can be said of a split before any model is trained."""

from __future__ import annotations

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from offmap.columns import (
    CHEMICAL_SYSTEM,
    CRITERION,
    FORMULA,
    HELD_OUT,
    IN_DISTRIBUTION,
    SPACE_GROUP,
)
from offmap.domain.calibration import FALSE_ALARMS
from offmap.domain.detectors import DETECTORS, SIGNALS
from offmap.domain.from_study import materials_of
from offmap.domain.scoring import TaskScores, score_tasks
from offmap.domain.verdicts import Combined, Standings, task_verdict
from offmap.inputs import Inputs
from offmap.progress import Reporter, Silent

_QUANTILES = (0.1, 0.5, 0.9)


def before_training(
    inputs: Inputs,
    representation: str = "",
    jobs: int = 1,
    reporter: Reporter | None = None,
    rate: float = FALSE_ALARMS,
) -> pd.DataFrame:
    """Describe each kept task without a trained model: the table of ``offmap tasks --domain``.

    Parameters
    ----------
    inputs
        Materials, features and tasks.
    representation
        Which features; by default the first.

    Returns
    -------
    DataFrame
        Per task: ``coverage`` with its interval and ``verdict``; ``distance_q10``, ``_q50``,
        ``_q90``: distance to the nearest training material in whitened components, in units of the
        median over held-out in-distribution materials; ``two_sample_auc``; ``twins_formula`` and
        ``twins_prototype``: share of test materials whose reduced formula, or anonymous formula and
        space group, is in the training set too.
    """
    reporter = reporter or Silent()
    representation = representation or next(iter(inputs.features))
    materials, tasks = materials_of(inputs, representation)
    study = inputs.study
    twins = {"twins_formula": _codes(inputs, False), "twins_prototype": _codes(inputs, True)}
    systems = inputs.attributes.frame[CHEMICAL_SYSTEM].to_numpy(dtype=object)
    rows = []
    with reporter.step("Domain of each task") as progress:
        for scores in score_tasks(materials, (*DETECTORS, *SIGNALS, "nearest"), jobs=jobs):
            t = scores.task
            known = Standings.of(scores, rate)
            combined = Combined.mean(known.columns((*DETECTORS, *SIGNALS)), rate)
            found = task_verdict(
                known.columns(DETECTORS), combined, systems[scores.test],
                study.n_bootstrap, study.confidence, study.seed,
            )  # fmt: skip
            wanted = ("coverage", "coverage_low", "coverage_high", "verdict")
            test = materials.test[:, t]
            rows.append(
                tasks.loc[t, [CRITERION, HELD_OUT, "n_train", "n_test"]].to_dict()
                | {name: found[name] for name in wanted}
                | _distances(scores)
                | {"two_sample_auc": scores.two_sample_auc}
                | {name: twin_rate(codes, test) for name, codes in twins.items()}
            )
            progress(len(rows), len(tasks))
    table = pd.DataFrame(rows)
    return table[table[CRITERION] != IN_DISTRIBUTION].reset_index(drop=True)


def twin_rate(codes: NDArray[np.int64], test: NDArray[np.bool_]) -> float:
    """Share of test rows whose code occurs in training too; codes below 0 match nothing."""
    mine = codes[test]
    return float((np.isin(mine, codes[~test]) & (mine >= 0)).mean())


def _distances(scores: TaskScores) -> dict[str, float]:
    usual = float(np.median(scores.calibration_scores["nearest"])) or 1.0
    values = np.quantile(scores.scores["nearest"], _QUANTILES) / usual
    return {
        f"distance_q{round(100 * q)}": float(v) for q, v in zip(_QUANTILES, values, strict=True)
    }


def _codes(inputs: Inputs, prototype: bool) -> NDArray[np.int64]:
    """The same code for the same reduced formula, or for the same stoichiometry and space group."""
    frame = inputs.attributes.frame
    if not prototype:
        return np.asarray(pd.factorize(frame[FORMULA])[0], dtype=np.int64)
    amounts = -np.sort(-inputs.dataset.crystals.counts, axis=1)[:, :10].astype(np.int64)
    divisor = np.gcd.reduce(amounts, axis=1)
    shape = np.column_stack([amounts // np.maximum(divisor, 1)[:, None], frame[SPACE_GROUP]])
    codes = np.unique(shape, axis=0, return_inverse=True)[1].reshape(-1).astype(np.int64)
    return np.where(frame[SPACE_GROUP].to_numpy() > 0, codes, -1)
