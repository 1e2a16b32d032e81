"""What the domain analysis takes from a study: materials, kept tasks, finished predictions."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from offmap.columns import CRITERION, HELD_OUT, IN_DISTRIBUTION, MATERIAL_ID, Y_PRED
from offmap.domain.anchor import anchor_of
from offmap.domain.calibration import calibration_rows
from offmap.domain.judge import Predictions
from offmap.domain.scoring import Materials
from offmap.errors import StudyError, UnknownNameError
from offmap.evaluate import cells
from offmap.inputs import GIVEN_CRYSTALS, Inputs
from offmap.store import Cell, Store, states

Array = NDArray[np.float64]


def materials_of(inputs: Inputs, representation: str) -> tuple[Materials, pd.DataFrame]:
    """What the detectors are given, and the tasks of its columns (the kept ones)."""
    tasks, kept = inputs.kept()
    material_id = inputs.material_id.astype(str).tolist()
    materials = Materials(
        inputs.features[representation].values.astype(np.float32),
        inputs.y,
        kept.matrix,
        calibration_rows(material_id, inputs.study.seed),
        inputs.study.seed,
        anchor_of(inputs, representation),
    )
    return materials, tasks


def numbers_of(tasks: pd.DataFrame, names: Sequence[str]) -> list[int]:
    """Numbers of the named tasks, in the order of the table; of all if none is named.

    Parameters
    ----------
    tasks
        The kept tasks.
    names
        Tasks such as ``element/F``; a criterion alone means all of its tasks.

    Raises
    ------
    UnknownNameError
        If no kept task has a name.
    """
    each = (tasks[CRITERION].astype(str) + "/" + tasks[HELD_OUT].astype(str)).tolist()
    criteria = tasks[CRITERION].astype(str).tolist()
    for name in names:
        if name not in each and name not in criteria:
            raise UnknownNameError("kept task", name, each)
    wanted = set(names)
    both = enumerate(zip(criteria, each, strict=True))
    return [t for t, task in both if not wanted or wanted & set(task)]


def predictions(
    store: Store, inputs: Inputs, representation: str, tasks: pd.DataFrame
) -> list[Predictions]:
    """What each model predicted: models on this representation, and on the crystals themselves."""
    if not store.has_table("tasks"):
        return []
    finished = states(store, cells(store))["done"]
    mine = [c for c in finished if c.representation in {representation, *GIVEN_CRYSTALS}]
    number = {
        (c, h): t for t, (c, h) in enumerate(zip(tasks[CRITERION], tasks[HELD_OUT], strict=True))
    }
    index = pd.Index(inputs.material_id)
    found = []
    for model in dict.fromkeys(cell.model for cell in mine):
        y_pred: dict[int, Array] = {}
        reference = np.full(len(inputs), np.nan)
        for cell in (c for c in mine if c.model == model):
            task = number.get((cell.criterion, cell.held_out))
            if task is None:
                continue
            values = _by_row(store, cell, index)
            y_pred[task] = values[inputs.membership.test_rows(cell.criterion, cell.held_out)]
            if cell.criterion == IN_DISTRIBUTION:
                reference = np.where(np.isfinite(values), values, reference)
        found.append(Predictions(model, y_pred, reference))
    return found


def _by_row(store: Store, cell: Cell, index: pd.Index) -> Array:
    frame = store.read_predictions([cell])
    rows = index.get_indexer(pd.Index(frame[MATERIAL_ID]))
    if (rows < 0).any():
        unknown = frame[MATERIAL_ID].iat[int(np.argmax(rows < 0))]
        raise StudyError(f"the predictions of {cell.name} name an unknown material {unknown!r}")
    values = np.full(len(index), np.nan)
    values[rows] = frame[Y_PRED].to_numpy(np.float64)
    return values
