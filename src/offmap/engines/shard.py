"""One of several equal parts of a grid, for job arrays that need no scheduler of their own."""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass

from offmap.errors import SettingsError
from offmap.store import Cell


@dataclass(frozen=True)
class Shard:
    """Part ``index`` of ``count``, counted from 1.

    Examples
    --------
    >>> Shard.parse("2/3").of(["a", "b", "c", "d", "e"])
    ['b', 'e']
    """

    index: int
    count: int

    @classmethod
    def parse(cls, text: str) -> Shard:
        """From text such as ``"3/20"``.

        Raises
        ------
        SettingsError
            If it is not ``i/n`` with i from 1 to n.
        """
        found = re.fullmatch(r"(\d{1,6})/(\d{1,6})", text.strip(), re.ASCII)
        shard = cls(*map(int, found.groups())) if found else cls(0, 0)
        if not 1 <= shard.index <= shard.count:
            raise SettingsError(
                f"--shard must be i/n with i from 1 to n, such as 3/20, not {text!r}"
            )
        return shard

    @property
    def name(self) -> str:
        """Such as ``"3-of-20"``."""
        return f"{self.index}-of-{self.count}"

    def of(self, cells: Sequence[Cell]) -> list[Cell]:
        """Every ``count``-th cell: each shard gets its share of every model.

        What is done already does not matter, so shards that start at different times agree.
        """
        return list(cells[self.index - 1 :: self.count])
