"""Names to code: tables of what is built in, entry points of other packages, ``module:attribute``.

Nothing is imported until it is used, so listing what exists needs no model library.
"""

from __future__ import annotations

import importlib
import os
import sys
from dataclasses import dataclass
from importlib.metadata import entry_points
from typing import Any

from offmap.errors import OffmapError, UnknownNameError


@dataclass(frozen=True)
class Entry:
    """Where a named thing lives, what it is in a line, and the extra that it needs."""

    target: str
    summary: str
    extra: str = ""


TABLES: dict[str, dict[str, Entry]] = {
    "dataset": {
        "prototypes": Entry(
            "offmap.datasets.prototypes:load",
            "embedded: crystal prototypes relaxed with CHGNet, to learn the tool and to test",
        ),
        "jarvis22": Entry("offmap.datasets.published:jarvis22", "JARVIS-DFT 2022.12.12"),
        "mp21": Entry("offmap.datasets.published:mp21", "Materials Project 2021.11.10"),
        "oqmd21": Entry(
            "offmap.datasets.published:oqmd21",
            "OQMD as Li et al. 2025 have it (v1.6 by their text)",
        ),
        "jarvis18": Entry("offmap.datasets.published:jarvis18", "JARVIS-DFT 2018.07.07"),
        "mp18": Entry(
            "offmap.datasets.published:mp18", "Materials Project 2018.6.1, the MEGNet set"
        ),
        "oqmd14": Entry(
            "offmap.datasets.published:oqmd14", "OQMD of 2014 as Li et al. 2025 have it"
        ),
        "dft_3d": Entry("offmap.datasets.published:dft_3d", "JARVIS-DFT, current release"),
        "dft_3d_2021": Entry("offmap.datasets.published:dft_3d_2021", "JARVIS-DFT 2021.8.18"),
        "mp_3d_2020": Entry(
            "offmap.datasets.published:mp_3d_2020", "Materials Project 2020, as JARVIS publishes it"
        ),
        "megnet": Entry(
            "offmap.datasets.published:megnet", "Materials Project 2018.6.1, the MEGNet set"
        ),
        "oqmd_3d_no_cfid": Entry(
            "offmap.datasets.published:oqmd_3d_no_cfid", "OQMD, as JARVIS publishes it"
        ),
        "matbench_mp_e_form": Entry(
            "offmap.datasets.published:matbench_mp_e_form", "matbench v0.1, formation energies"
        ),
        "matbench_mp_gap": Entry(
            "offmap.datasets.published:matbench_mp_gap", "matbench v0.1, PBE band gaps"
        ),
        "matbench_perovskites": Entry(
            "offmap.datasets.published:matbench_perovskites",
            "matbench v0.1, heats of formation of perovskites",
        ),
        "matbench_expt_gap": Entry(
            "offmap.datasets.published:matbench_expt_gap",
            "matbench v0.1, measured band gaps of formulas",
        ),
    },
    "representation": {
        "matminer": Entry(
            "offmap.representations.matminer:Matminer",
            "the 273 structural and compositional descriptors of matminer",
        ),
        "magpie": Entry(
            "offmap.representations.matminer:Magpie",
            "the 145 compositional descriptors alone; formulas suffice",
        ),
        "gmp": Entry(
            "offmap.representations.gmp:GMP",
            "Gaussian multipoles of the electron density, mean and spread over the atoms",
        ),
        "description": Entry(
            "offmap.representations.text:Description",
            "Robocrystallographer's words, for the model llm_prop",
            "llm",
        ),
    },
    "model": {
        "lgbm": Entry("offmap.models.trees:lgbm", "LightGBM, the fast default"),
        "xgb": Entry("offmap.models.trees:xgb", "XGBoost at the settings of Li et al. 2025", "xgb"),
        "rf": Entry("offmap.models.trees:rf", "random forest at the settings of Li et al. 2025"),
        "gmp": Entry(
            "offmap.models.gmp_net:GMPNet", "network on multipoles of Li et al. 2025", "nn"
        ),
        "alignn": Entry(
            "offmap.models.alignn.regressor:Alignn",
            "ALIGNN, a network of crystal graphs and their angles",
            "nn",
        ),
        "llm_prop": Entry(
            "offmap.models.llm_prop:LLMProp", "LLM-Prop, a T5 encoder of descriptions", "llm"
        ),
        "knn": Entry("offmap.models.baselines:knn", "mean of the 5 nearest training materials"),
        "dummy": Entry("offmap.models.baselines:dummy", "mean of the training labels"),
    },
    "criterion": {
        "element": Entry("offmap.tasks.chemistry:element", "contains the element"),
        "period": Entry("offmap.tasks.chemistry:period", "contains an element of the period"),
        "group": Entry("offmap.tasks.chemistry:group", "contains an element of the group"),
        "n_elements": Entry(
            "offmap.tasks.chemistry:n_elements", "more than, or at most, n different elements"
        ),
        "space_group": Entry("offmap.tasks.symmetry:space_group", "space group, 1 to 230"),
        "point_group": Entry("offmap.tasks.symmetry:point_group", "point group, 32 classes"),
        "crystal_system": Entry(
            "offmap.tasks.symmetry:crystal_system", "crystal system, triclinic to cubic"
        ),
    },
    "engine": {
        "local": Entry("offmap.engines:Local", "processes on this machine"),
        "dask": Entry("offmap.engines.dask:Dask", "workers of a Dask cluster", "dask"),
    },
    "detector": {
        "knn": Entry(
            "offmap.domain.detectors:knn", "distance to the 10th neighbour in principal components"
        ),
        "nearest": Entry("offmap.domain.detectors:nearest", "distance to the nearest neighbour"),
        "kde": Entry("offmap.domain.detectors:KernelDensity", "kernel density in the same space"),
        "mahalanobis": Entry("offmap.domain.detectors:Mahalanobis", "leverage, all components"),
        "local_density": Entry(
            "offmap.domain.detectors:LocalDensityRatio", "local outlier factor, unsmoothed"
        ),
        "isolation_forest": Entry("offmap.domain.detectors:IsolationForest", "random cuts"),
        "feature_range": Entry(
            "offmap.domain.detectors:FeatureRange", "excess over the training range, weighted"
        ),
        "knn_weighted": Entry(
            "offmap.domain.detectors:knn_weighted", "neighbours in features weighted by importance"
        ),
        "label_spread": Entry(
            "offmap.domain.learned:LabelSpread", "labels of the neighbours differ"
        ),
        "neighbour_error": Entry(
            "offmap.domain.learned:NeighbourError", "small models err on the neighbours"
        ),
        "leaf_occupancy": Entry(
            "offmap.domain.learned:LeafOccupancy", "few training rows per leaf"
        ),
        "model_spread": Entry("offmap.domain.learned:ModelSpread", "small models disagree"),
        "group_spread": Entry(
            "offmap.domain.learned:GroupSpread", "small models that lack regions disagree"
        ),
        "difficulty": Entry("offmap.domain.learned:Difficulty", "materials of this kind are hard"),
        "umap": Entry(
            "offmap.domain.detectors:UmapDensity", "kernel density in a UMAP of train", "domain"
        ),
    },
}
"""Kind -> name -> entry. Other packages add names through entry points ``offmap.<kind>s``."""

_GROUPS = {"criterion": "offmap.criteria"}


def names(kind: str) -> dict[str, Entry]:
    """Everything of one kind that can be named: built-ins first, then entry points."""
    known = dict(TABLES[kind])
    for point in entry_points(group=_GROUPS.get(kind, f"offmap.{kind}s")):
        known.setdefault(point.name, Entry(point.value, f"from {point.module}"))
    return known


def check(kind: str, name: str) -> None:
    """Raise :class:`UnknownNameError` unless ``name`` can be looked up; imports nothing."""
    _entry(kind, name)


def _entry(kind: str, name: str) -> Entry:
    """What a name stands for. All installed packages are looked through only if need be."""
    if ":" in name:
        return Entry(name, "")
    entry = TABLES[kind].get(name) or names(kind).get(name)
    if entry is None:
        hint = "One of your own is named as 'package.module:Attribute'."
        raise UnknownNameError(kind, name, names(kind), hint)
    return entry


def load(kind: str, name: str) -> Any:
    """Import what a name stands for.

    Parameters
    ----------
    kind
        A key of :data:`TABLES`.
    name
        A known name, or ``package.module:Attribute``.

    Raises
    ------
    UnknownNameError
        If no table knows the name.
    OffmapError
        If what it needs is not installed, or the module has no such attribute.
    """
    entry = _entry(kind, name)
    module, _, attribute = entry.target.partition(":")
    if ":" in name and os.getcwd() not in sys.path:  # a user's own module beside the study
        sys.path.append(os.getcwd())
    try:
        found = importlib.import_module(module)
    except ModuleNotFoundError as error:
        if entry.extra:
            raise missing_extra(f"{kind} {name!r}", entry.extra, error) from error
        raise OffmapError(f"{kind} {name!r} cannot be loaded: {error}") from error
    except (ImportError, TypeError, ValueError) as error:  # broken, or no name of a module
        raise OffmapError(f"{kind} {name!r} cannot be loaded: {error}") from error
    try:
        return getattr(found, attribute)
    except AttributeError as error:
        raise OffmapError(f"{kind} {name!r}: module {module} has no {attribute!r}") from error


def missing_extra(what: str, extra: str, error: ImportError) -> OffmapError:
    """The error that says which extra to install."""
    return OffmapError(f"{what} needs {error.name}; install it with: pip install 'offmap[{extra}]'")


def listing(kind: str = "") -> list[dict[str, str]]:
    """Rows of ``kind``, ``name``, ``summary``; of one kind (singular or plural) or of all.

    Raises
    ------
    UnknownNameError
        If there is no such kind.
    """
    plurals = {_GROUPS.get(k, f"offmap.{k}s").removeprefix("offmap."): k for k in TABLES}
    if kind and kind not in plurals and kind not in TABLES:
        raise UnknownNameError("kind", kind, plurals)
    return [
        {"kind": plural, "name": name, "summary": entry.summary}
        for plural, singular in plurals.items()
        if kind in ("", plural, singular)
        for name, entry in names(singular).items()
    ]
