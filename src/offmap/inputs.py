"""From a study to what every later stage starts from: materials, features, attributes, tasks."""

from __future__ import annotations

from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from offmap import datasets, registry
from offmap.attributes import Attributes, attributes
from offmap.columns import (
    CRITERION,
    IN_DISTRIBUTION,
    MATERIAL_ID,
    SPACE_GROUP,
    SYMMETRY_CRITERIA,
)
from offmap.datasets.base import Dataset
from offmap.errors import DataError
from offmap.memory import say_if_short, to_describe, to_find_symmetry
from offmap.models.base import consumes, make_model
from offmap.progress import Reporter, Silent
from offmap.representations.base import Features
from offmap.representations.featurize import featurize, load_representation
from offmap.store import Store, slug
from offmap.study import Study
from offmap.tasks.membership import Membership, membership
from offmap.tasks.random import fold_name, folds

CRYSTALS = "crystals"

GIVEN_CRYSTALS = frozenset({CRYSTALS, "graph", "text"})
"""``representation`` of models that are given the crystals, and make of them what they need."""


@dataclass(frozen=True, eq=False)
class Inputs:
    """Everything the grid needs, row by row the same materials, sorted by id.

    Parameters
    ----------
    study
        The configuration.
    dataset
        The materials that are used; those set aside are in ``dataset.rejected``.
    target
        Column that is predicted.
    attributes
        Chemistry and symmetry.
    membership
        Test sets of every task, the random folds (criterion ``in_distribution``) first.
    features
        Representation -> features.
    """

    study: Study
    dataset: Dataset
    target: str
    attributes: Attributes
    membership: Membership
    features: dict[str, Features] = field(default_factory=dict)

    def __len__(self) -> int:
        return len(self.dataset)

    @property
    def y(self) -> NDArray[np.float64]:
        """Labels, shape (n,)."""
        return self.dataset.frame[self.target].to_numpy(np.float64)

    @property
    def material_id(self) -> NDArray[np.object_]:
        """Ids, shape (n,)."""
        return self.dataset.frame[MATERIAL_ID].to_numpy(dtype=object)

    def tasks(self) -> pd.DataFrame:
        """The table of tasks, kept and skipped; random folds are kept whatever their size."""
        table = self.membership.tasks(self.study.min_size)
        reference = table[CRITERION] == IN_DISTRIBUTION
        table.loc[reference, "kept"] = True
        table.loc[reference, "reason"] = ""
        return table

    def kept(self) -> tuple[pd.DataFrame, Membership]:
        """The kept tasks, numbered from 0, and their test sets."""
        tasks = self.tasks()
        kept = tasks["kept"].to_numpy(bool)
        return tasks[kept].reset_index(drop=True), self.membership.select(kept)

    def materials(self) -> pd.DataFrame:
        """Attributes and label of each material."""
        return self.attributes.frame.assign(**{self.target: self.y})


def load_materials(
    study: Study, reporter: Reporter | None = None, labelled: bool = True
) -> tuple[Dataset, str]:
    """Read the study's dataset; give it and the name of the target (empty if not ``labelled``)."""
    reporter = reporter or Silent()
    with reporter.step("Read crystals") as progress:
        progress(0, 1)
        dataset = datasets.load(
            study.dataset,
            study.target if labelled else None,
            cleaning=study.cleaning,
            exclude=study.exclude,
            limit=study.limit,
            seed=study.seed,
            progress=progress,
        )
        progress(len(dataset), len(dataset))
    order = np.argsort(dataset.frame[MATERIAL_ID].to_numpy(dtype=str), kind="stable")
    return dataset.take(order), dataset.target(study.target) if labelled else ""


def prepare(
    study: Study,
    jobs: int = 1,
    reporter: Reporter | None = None,
    with_features: bool = True,
    labelled: bool = True,
    store: Store | None = None,
) -> Inputs:
    """Read, describe and group the materials of a study.

    Materials whose features or symmetry cannot be found are set aside with the reason, so that
    every model of the study sees the same rows.

    Parameters
    ----------
    study
        The configuration.
    jobs
        Processes to use.
    reporter
        Shows progress.
    with_features
        Describe the crystals for the study's models.
    labelled
        Set rows without a label aside; without, there is enough to look at tasks.
    store
        The folder of this study, if it has one: symmetry that was found before is read from it.

    Raises
    ------
    DataError
        If nothing usable is left.
    """
    reporter = reporter or Silent()
    dataset, target = load_materials(study, reporter, labelled)
    reasons: dict[int, str] = {}
    features: dict[str, Features] = {}
    for name in needed_representations(study) if with_features else ():
        _check_structure(dataset, name)
        n_columns = len(load_representation(name).columns)
        say_if_short("Describe crystals", to_describe(len(dataset), n_columns), reporter)
        with reporter.step(f"Describe crystals ({name})") as progress:
            features[name] = featurize(dataset.crystals, name, jobs, progress, reporter.say)
        reasons |= {i: f"{name}: {why}" for i, why in features[name].reasons.items()}
    for name in study.models if with_features else ():
        reasons |= _not_described(dataset, study, name, jobs, reporter)
    if dataset.crystals.has_structure:
        say_if_short("Find symmetry", to_find_symmetry(len(dataset), jobs), reporter)
    with reporter.step("Find symmetry") as progress:
        known = _known_space_groups(dataset, study, store)
        found = attributes(dataset.crystals, study.symprec, jobs, progress, known)
    if dataset.crystals.has_structure:
        lost = np.flatnonzero(found.frame[SPACE_GROUP].to_numpy() == 0)
        reasons |= {int(i): "no space group was found" for i in lost}
    if reasons:
        rows = np.setdiff1d(np.arange(len(dataset)), list(reasons))
        dataset, found = dataset.take(rows, reasons), found[rows]
        features = {k: replace(f, values=f.values[rows], reasons={}) for k, f in features.items()}
    if len(dataset) < 2 * study.n_folds:
        raise DataError(f"only {len(dataset)} usable materials are left in {study.dataset}")
    tasks = group_materials(study, found)
    return Inputs(study, dataset, target, found, tasks, features)


def _known_space_groups(
    dataset: Dataset, study: Study, store: Store | None
) -> NDArray[np.int16] | None:
    """Space group of each material that the study folder has of the same data, 0 of others."""
    if store is None or not store.has_table("materials"):
        return None
    same_data = store.provenance().get("data_sha256") == dataset.sha256 != ""
    if not same_data or store.study().symprec != study.symprec:
        return None
    found = store.read_table("materials").set_index(MATERIAL_ID)[SPACE_GROUP]
    return found.reindex(dataset.frame[MATERIAL_ID], fill_value=0).to_numpy(np.int16)


def group_materials(study: Study, found: Attributes) -> Membership:
    """The random folds and every task of the study's criteria.

    Criteria of symmetry are left out where only formulas are known.
    """
    criteria = [c for c in study.criteria if found.has_symmetry or c not in SYMMETRY_CRITERIA]
    if not criteria:
        raise DataError(
            f"{study.dataset} has no structures: choose criteria of chemistry, such as element"
        )
    tasks = membership(found, criteria)
    fold = folds(found.frame[MATERIAL_ID].tolist(), study.n_folds, study.seed)
    names = [fold_name(i) for i in range(study.n_folds)]
    return Membership(
        np.concatenate([np.full(len(names), IN_DISTRIBUTION, dtype=object), tasks.criterion]),
        np.concatenate([np.array(names, dtype=object), tasks.held_out]),
        np.asfortranarray(np.column_stack([fold[:, None] == np.arange(len(names)), tasks.matrix])),
    )


def needed_representations(study: Study) -> list[str]:
    """Representations that the study's models are given, apart from the crystals themselves."""
    kinds = {consumes(model) for model in study.models}
    return list(study.representations) if "features" in kinds else []


def representations_of(study: Study, kind: str) -> list[str]:
    """Representations on which a model that consumes ``kind`` is run."""
    return list(study.representations) if kind == "features" else [kind]


def _not_described(
    dataset: Dataset, study: Study, name: str, jobs: int, reporter: Reporter
) -> dict[int, str]:
    """Materials that a network cannot be given, and why; what it is given of others is cached."""
    described = hasattr(registry.load("model", name), "given")
    if not (described and consumes(name) in GIVEN_CRYSTALS):
        return {}
    model = make_model(name, study.model_settings.get(name, {}), study.seed, 1)
    model.set_params(n_jobs=jobs)
    with reporter.step(f"Describe crystals ({name})") as progress:
        reasons = model.describe(dataset.crystals, progress).reasons
    if len(reasons) == len(dataset):
        why = next(iter(reasons.values()), "it is empty")
        raise DataError(f"dataset {dataset.name} has no {model.given} for model {name!r}: {why}")
    return {row: f"{model.given}: {why}" for row, why in reasons.items()}


def _check_structure(dataset: Dataset, name: str) -> None:
    if not dataset.crystals.has_structure and load_representation(name).needs_structure:
        raise DataError(
            f"dataset {dataset.name} has formulas but no structures, and the representation "
            f"{name!r} needs structures; use --representation magpie"
        )


def shared_arrays(inputs: Inputs) -> dict[str, NDArray[Any]]:
    """What workers share: ``y``, ``material_id``, ``test`` (tasks, n) and the features."""
    arrays: dict[str, NDArray[Any]] = {
        "y": inputs.y,
        "material_id": inputs.material_id.astype(str),
        "test": np.ascontiguousarray(inputs.membership.matrix.T),
    }
    for name, features in inputs.features.items():
        arrays[f"features-{slug(name)}"] = features.values.astype(np.float32)
    return arrays


def save_arrays(inputs: Inputs, folder: Path) -> None:
    """Lay out what worker processes share, as arrays that they map into memory."""
    folder.mkdir(parents=True, exist_ok=True)
    for name, array in shared_arrays(inputs).items():
        np.save(folder / f"{name}.npy", array)
