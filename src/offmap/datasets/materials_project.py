"""The Materials Project as it is today, through its own client (extra ``mp``) and the user's key.

The key is taken from ``MP_API_KEY`` and handed to the client; it is never written, logged or put
into a message. Like any live source, a query is imported into a file first:
``offmap data import "mp:chemsys=Li-O" -o lithium-oxides.parquet``.
"""

from __future__ import annotations

import hashlib
import os
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

from offmap.datasets.files import CHUNK_ROWS, Chunk
from offmap.datasets.tables import Item, chunk_of
from offmap.errors import DataError
from offmap.registry import missing_extra

PREFIX = "mp:"
KEY = "MP_API_KEY"

FIELDS = (
    "material_id",
    "formula_pretty",
    "structure",
    "formation_energy_per_atom",
    "energy_above_hull",
    "band_gap",
)


@dataclass(frozen=True)
class MaterialsProjectSource:
    """Materials that match search criteria of ``MPRester.materials.summary.search``."""

    criteria: tuple[tuple[str, Any], ...] = ()

    @classmethod
    def parse(cls, text: str) -> MaterialsProjectSource:
        """From ``mp:chemsys=Li-O&energy_above_hull=0,0.1``."""
        query = text.removeprefix(PREFIX)
        criteria = []
        for pair in filter(None, query.split("&")):
            name, equals, value = pair.partition("=")
            if not equals or not name.strip():
                raise DataError(
                    f"{pair!r} is no search criterion; write such as 'mp:chemsys=Li-O' or "
                    "'mp:elements=Li,O&energy_above_hull=0,0.1'"
                )
            if "key" in name.lower():
                raise DataError(f"put the key into the environment as {KEY}, not into the search")
            criteria.append((name.strip(), _value(value)))
        if not criteria:
            raise DataError("'mp:' needs a search criterion, such as 'mp:chemsys=Li-O'")
        return cls(tuple(criteria))

    @property
    def path(self) -> str:
        """What to call it in messages."""
        return "Materials Project (" + ", ".join(f"{k}={v}" for k, v in self.criteria) + ")"

    def sha256(self) -> str:
        """Digest of the query; what a live database answers has none."""
        return hashlib.sha256(repr(self.criteria).encode()).hexdigest()

    def chunks(self, start: int = 0, size: int = CHUNK_ROWS) -> Iterator[Chunk]:
        """Rows from number ``start`` on.

        Raises
        ------
        OffmapError
            If the client is not installed.
        DataError
            If there is no key, or the database refuses the search.
        """
        try:
            from mp_api.client import MPRester
        except ImportError as error:
            raise missing_extra("the Materials Project", "mp", error) from error
        key = os.environ.get(KEY, "").strip()
        if not key:
            raise DataError(
                f"the Materials Project needs a key: put yours, from "
                f"https://next-gen.materialsproject.org/api, into the environment as {KEY}"
            )
        try:
            with MPRester(key, mute_progress_bars=True) as client:
                found = client.materials.summary.search(**dict(self.criteria), fields=list(FIELDS))
        except Exception as error:  # the client raises whatever it likes, the key may be in it
            words = " ".join(str(error).split()).replace(key, "<key>")
            raise DataError(f"the Materials Project refused the search: {words}") from None
        rows: list[Item] = []
        rows += [(i, _cells(doc)) for i, doc in enumerate(found) if i >= start]
        for at in range(0, max(len(rows), 1), size):
            yield chunk_of(rows[at : at + size], min(start + at + size, len(found)), len(found))


def _cells(doc: Any) -> dict[str, Any]:
    """One document, an object or a dict, as a row."""

    def get(name: str) -> Any:
        return doc.get(name) if isinstance(doc, dict) else getattr(doc, name, None)

    row = {name: get(name) for name in FIELDS}
    return row | {"material_id": str(row["material_id"]), "formula": row.pop("formula_pretty")}


def _value(text: str) -> Any:
    """``"0,0.1"`` as a pair of numbers, ``"Li,O"`` as a list, ``"true"`` as a truth, else text."""
    items = [_number(item.strip()) for item in text.split(",")]
    if len(items) == 1:
        return {"true": True, "false": False}.get(str(items[0]).lower(), items[0])
    numeric = all(isinstance(item, (int, float)) for item in items)
    return tuple(items) if numeric and len(items) == 2 else items


def _number(text: str) -> Any:
    for kind in (int, float):
        try:
            return kind(text)
        except ValueError:
            continue
    return text
