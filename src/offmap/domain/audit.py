"""``offmap.audit``: whether a split, a model's test set or a candidate list is off the map."""

from __future__ import annotations

from importlib.metadata import version
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from offmap.columns import MATERIAL_ID
from offmap.domain import predicted, sides
from offmap.domain.anchor import anchor_of
from offmap.domain.audit_place import Place, Told, company, place, told, told_by_stand_in
from offmap.domain.audit_result import Audit
from offmap.domain.audit_split import Opened, Split, make_split, open_study
from offmap.domain.audit_table import Found, add_intervals, materials_table
from offmap.domain.audit_words import no_expected_error, reasons
from offmap.domain.calibration import FALSE_ALARMS, standing
from offmap.domain.conformal import NOMINAL
from offmap.domain.detectors import DETECTORS, SIGNALS
from offmap.domain.experience import Experience, experience
from offmap.domain.judge import Context, Predictions, judge
from offmap.domain.rehearsal import rehearsed_on
from offmap.domain.sides import Given
from offmap.domain.two_sample import area
from offmap.domain.verdicts import Combined, task_verdict
from offmap.errors import DataError, SettingsError
from offmap.progress import Reporter, Silent

Array = NDArray[np.float64]

_VERSIONS_OF = ("offmap", "numpy", "scipy", "scikit-learn", "lightgbm")
_CONFIDENCE, _RESAMPLES = 0.95, 200


def audit(
    train: Given | None = None,
    test: Given | None = None,
    *,
    study: str | Path | None = None,
    predictions: str | Path | pd.DataFrame | None = None,
    candidates: Given | None = None,
    target: str = "",
    representation: str = "",
    model: str = "",
    overlap: str = "error",
    nominal: float = NOMINAL,
    rehearse: bool = False,
    jobs: int = 1,
    reporter: Reporter | None = None,
) -> Audit:
    """Say which materials lie outside the domain of a training set, why, and what error to expect.

    Nothing is fitted on the materials that are asked about; labels of theirs, where known, are only
    compared with.

    Parameters
    ----------
    train
        Training materials: a name, file or folder, a Dataset or Crystals; or a table of ids that
        the study has. By default all of the study that is not asked about.
    test, candidates
        The materials that are asked about, likewise; one of the two. Candidates need no label, and
        one that is there is not looked at.
    study
        Folder of a finished study, from whose tasks the expected error and the intervals are
        learned. None of its rows of a material that is asked about is used.
    predictions
        Table ``material_id``, ``y_pred`` and, if known, ``y_true`` of any model. Without it, the
        study's model is trained on the training side. Alone, it names materials of the study.
    target
        Column of the labels; by default that of the study, or a target by its name.
    representation
        By default the study's first, or ``matminer`` (``magpie`` where there are only formulas).
    model
        Which model of the study; by default its first with finished tasks.
    overlap
        What to do with materials that are on both sides: ``"error"``, or leave them out of
        ``"train"`` or of ``"test"``.
    nominal
        Coverage that the intervals shall have, from 0.5.
    rehearse
        Without a study: leave known groups out of the training set in turn, to learn the expected
        error and the intervals of small trees from what that does (a minute or two more).
    jobs
        Cores to use.

    Returns
    -------
    Audit
        Verdict, reasons, and a row per material.

    Raises
    ------
    OffmapError
        If something given cannot be used; the message says what.
    """
    reporter = reporter or Silent()
    if test is not None and candidates is not None:
        raise DataError("give either test materials or candidates, not both")
    if rehearse and study is not None:
        raise SettingsError("a study has finished tasks to learn from: give it, or rehearse")
    if not 0.5 <= nominal < 1:
        raise SettingsError(f"nominal must be at least 0.5 and below 1, not {nominal:g}")
    table = None if predictions is None else predicted.read(predictions)
    opened = None if study is None else open_study(study, representation, model, jobs, reporter)
    asked = candidates if test is None else test
    split = make_split(
        train, asked, candidates is None, opened, table, representation, target, overlap,
        jobs, reporter,
    )  # fmt: skip
    seed = opened.inputs.study.seed if opened else 0
    with reporter.step("Score with every detector") as progress:
        # The same terms as those in which the study's own tasks were measured.
        anchor = anchor_of(opened.inputs, split.representation) if opened else None
        where = place(split, seed, progress, anchor)
    said = told(split, opened, table, jobs, reporter)
    learned = _learned(split, opened, jobs, reporter)
    if rehearse:
        known = split.train.take(~split.calibration)
        rehearsed = rehearsed_on(known, seed, jobs, reporter)
        if rehearsed is not None:
            learned = rehearsed.experience
            if table is None:
                said = told_by_stand_in(split, where.queries, rehearsed)
    beside = None if learned is None else company(split, said)
    found = _judged(split, where, said, learned, seed, beside)
    given = {
        "train": _named(train, study),
        "test": _named(asked, predictions),
        "study": "" if study is None else str(study),
        "predictions": "" if predictions is None else _named(predictions, None),
        "representation": split.representation,
        "model": said.model,
        "target": target or (opened.inputs.target if opened else ""),
        "unit": opened.store.provenance().get("unit", "") if opened else "",
        "false_alarms": FALSE_ALARMS,
        "nominal": nominal,
        "rehearse": rehearse,
        "confidence": _CONFIDENCE,
        "seed": seed,
        "detectors": list(where.scores.scores),
        "versions": {name: version(name) for name in _VERSIONS_OF},
    }
    return _result(split, where, said, learned, found, given)


def _learned(
    split: Split, opened: Opened | None, jobs: int, reporter: Reporter
) -> Experience | None:
    """What the study teaches, without any row of a material that is asked about."""
    if opened is None or not opened.model or split.train.y is None:
        return None
    known = experience(opened.store, opened.inputs, opened.model, jobs, reporter)
    return known.without(sides.shared(opened.side, split.test))


def _judged(
    split: Split,
    where: Place,
    said: Told,
    learned: Experience | None,
    seed: int,
    beside: Context | None,
) -> Found:
    n = len(split.test)
    y_train = np.full(len(split.train), np.nan) if split.train.y is None else split.train.y
    y = np.concatenate([said.y_true, y_train[split.calibration]])
    inside = np.concatenate([np.full(n, np.nan), said.calibration])
    y_pred = {0: said.y_pred} if np.isfinite(said.y_pred).any() else {}
    one = judge(where.scores, y, Predictions(said.model, y_pred, inside), detectors=DETECTORS)
    mean = Combined.mean(one.features.columns((*DETECTORS, *SIGNALS)))
    expected, whole = None, False
    if learned is not None:
        names = tuple(name for name in learned.names if name in one.features.names)
        features, whole = one.features.columns(names), names == learned.names
        model = learned.error_model(names, seed, beside is not None)
        expected = Combined(
            model.predict(features.test, beside.test if beside else None),
            model.predict(features.calibration, beside.calibration if beside else None),
        )
    combined = mean if expected is None else expected
    place = standing(combined.score, combined.calibration, combined.rate)
    return Found(one, combined, expected, place, whole)


def _result(
    split: Split,
    where: Place,
    said: Told,
    learned: Experience | None,
    found: Found,
    given: dict[str, Any],
) -> Audit:
    materials = materials_table(split, where, said, found)
    bins = pd.DataFrame()
    notes = [*split.notes, *said.notes]
    rehearsed = not given["study"]
    if rehearsed and learned is not None:
        notes.append(
            "no study was given: expected errors are those of small trees, learned from "
            f"{learned.n_tasks} groups that were left out of the training set one by one"
        )
    if learned is None or found.expected is None:
        notes.append(no_expected_error(bool(given["study"]), bool(given["rehearse"])))
    elif np.isfinite(said.y_pred).any() and found.whole:
        nominal = float(given["nominal"])
        bins = add_intervals(materials, learned, found, split, nominal)
    else:
        notes.append(
            "no intervals: they would be those of small trees, not of the model that predicted"
            if rehearsed
            else "no intervals: no model predicted these materials and the held-out ones"
        )
    numbers = _numbers(split, where, said, found)
    if learned is not None and found.expected is not None:
        numbers["learned_from"] = "rehearsal" if rehearsed else "study"
        numbers["expected_error_check"] = learned.validation()
    unit = str(given["unit"])
    order = np.lexsort([materials[MATERIAL_ID].to_numpy(str), -found.standing])
    held_out = standing(found.combined.calibration, found.combined.calibration)
    return Audit(
        str(numbers["verdict"]),
        {name: value for name, value in numbers.items() if name != "verdict"},
        reasons(numbers, materials, unit, said.model),
        tuple(notes),
        materials.iloc[order].reset_index(drop=True),
        bins,
        sides.together([split.train.set_aside.assign(side="train"),
                        split.test.set_aside.assign(side="test")]),
        given,
        held_out.tolist(),
    )  # fmt: skip


def _numbers(split: Split, where: Place, said: Told, found: Found) -> dict[str, Any]:
    voting = found.judged.standings
    row = task_verdict(voting, found.combined, split.test.systems, _RESAMPLES, _CONFIDENCE)
    row |= {
        "n_train": len(split.train),
        "n_test": len(split.test),
        "n_calibration": int(split.calibration.sum()),
        "two_sample_auc": where.scores.two_sample_auc,
        "twins_formula": float(np.isin(split.test.formula, split.train.formula).mean()),
    }
    if found.expected is not None:
        row["expected_error"] = float(found.expected.score.mean())
        row["expected_error_in_distribution"] = float(found.expected.calibration.mean())
    error = np.abs(said.y_pred - said.y_true)
    known, out = np.isfinite(error), found.combined.out_of_domain
    if known.any():
        row["mae"] = float(error[known].mean())
        row["mae_in_domain"] = _mean(error[known & ~out])
        row["mae_out_of_domain"] = _mean(error[known & out])
        row |= _against_usual(split, said, found, error, known)
    return row


def _against_usual(
    split: Split, said: Told, found: Found, error: Array, known: NDArray[np.bool_]
) -> dict[str, float]:
    """The error in distribution, and how well the score ranks errors above its 95th percentile."""
    if split.train.y is None or not np.isfinite(said.calibration).any():
        return {}
    usual = np.abs(said.calibration - split.train.y[split.calibration])
    usual = usual[np.isfinite(usual)]
    large = error[known] > np.quantile(usual, 0.95)
    return {
        "mae_in_distribution": float(usual.mean()),
        "auroc": area(found.combined.score[known], large),
    }


def _mean(values: Array) -> float:
    return float(values.mean()) if len(values) else float("nan")


def _named(given: Any, otherwise: Any) -> str:
    """How something that was given is called in the result."""
    given = otherwise if given is None else given
    if isinstance(given, (str, Path)):
        return str(given)
    return type(given).__name__
