"""Tasks as columns of a boolean matrix: which materials belong to each held-out group."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Any, cast

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from offmap import registry
from offmap.attributes import Attributes
from offmap.columns import CRITERION, HELD_OUT, MATERIAL_ID, N_TEST, N_TRAIN
from offmap.errors import OffmapError, UnknownNameError


@dataclass(frozen=True, eq=False)
class Groups:
    """What a criterion finds: a name per group, and who belongs to it.

    Parameters
    ----------
    labels
        Name of each group, in the order they should be listed.
    matrix
        Shape (n_materials, n_groups), bool. A material may belong to several groups, or to none.
    """

    labels: tuple[str, ...]
    matrix: NDArray[np.bool_]


@dataclass(frozen=True, eq=False)
class Membership:
    """Which materials are in the test set of each task; the others are its training set.

    Parameters
    ----------
    criterion, held_out
        Names of each task, shape (n_tasks,).
    matrix
        Shape (n_materials, n_tasks), bool, column-major.
    """

    criterion: NDArray[np.object_]
    held_out: NDArray[np.object_]
    matrix: NDArray[np.bool_]

    def __len__(self) -> int:
        return len(self.criterion)

    def test_rows(self, criterion: str, held_out: str) -> NDArray[np.bool_]:
        """Mask of the test materials of one task, shape (n_materials,).

        Raises
        ------
        UnknownNameError
            If there is no such task.
        """
        found = np.flatnonzero((self.criterion == criterion) & (self.held_out == held_out))
        if not len(found):
            known = [f"{c}/{h}" for c, h in zip(self.criterion, self.held_out, strict=True)]
            raise UnknownNameError("task", f"{criterion}/{held_out}", known)
        return self.matrix[:, found[0]]

    def select(self, chosen: NDArray[Any]) -> Membership:
        """Some of the tasks (integers or boolean mask)."""
        return Membership(self.criterion[chosen], self.held_out[chosen], self.matrix[:, chosen])

    def tasks(self, min_size: int = 200) -> pd.DataFrame:
        """``criterion``, ``held_out``, ``n_train``, ``n_test``, ``kept``, ``reason`` of each task.

        A task is kept only if train and test each have at least ``min_size`` materials.
        """
        n_test = self.matrix.sum(axis=0, dtype=np.int64)
        n_train = len(self.matrix) - n_test
        small_test, small_train = n_test < min_size, n_train < min_size
        reason = np.where(small_train, f"fewer than {min_size} training materials", "")
        reason = np.where(small_test, f"fewer than {min_size} test materials", reason)
        return pd.DataFrame(
            {
                CRITERION: self.criterion,
                HELD_OUT: self.held_out,
                N_TRAIN: n_train,
                N_TEST: n_test,
                "kept": ~(small_test | small_train),
                "reason": reason.astype(object),
            }
        )

    def members(self, material_id: Sequence[str]) -> pd.DataFrame:
        """The test side of each task: ``criterion``, ``held_out``, ``material_id``."""
        task, row = np.nonzero(self.matrix.T)
        return pd.DataFrame(
            {
                CRITERION: pd.Categorical.from_codes(*_codes(self.criterion, task)),
                HELD_OUT: pd.Categorical.from_codes(*_codes(self.held_out, task)),
                MATERIAL_ID: np.asarray(material_id, dtype=object)[row],
            }
        )


def membership(attributes: Attributes, criteria: Iterable[str]) -> Membership:
    """The tasks of several criteria.

    Parameters
    ----------
    attributes
        Chemistry and symmetry of the materials.
    criteria
        Names of criteria, or ``package.module:function``.

    Raises
    ------
    UnknownNameError
        If a criterion is unknown.
    OffmapError
        If a criterion returns something that does not fit the materials.
    """
    criterion: list[str] = []
    held_out: list[str] = []
    rows: list[NDArray[np.bool_]] = [np.zeros((0, len(attributes)), dtype=bool)]
    for name in criteria:
        groups = find_groups(name, attributes)
        criterion += [name] * len(groups.labels)
        held_out += groups.labels
        rows.append(groups.matrix.T)
    matrix = np.concatenate(rows).T  # column-major: a task is a contiguous run
    return Membership(np.array(criterion, dtype=object), np.array(held_out, dtype=object), matrix)


def find_groups(name: str, attributes: Attributes) -> Groups:
    """Apply one criterion."""
    found = registry.load("criterion", name)(attributes)
    groups = found if isinstance(found, Groups) else groups_from_values(found)
    groups = Groups(groups.labels, np.asarray(groups.matrix, dtype=bool))
    if groups.matrix.shape != (len(attributes), len(groups.labels)):
        raise OffmapError(
            f"criterion {name!r} describes {len(groups.matrix)} materials, not {len(attributes)}"
        )
    return groups


def groups_from_values(values: Iterable[Any]) -> Groups:
    """Groups from one value, or a list of values, per material.

    ``None`` and NaN mean "belongs to no group". Groups are listed in the order of their values;
    values that read the same (1 and ``"1"``) are one group.
    """
    listed = [_as_list(value) for value in values]
    distinct = {str(value): value for row in listed for value in row}
    try:
        labels = sorted(distinct, key=lambda label: distinct[label])
    except TypeError:  # values of several types
        labels = sorted(distinct)
    index = {label: i for i, label in enumerate(labels)}
    matrix = np.zeros((len(listed), len(labels)), dtype=bool)
    rows = np.repeat(np.arange(len(listed)), [len(row) for row in listed])
    matrix[rows, [index[str(value)] for row in listed for value in row]] = True
    return Groups(tuple(labels), matrix)


def _as_list(value: Any) -> list[Any]:
    listed = isinstance(value, (list, tuple, set, frozenset, np.ndarray))
    return [v for v in (value if listed else [value]) if not pd.isna(v)]


def _codes(names: NDArray[np.object_], task: NDArray[np.int64]) -> tuple[Any, Any]:
    codes, categories = pd.factorize(names)
    return codes[task], cast(Any, categories)
