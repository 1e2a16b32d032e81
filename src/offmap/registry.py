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
    """Where a named thing lives, what it is in a line, and the extra that installs what it needs."""

    target: str
    summary: str
    extra: str = ""


TABLES: dict[str, dict[str, Entry]] = {
    "dataset": {
        "prototypes": Entry(
            "offmap.datasets.prototypes:load",
            "embedded: crystal prototypes relaxed with CHGNet, to learn the tool and to test",
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
    },
    "model": {
        "lgbm": Entry("offmap.models.trees:lgbm", "LightGBM, the fast default"),
        "xgb": Entry("offmap.models.trees:xgb", "XGBoost at the settings of the study", "xgb"),
        "rf": Entry("offmap.models.trees:rf", "random forest at the settings of the study"),
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
    },
    "detector": {},
}
"""Kind -> name -> entry. Another package adds names through the entry point group ``offmap.<kind>s``."""

_GROUPS = {"criterion": "offmap.criteria"}


def names(kind: str) -> dict[str, Entry]:
    """Everything of one kind that can be named: built-ins first, then entry points."""
    known = dict(TABLES[kind])
    for point in entry_points(group=_GROUPS.get(kind, f"offmap.{kind}s")):
        known.setdefault(point.name, Entry(point.value, f"from {point.module}"))
    return known


def check(kind: str, name: str) -> None:
    """Raise :class:`UnknownNameError` unless ``name`` can be looked up; imports nothing."""
    if ":" not in name and name not in names(kind):
        hint = f"A {kind} of your own is named as 'package.module:Attribute'."
        raise UnknownNameError(kind, name, names(kind), hint)


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
    check(kind, name)
    entry = names(kind).get(name) or Entry(name, "")
    module, _, attribute = entry.target.partition(":")
    if ":" in name and os.getcwd() not in sys.path:  # a user's own module beside the study
        sys.path.append(os.getcwd())
    try:
        return getattr(importlib.import_module(module), attribute)
    except ModuleNotFoundError as error:
        if entry.extra:
            raise missing_extra(f"{kind} {name!r}", entry.extra, error) from error
        raise OffmapError(f"{kind} {name!r} cannot be loaded: {error}") from error
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
