"""A scikit-learn splitter over any criterion."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray
from sklearn.model_selection import BaseCrossValidator

from offmap.attributes import Attributes, attributes
from offmap.crystals import Crystals
from offmap.errors import OffmapError
from offmap.tasks.membership import Membership, membership


class LeaveOneXOut(BaseCrossValidator):  # type: ignore[misc]
    """Leave one element, period, space group, ... out: the tasks of one criterion as a ``cv``.

    Parameters
    ----------
    criterion
        Name of a criterion, or ``package.module:function``.
    min_size
        Skip tasks with fewer train or test materials than this.

    Raises
    ------
    OffmapError
        When splitting, if the materials are no formulas, or no task is large enough.

    Examples
    --------
    >>> formulas = ["NaCl", "KCl", "NaF", "MgO"]
    >>> splitter = LeaveOneXOut("element", min_size=1)
    >>> splitter.names(formulas)[:2]
    ['O', 'F']
    >>> [test.tolist() for _, test in splitter.split(formulas)][:2]
    [[3], [2]]
    """

    def __init__(self, criterion: str = "element", *, min_size: int = 200) -> None:
        self.criterion = criterion
        self.min_size = min_size

    def split(
        self, X: Any, y: Any = None, groups: Attributes | Crystals | Sequence[str] | None = None
    ) -> Iterator[tuple[NDArray[np.int64], NDArray[np.int64]]]:
        """Yield row numbers of train and test, task by task.

        Parameters
        ----------
        X
            Anything with a length; used as ``groups`` if that is not given.
        y
            Not looked at.
        groups
            What the criterion looks at: :class:`Attributes`, :class:`Crystals` or formulas.
        """
        yield from super().split(X, y, groups)

    def _iter_test_masks(
        self, X: Any = None, y: Any = None, groups: Any = None
    ) -> Iterator[NDArray[np.bool_]]:
        yield from self._tasks(X, groups).matrix.T

    def get_n_splits(self, X: Any = None, y: Any = None, groups: Any = None) -> int:
        """Number of tasks."""
        return len(self._tasks(X, groups))

    def names(self, X: Any, groups: Any = None) -> list[str]:
        """What each split holds out, in order."""
        return [str(name) for name in self._tasks(X, groups).held_out]

    def _tasks(self, X: Any, groups: Any) -> Membership:
        source = X if groups is None else groups
        if source is None:
            raise OffmapError(
                "LeaveOneXOut needs groups=: attributes, crystals or formulas of the materials"
            )
        if not isinstance(source, (Attributes, Crystals)):
            formulas = [str(formula) for formula in source]
            try:
                source = Crystals.from_formulas(formulas, formulas)
            except ValueError as error:
                raise OffmapError(f"LeaveOneXOut needs formulas or crystals: {error}") from error
        found = source if isinstance(source, Attributes) else attributes(source)
        tasks = membership(found, [self.criterion])
        tasks = tasks.select(tasks.tasks(self.min_size)["kept"].to_numpy())
        if not len(tasks):
            raise OffmapError(
                f"no task of criterion {self.criterion!r} has {self.min_size} materials on either"
                " side: choose a smaller min_size"
            )
        return tasks
