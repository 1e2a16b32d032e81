"""A finished study, opened again from its tables: nothing is grouped or searched for anew."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from offmap.attributes import from_frame
from offmap.columns import CRITERION, HELD_OUT, MATERIAL_ID
from offmap.datasets.base import Dataset
from offmap.errors import StudyError, UnknownNameError
from offmap.inputs import Inputs, load_materials
from offmap.progress import Reporter, Silent
from offmap.representations.base import Features
from offmap.representations.featurize import featurize
from offmap.store import Store
from offmap.tasks.membership import Membership


def reopen(
    store: Store, representation: str = "", jobs: int = 1, reporter: Reporter | None = None
) -> Inputs:
    """The materials, tasks and features of a study as its folder has them.

    Parameters
    ----------
    store
        The study folder.
    representation
        Which features to compute (or find in the cache); by default the study's first.

    Raises
    ------
    StudyError
        If the dataset is no longer the one that the study was made of.
    UnknownNameError
        If the study has no such representation.
    """
    reporter = reporter or Silent()
    study, materials = store.study(), store.read_table("materials")
    name = representation or study.representations[0]
    if name not in study.representations:
        raise UnknownNameError("representation of the study", name, study.representations)
    dataset, target = load_materials(study, reporter)
    store.check_data(dataset.sha256)
    dataset = dataset.take(_rows(dataset, materials[MATERIAL_ID], store))
    with reporter.step(f"Describe crystals ({name})") as progress:
        features = featurize(dataset.crystals, name, jobs, progress)
    if features.reasons:
        first, why = next(iter(features.reasons.items()))
        raise StudyError(
            f"{len(features.reasons)} materials of {store.folder} can no longer be described, such "
            f"as {dataset.frame[MATERIAL_ID].iat[first]} ({why})"
        )
    attributes = from_frame(materials.drop(columns=target, errors="ignore"))
    return Inputs(study, dataset, target, attributes, _membership(store), {name: features})


def without(inputs: Inputs, rows: NDArray[np.bool_]) -> Inputs:
    """The same, without some of the materials, shape (n,)."""
    keep = np.flatnonzero(~rows)
    tasks = inputs.membership
    return replace(
        inputs,
        dataset=inputs.dataset.take(keep),
        attributes=inputs.attributes[keep],
        membership=replace(tasks, matrix=np.asfortranarray(tasks.matrix[keep])),
        features={k: Features(f.values[keep], f.columns, {}) for k, f in inputs.features.items()},
    )


def _rows(dataset: Dataset, wanted: pd.Series[str], store: Store) -> NDArray[np.intp]:
    rows: NDArray[np.intp] = pd.Index(dataset.frame[MATERIAL_ID]).get_indexer(pd.Index(wanted))
    if (rows < 0).any():
        lost = wanted[rows < 0]
        raise StudyError(
            f"{len(lost)} materials of {store.folder} are no longer in its dataset "
            f"{dataset.name}, such as {lost.iat[0]}: has the file changed since?"
        )
    return rows


def _membership(store: Store) -> Membership:
    tasks, members = store.read_table("tasks"), store.read_table("members")
    kept = tasks[tasks["kept"]]
    ids = pd.Index(store.read_table("materials")[MATERIAL_ID])
    number = pd.MultiIndex.from_frame(kept[[CRITERION, HELD_OUT]].astype(str))
    keys = pd.MultiIndex.from_frame(members[[CRITERION, HELD_OUT]].astype(str))
    matrix = np.zeros((len(ids), len(kept)), dtype=bool, order="F")
    column = number.get_indexer(keys)
    known = column >= 0
    matrix[ids.get_indexer(pd.Index(members[MATERIAL_ID]))[known], column[known]] = True
    return Membership(
        kept[CRITERION].astype(str).to_numpy(object),
        kept[HELD_OUT].astype(str).to_numpy(object),
        matrix,
    )
