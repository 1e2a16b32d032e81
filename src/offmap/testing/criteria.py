"""Check a criterion."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
from numpy.typing import NDArray

from offmap.attributes import Attributes, attributes
from offmap.registry import load
from offmap.tasks.membership import Groups, groups_from_values
from offmap.testing.examples import example_crystals
from offmap.testing.findings import Findings, name_of


def check_criterion(criterion: str | Callable[[Attributes], Any]) -> Findings:
    """Check a criterion: attributes of materials -> one value, or a list of values, for each.

    Parameters
    ----------
    criterion
        A name (``offmap ls criteria`` or ``package.module:function``), or the function itself.

    Raises
    ------
    AssertionError
        If offmap cannot use it; says why.
    """
    function = load("criterion", criterion) if isinstance(criterion, str) else criterion
    found = Findings(f"criterion {name_of(criterion)!r}")
    known = attributes(example_crystals())

    def members(order: NDArray[np.int64]) -> dict[str, NDArray[np.bool_]]:
        groups = _groups(function, known[order])
        columns = groups.matrix[np.argsort(order)].T
        return dict(zip(groups.labels, columns, strict=True))

    groups = found.attempt("grouping materials", lambda: _groups(function, known))
    if groups is None or not found.expect(
        groups.matrix.shape == (len(known), len(groups.labels)),
        "one row per material, one column per group",
        f"the matrix has shape {groups.matrix.shape} for {len(known)} materials"
        f" and {len(groups.labels)} groups",
    ):
        return found.conclude()
    labels = list(groups.labels)
    found.expect(
        len(set(labels)) == len(labels) and all(labels),
        "group names are unique",
        f"group names are not unique or empty: {sorted(labels)}",
    )
    found.expect(
        groups.matrix.dtype == np.bool_,
        "membership is yes or no",
        f"the matrix has type {groups.matrix.dtype}, not bool",
    )
    as_is = members(np.arange(len(known)))
    found.expect(_same(as_is, members(np.arange(len(known)))), "deterministic", "not deterministic")
    shuffled = np.random.default_rng(1).permutation(len(known))
    found.expect(
        _same(as_is, members(shuffled)),
        "the order of the materials does not matter",
        "groups depend on the order of the materials",
    )
    if not labels:
        found.remarks.append("no example crystal belongs to a group")
    whole = [label for label, rows in as_is.items() if rows.all()]
    if whole:
        found.remarks.append(f"groups that hold every example crystal: {', '.join(whole)}")
    return found.conclude()


def _groups(function: Callable[[Attributes], Any], known: Attributes) -> Groups:
    result = function(known)
    return result if isinstance(result, Groups) else groups_from_values(result)


def _same(a: dict[str, NDArray[np.bool_]], b: dict[str, NDArray[np.bool_]]) -> bool:
    return a.keys() == b.keys() and all(np.array_equal(a[label], b[label]) for label in a)
