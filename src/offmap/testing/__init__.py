"""Check that a dataset, representation, model, criterion or detector of your own fits into offmap.

A check builds its own small data, tries what offmap will rely on, and raises ``AssertionError``
with every point that does not hold, in words. What it returns says what held, and what is allowed
but worth knowing.

>>> from offmap.testing import check_model
>>> print(check_model("sklearn.tree:DecisionTreeRegressor"))  # doctest: +ELLIPSIS
model 'sklearn.tree:DecisionTreeRegressor' fits: ...
"""

from __future__ import annotations

from offmap.testing.criteria import check_criterion
from offmap.testing.datasets import check_dataset
from offmap.testing.detectors import check_detector
from offmap.testing.examples import example_crystals
from offmap.testing.findings import Findings
from offmap.testing.models import check_model
from offmap.testing.representations import check_representation

__all__ = [
    "Findings",
    "check_criterion",
    "check_dataset",
    "check_detector",
    "check_model",
    "check_representation",
    "example_crystals",
]
