"""What every dataset is: crystals, a table of targets, and a card of where they come from."""

from __future__ import annotations

from dataclasses import dataclass, field, replace
from typing import Any

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from offmap.columns import FORMULA, MATERIAL_ID
from offmap.crystals import Crystals
from offmap.errors import UnknownNameError

REJECTED_COLUMNS = (MATERIAL_ID, "row", "reason")


@dataclass(frozen=True)
class Card:
    """Where a dataset comes from and what is known about it.

    ``targets`` maps each column that can be predicted to its unit.
    """

    name: str
    title: str = ""
    source: str = ""
    licence: str = ""
    citation: str = ""
    doi: str = ""
    functional: str = ""
    targets: dict[str, str] = field(default_factory=dict)
    known_flaws: tuple[str, ...] = ()


@dataclass(frozen=True, eq=False)
class Dataset:
    """A table of materials with structures.

    Parameters
    ----------
    card
        Provenance.
    crystals
        The structures, shape (n,); without lattices where only formulas are known.
    frame
        One row per crystal: ``material_id``, ``formula``, the targets and any other columns.
    rejected
        Rows that were set aside: ``material_id``, ``row`` (0-based, in the source), ``reason``.
    sha256
        Digest of the bytes the dataset was read from.
    """

    card: Card
    crystals: Crystals
    frame: pd.DataFrame
    rejected: pd.DataFrame = field(default_factory=lambda: pd.DataFrame(columns=REJECTED_COLUMNS))
    sha256: str = ""

    def __post_init__(self) -> None:
        if len(self.crystals) != len(self.frame):
            raise ValueError(f"{len(self.crystals)} crystals but {len(self.frame)} rows")

    def __len__(self) -> int:
        return len(self.frame)

    @property
    def name(self) -> str:
        """Short name, the ``dataset`` key."""
        return self.card.name

    def unit(self, target: str) -> str:
        """Unit of a target; empty if it is not stated."""
        return self.card.targets.get(target, "")

    def target(self, name: str = "") -> str:
        """The target of this name, or the first one.

        Raises
        ------
        UnknownNameError
            If there is no such numeric column.
        """
        numeric = [str(c) for c in self.frame if pd.api.types.is_numeric_dtype(self.frame[c])]
        numeric = [c for c in numeric if not pd.api.types.is_bool_dtype(self.frame[c])]
        name = name or next((t for t in self.card.targets if t in numeric), "")
        if name not in numeric:
            raise UnknownNameError(f"target of dataset {self.name}", name, numeric)
        return name

    def take(self, rows: NDArray[Any], reasons: dict[int, str] | None = None) -> Dataset:
        """Keep ``rows``; note the others as rejected where ``reasons`` (by row) gives one."""
        kept = np.arange(len(self))[rows]
        noted = pd.DataFrame(
            [(self.frame[MATERIAL_ID].iat[i], i, why) for i, why in (reasons or {}).items()],
            columns=REJECTED_COLUMNS,
        )
        parts = [part for part in (self.rejected, noted) if len(part)]
        return replace(
            self,
            crystals=self.crystals.take(kept),
            frame=self.frame.iloc[kept].reset_index(drop=True),
            rejected=pd.concat(parts, ignore_index=True) if parts else self.rejected,
        )


def frame_of(crystals: Crystals, **columns: Any) -> pd.DataFrame:
    """The frame of a dataset: ids and reduced formulas of the crystals, and further columns."""
    return pd.DataFrame(
        {MATERIAL_ID: crystals.material_id, FORMULA: crystals.formula, **columns}
    ).reset_index(drop=True)
