"""What the literature says, beside what a study measured; nothing is filled in that was not run."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from importlib.resources import files
from typing import NamedTuple

import pandas as pd

from offmap.columns import CRITERION, DATASET, HELD_OUT, MODEL, SYMMETRY_CRITERIA
from offmap.notebook import tables_html
from offmap.plots.outcomes import FAILS
from offmap.report.compare import study_names
from offmap.report.tables import Tables
from offmap.store import Store

NOT_YET = "not yet"
MEASURED = "measured"

GOOD_R2 = 0.95
"""The study calls a task good above this R2."""

_CORRELATED = 0.9
_HARD = ("H", "F", "O")
_CHEMISTRY = ("element", "period", "group")
_LI = "Li et al., Commun. Mater. 6, 9 (2025)"


class Published(NamedTuple):
    """Two tables.

    Parameters
    ----------
    scores
        One row per published in-distribution score: ``dataset``, ``model``, ``metric``,
        ``published``, ``n_train`` and ``split`` it was published for, ``source``; then
        ``measured`` by a study of that dataset, with the ``study`` and ``status`` "measured" or
        "not yet".
    findings
        One row per finding of Li et al. (2025), study and model: ``finding``, ``published``,
        ``measured`` in words, and whether it ``holds`` (``None`` where the study lacks the tasks).
    """

    scores: pd.DataFrame
    findings: pd.DataFrame

    def _repr_html_(self) -> str:
        return tables_html(self._asdict())


def published(stores: Sequence[Store]) -> Published:
    """Lay studies beside the published numbers.

    Parameters
    ----------
    stores
        Study folders, of any dataset; scores are only set beside those of the same dataset.

    Returns
    -------
    Published
        In-distribution scores, and which of the published findings hold.
    """
    studies = list(zip(study_names(stores), map(Tables, stores), strict=True))
    return Published(_scores(studies), _findings(studies))


def _scores(studies: Sequence[tuple[str, Tables]]) -> pd.DataFrame:
    text = files("offmap.report").joinpath("published.csv").open(encoding="utf-8")
    with text as file:
        known = pd.read_csv(file, dtype={"n_train": "Int64"}).rename(columns={"value": "published"})
    rows = []
    for name, tables in studies:
        for row in tables.reference.to_dict("records"):
            dataset = str(tables.provenance.get(DATASET, ""))
            rows += [(dataset, row[MODEL], m, row[m], name) for m in ("mae", "r2")]
    ours = pd.DataFrame(rows, columns=[DATASET, MODEL, "metric", "measured", "study"])
    both = known.merge(ours, on=[DATASET, MODEL, "metric"], how="left")
    return both.assign(status=both["measured"].isna().map({True: NOT_YET, False: MEASURED}))


def _findings(studies: Sequence[tuple[str, Tables]]) -> pd.DataFrame:
    rows = []
    for name, tables in studies:
        for series in tables.series:
            tasks = tables.tasks_of(series)
            whole = tasks[~tasks[CRITERION].isin(_begun(tables, tasks))]
            for finding, said, look in FINDINGS:
                measured, holds = look(tasks if look in _OF_SOME_TASKS else whole)
                rows.append((finding, said, name, series, measured, holds))
    columns = ["finding", "published", "study", MODEL, "measured", "holds"]
    found = pd.DataFrame(rows, columns=columns)
    return found.assign(source=_LI)


def _begun(tables: Tables, scored: pd.DataFrame) -> set[str]:
    """Criteria of which only some tasks are scored: nothing can be said of most of their tasks."""
    if tables.tasks is None:
        return set()
    kept = tables.tasks[tables.tasks["kept"]][[CRITERION, HELD_OUT]]
    done = set(zip(scored[CRITERION], scored[HELD_OUT], strict=True))
    return {
        str(c) for c, h in zip(kept[CRITERION], kept[HELD_OUT], strict=True) if (c, h) not in done
    }


Look = Callable[[pd.DataFrame], tuple[str, bool | None]]
_UNKNOWN: tuple[str, bool | None] = (NOT_YET, None)


def _most_elements_are_good(tasks: pd.DataFrame) -> tuple[str, bool | None]:
    elements = tasks[tasks[CRITERION] == "element"]
    if not len(elements):
        return _UNKNOWN
    share = float((elements["r2"] > GOOD_R2).mean())
    return f"{share:.0%} of {len(elements)} elements", share >= 0.75


def _hard_elements_fail(tasks: pd.DataFrame) -> tuple[str, bool | None]:
    hard = _held_out(tasks, "element", _HARD)
    if not len(hard):
        return _UNKNOWN
    words = [f"{r.held_out} {r.mae:.2f} ({r.outcome})" for r in hard.itertuples()]
    return "MAE " + ", ".join(words), bool((hard["outcome"] == FAILS).all())


def _hard_elements_are_shifted(tasks: pd.DataFrame) -> tuple[str, bool | None]:
    hard = _held_out(tasks, "element", _HARD)
    if not len(hard):
        return _UNKNOWN
    words = [f"{r.held_out} r {r.pearson:.2f}, bias {r.bias:+.2f}" for r in hard.itertuples()]
    shifted = (hard["pearson"] >= _CORRELATED) & (hard["bias"].abs() >= 0.5 * hard["mae"])
    return "; ".join(words), bool(shifted.all())


def _structure_is_harder(tasks: pd.DataFrame) -> tuple[str, bool | None]:
    structure = tasks.loc[tasks[CRITERION].isin(SYMMETRY_CRITERIA), "r2"]
    chemistry = tasks.loc[tasks[CRITERION].isin(_CHEMISTRY), "r2"]
    if not len(structure) or not len(chemistry):
        return _UNKNOWN
    inside, outside = float(chemistry.median()), float(structure.median())
    words = f"median R2 {outside:.3f} (symmetry tasks), {inside:.3f} (chemistry tasks)"
    return words, outside < inside


def _triclinic_is_hardest(tasks: pd.DataFrame) -> tuple[str, bool | None]:
    systems = tasks[tasks[CRITERION] == "crystal_system"].set_index(HELD_OUT)
    if "triclinic" not in systems.index or len(systems) < 3:
        return _UNKNOWN
    ratio = systems["mae_ratio"]
    rest = ratio.drop("triclinic")
    words = f"MAE ratio {ratio['triclinic']:.2f}, others {rest.min():.2f} to {rest.max():.2f}"
    return words, bool(ratio["triclinic"] > rest.max())


def _held_out(tasks: pd.DataFrame, criterion: str, names: Sequence[str]) -> pd.DataFrame:
    return tasks[(tasks[CRITERION] == criterion) & tasks[HELD_OUT].isin(names)]


_OF_SOME_TASKS = (_hard_elements_fail, _hard_elements_are_shifted)

FINDINGS: tuple[tuple[str, str, Look], ...] = (
    (
        "most leave-one-element-out tasks go well",
        "about 85 % with R2 > 0.95",
        _most_elements_are_good,
    ),
    ("leaving out H, F or O fails", "the three worst elements", _hard_elements_fail),
    (
        "H, F, O: well correlated but shifted",
        "high r (here: 0.9 or more), systematic bias",
        _hard_elements_are_shifted,
    ),
    ("structure tasks are harder than chemistry", "lower R2 by symmetry", _structure_is_harder),
    ("triclinic is the hardest crystal system", "worse than the others", _triclinic_is_hardest),
)
