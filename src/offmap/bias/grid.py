"""Which tasks are analysed, and what worker processes are given for them."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from offmap.bias.case import Case, Settings
from offmap.bias.descriptors import Descriptors
from offmap.bias.rescue import Plan
from offmap.columns import CHEMICAL_SYSTEM, IN_DISTRIBUTION, MATERIAL_ID, Y_PRED
from offmap.errors import DataError, StudyError
from offmap.evaluate import cells
from offmap.inputs import Inputs
from offmap.store import Cell, Store, states

STUDY_MODEL = "xgb"


def finished(store: Store) -> list[Cell]:
    """The finished cells of a study.

    Raises
    ------
    StudyError
        If there is none.
    """
    done = states(store, cells(store))["done"]
    if not [cell for cell in done if cell.criterion != IN_DISTRIBUTION]:
        raise StudyError(f"{store.folder} has no finished task yet: run 'offmap evaluate'")
    return done


def as_study_cells(chosen: Sequence[Cell], representation: str) -> list[Cell]:
    """The same tasks, each once, for the study's own XGBoost on these descriptors."""
    return list(
        dict.fromkeys(
            Cell(
                c.dataset, c.target, representation, STUDY_MODEL, c.criterion, c.held_out, c.seed,
                c.n_train,
            )
            for c in chosen
        )
    )  # fmt: skip


def reference_of(predictions: pd.DataFrame, cell: Cell, material_id: NDArray[Any]) -> NDArray[Any]:
    """What the random folds of the cell's model predicted for every material, shape (n,).

    NaN where no fold did.
    """
    like = (predictions["criterion"] == IN_DISTRIBUTION).to_numpy(copy=True)
    for key in ("model", "representation", "seed"):
        like &= (predictions[key] == getattr(cell, key)).to_numpy()
    found = predictions[like].drop_duplicates(MATERIAL_ID).set_index(MATERIAL_ID)[Y_PRED]
    return found.reindex(material_id).to_numpy(np.float64)


@dataclass(frozen=True, eq=False)
class Work:
    """What a worker process needs for any task; arrays are mapped, not copied."""

    arrays: Path
    study_folder: Path
    index: Mapping[Cell, int]
    reference: Mapping[Cell, str]
    settings: Settings
    plan: Plan
    model_settings: Mapping[str, Mapping[str, Any]]

    def load(self, name: str) -> NDArray[Any]:
        """One of the shared arrays."""
        array: NDArray[Any] = np.load(self.arrays / f"{name}.npy", mmap_mode="r")
        return array

    def result(self, cell: Cell, ending: str) -> Path:
        """Where a worker leaves what it found."""
        return self.arrays / f"found-{self.index[cell]}.{ending}"

    def case(self, cell: Cell, threads: int) -> Case:
        """The task of a cell: predictions of its test rows, fold predictions of the others."""
        y, ids, usable = np.asarray(self.load("y")), self.load("material_id"), self.load("usable")
        is_test = np.asarray(self.load("test")[self.load("task")[self.index[cell]]])
        y_pred = np.full(len(y), np.nan)
        if not self.settings.faithful:
            y_pred = np.array(self.load(self.reference[cell]))
            y_pred[is_test] = np.nan
            found = Store(self.study_folder).read_predictions([cell])
            y_pred[np.searchsorted(ids, found[MATERIAL_ID].to_numpy(str))] = found[Y_PRED]
        test = is_test & usable
        if not self.settings.faithful:
            test &= np.isfinite(y_pred)
        if not test.any():
            raise DataError("none of its test materials has all descriptors")
        if not (self.settings.faithful or np.isfinite(y_pred[~is_test & usable]).any()):
            raise DataError("the random folds of its model are missing: run 'offmap evaluate'")
        return Case(
            np.flatnonzero(~is_test & usable),
            np.flatnonzero(test),
            y,
            y_pred,
            self.load("pruned"),
            np.asarray(self.load("pruned_part")),
            self.load("described"),
            np.asarray(self.load("described_part")),
            self.load("system").astype(object),
            self.model_settings.get(STUDY_MODEL, {}),
            threads,
        )


def share_arrays(
    inputs: Inputs,
    described: Descriptors,
    pruned: Descriptors,
    chosen: Sequence[Cell],
    folder: Path,
) -> None:
    """Lay out what worker processes share."""
    tasks = list(zip(inputs.membership.criterion, inputs.membership.held_out, strict=True))
    where = {task: i for i, task in enumerate(tasks)}
    arrays: dict[str, NDArray[Any]] = {
        "y": inputs.y,
        "material_id": inputs.material_id.astype(str),
        "system": inputs.attributes.frame[CHEMICAL_SYSTEM].to_numpy(str),
        "test": np.ascontiguousarray(inputs.membership.matrix.T),
        "task": np.array([where[c.criterion, c.held_out] for c in chosen], dtype=np.int64),
        "usable": np.asarray(np.isfinite(described.values).all(axis=1)),
        "pruned": pruned.values,
        "pruned_part": pruned.part,
        "described": described.values,
        "described_part": described.part,
    }
    for name, array in arrays.items():
        np.save(folder / f"{name}.npy", array)


def digest(store: Store, cell: Cell, done: Sequence[Cell]) -> str:
    """A hash of the predictions that an analysis rests on: those of the cell and of its folds.

    It is taken of how each was run (time and size included), so it changes with every new run.
    """
    like = [
        c
        for c in done
        if c == cell
        or (c.criterion == IN_DISTRIBUTION and (c.model, c.representation, c.seed)
            == (cell.model, cell.representation, cell.seed))
    ]  # fmt: skip
    facts = json.dumps([[c.keys(), store.run_facts(c)] for c in sorted(like)], sort_keys=True)
    return hashlib.blake2b(facts.encode(), digest_size=12).hexdigest()
