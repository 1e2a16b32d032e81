"""Which tasks are hard: measured without a model, or by the verdicts of a finished study."""

from __future__ import annotations

from importlib.metadata import version
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from offmap.columns import CRITERION, HELD_OUT, IN_DISTRIBUTION, MATERIAL_ID, MODEL, REPRESENTATION
from offmap.domain.calibration import FALSE_ALARMS
from offmap.domain.detectors import DETECTORS, SIGNALS
from offmap.domain.from_study import materials_of
from offmap.domain.scoring import score_tasks
from offmap.domain.verdicts import Combined, Standings
from offmap.errors import DataError, StudyError, UnknownNameError
from offmap.inputs import Inputs
from offmap.progress import Reporter, Silent
from offmap.representations.featurize import load_representation
from offmap.store import Store
from offmap.tasks.hard import HardTasks, digest, read, read_manifest, select
from offmap.tasks.membership import Membership

MIN_OUT = 0.5
"""Share of a hard test set that lies out of domain, unless asked otherwise."""

_VERSIONS_OF = ("offmap", "numpy", "scipy", "scikit-learn", "lightgbm")


def hard_tasks(
    inputs: Inputs,
    min_out: float = MIN_OUT,
    jobs: int = 1,
    reporter: Reporter | None = None,
) -> tuple[HardTasks, dict[str, Any]]:
    """Hard tasks of a dataset, before any model is trained.

    Parameters
    ----------
    inputs
        Materials with labels, features and tasks; ``inputs.study.min_size`` is the fewest test
        materials.
    min_out
        Share of the test materials that must lie out of domain.

    Returns
    -------
    tasks, about
        What :func:`offmap.tasks.hard.write` takes.
    """
    reporter = reporter or Silent()
    representation = next(iter(inputs.features))
    materials, tasks = materials_of(inputs, representation)
    _, kept = inputs.kept()
    chosen = np.flatnonzero(tasks[CRITERION] != IN_DISTRIBUTION).tolist()
    out = np.zeros(materials.test.shape, dtype=bool)
    with _one_thread(), reporter.step("Domain of each task") as progress:
        names = (*DETECTORS, *SIGNALS)
        for done, scores in enumerate(score_tasks(materials, names, chosen, jobs), start=1):
            combined = Combined.mean(Standings.of(scores, FALSE_ALARMS), FALSE_ALARMS)
            out[scores.test[combined.out_of_domain], scores.task] = True
            progress(done, len(chosen))
    about = _about(inputs, min_out) | {"verdicts_of": {"detectors": list(names)}}
    return select(kept, inputs.material_id, out, min_out, inputs.study.min_size), about


def hard_tasks_of_study(
    store: Store, inputs: Inputs, min_out: float = MIN_OUT, model: str = "", min_size: int = 0
) -> tuple[HardTasks, dict[str, Any]]:
    """Hard tasks of a study, by the verdicts of its table ``domain``.

    Parameters
    ----------
    store, inputs
        The study, and what :func:`offmap.domain.finished.reopen` gave for it.
    model
        Whose verdicts; by default the first in the table.
    min_size
        Fewest test materials; by default as in the study.
    """
    table = store.read_table("domain")
    known = table[MODEL].astype(str).unique().tolist()
    name = model if model else known[0]
    if name not in known:
        raise UnknownNameError("model in the table domain", name, known)
    representation = next(iter(inputs.features))
    mine = (table[MODEL].astype(str) == name) & (table[REPRESENTATION] == representation)
    table = table[mine & table["out_of_domain"]]
    if not len(table):
        raise StudyError(f"{store.folder} has no material out of domain on {representation}")
    tasks = inputs.membership
    out = _matrix(table, tasks, inputs.material_id)
    about = _about(inputs, min_out) | {"verdicts_of": {"model": name}}
    about["min_size"] = min_size or inputs.study.min_size
    return select(tasks, inputs.material_id, out, min_out, about["min_size"]), about


def check(path: str | Path, found: HardTasks, about: dict[str, Any]) -> None:
    """Hold tasks that were made again against a manifest.

    Raises
    ------
    DataError
        If they differ; the message says in which tasks, and which versions or settings do.
    """
    before, manifest = read(path), read_manifest(path)
    digests = {
        side: {
            (task[CRITERION], task[HELD_OUT]): (task["test_sha256"], task["train_sha256"])
            for task in hard.tasks.to_dict("records")
        }
        for side, hard in (("before", before), ("now", found))
    }
    tasks = sorted(set(digests["before"]) | set(digests["now"]))
    differ = [t for t in tasks if digests["before"].get(t) != digests["now"].get(t)]
    if differ:
        changed = [name for name, value in about.items() if manifest.get(name) != value]
        named = ", ".join("/".join(task) for task in differ[:5])
        raise DataError(
            f"{len(differ)} of {len(tasks)} tasks differ from {path}, such as {named}. "
            f"Not the same as then: {', '.join(changed) or 'nothing that was noted'}. The tasks "
            "themselves are in its members file"
        )


def _about(inputs: Inputs, min_out: float) -> dict[str, Any]:
    representation = next(iter(inputs.features))
    study = inputs.study.to_dict()
    study["dataset"] = inputs.dataset.name  # not where the file lies
    return {
        "dataset": inputs.dataset.name,
        "data_sha256": inputs.dataset.sha256,
        "n_materials": len(inputs),
        "material_id_sha256": digest(inputs.material_id),
        "representation": representation,
        "representation_version": load_representation(representation).version,
        "min_out": min_out,
        "min_size": inputs.study.min_size,
        "false_alarms": FALSE_ALARMS,
        "study": study,
        "versions": {name: version(name) for name in _VERSIONS_OF},
    }


def _matrix(
    table: pd.DataFrame, tasks: Membership, material_id: NDArray[np.object_]
) -> NDArray[np.bool_]:
    number = pd.MultiIndex.from_arrays([tasks.criterion.astype(str), tasks.held_out.astype(str)])
    column = number.get_indexer(pd.MultiIndex.from_frame(table[[CRITERION, HELD_OUT]].astype(str)))
    row = pd.Index(material_id).get_indexer(pd.Index(table[MATERIAL_ID]))
    if (row < 0).any():
        raise DataError("the table domain names materials that the study does not have")
    out = np.zeros(tasks.matrix.shape, dtype=bool)
    out[row[column >= 0], column[column >= 0]] = True
    return out


def _one_thread() -> Any:
    """Sums in one order, so that the same verdicts come out whatever the number of cores."""
    from threadpoolctl import threadpool_limits

    return threadpool_limits(1)
