"""Built-in criteria fit; flaws of others are found."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
import pytest

from offmap.attributes import Attributes
from offmap.registry import TABLES
from offmap.tasks.membership import Groups
from offmap.testing import check_criterion


@pytest.mark.parametrize("name", TABLES["criterion"])
def test_every_built_in_criterion_fits(name: str) -> None:
    check_criterion(name)


def by_first_row(attributes: Attributes) -> list[bool]:
    formula = attributes.frame["formula"]
    return (formula == formula.iloc[0]).tolist()


def too_short(attributes: Attributes) -> list[int]:
    return [1, 2, 3]


def repeated(attributes: Attributes) -> Groups:
    matrix = np.ones((len(attributes), 2), dtype=bool)
    matrix[0] = False
    return Groups(("a", "a"), matrix)


def failing(attributes: Attributes) -> Any:
    return attributes.frame["spacegroup"]


@pytest.mark.parametrize(
    ("criterion", "message"),
    [
        (by_first_row, "depend on the order"),
        (too_short, r"shape \(3, 3\) for 72 materials"),
        (repeated, "not unique"),
        (failing, "grouping materials fails: KeyError: 'spacegroup'"),
    ],
)
def test_flaws_of_criteria_are_found(criterion: Callable[..., Any], message: str) -> None:
    with pytest.raises(AssertionError, match=message):
        check_criterion(criterion)


def test_criteria_that_group_nothing_are_remarked_on() -> None:
    assert "no example crystal" in check_criterion(lambda a: [None] * len(a)).remarks[0]
