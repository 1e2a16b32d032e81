"""Any provider of the OPTIMADE API (optimade.org) as a source of rows, by filter.

A live database changes from day to day, so a query is not a dataset that a study can name: import
it into a file once, as in ``offmap data import 'optimade:oqmd?elements HAS "F"' -o f.parquet``, and
run on the file.
"""

from __future__ import annotations

import hashlib
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any
from urllib.parse import quote, urljoin

from offmap.datasets.files import CHUNK_ROWS, Chunk
from offmap.datasets.tables import Item, chunk_of
from offmap.datasets.web import fetch_json, public
from offmap.errors import DataError

PREFIX = "optimade:"

PROVIDERS = {
    "mp": "https://optimade.materialsproject.org",
    "oqmd": "https://oqmd.org/optimade",
    "jarvis": "https://jarvis.nist.gov/optimade/jarvisdft",
    "alexandria": "https://alexandria.icams.rub.de/pbe",
}
"""Short names; any other provider is given by its base URL (list: providers.optimade.org)."""

PROPERTIES = {
    "_mp_stability.gga_gga+u.formation_energy_per_atom": "formation_energy_per_atom",
    "_mp_stability.gga_gga+u.energy_above_hull": "energy_above_hull",
    "_oqmd_delta_e": "formation_energy_per_atom",
    "_oqmd_band_gap": "band_gap",
    "_oqmd_stability": "stability",
    "_jarvis_formation_energy_peratom": "formation_energy_per_atom",
    "_jarvis_optb88vdw_bandgap": "band_gap",
    "_alexandria_formation_energy_per_atom": "formation_energy_per_atom",
    "_alexandria_band_gap": "band_gap",
}
"""Property of a provider (a path into its answer) -> offmap's column."""

_FIELDS = (
    "lattice_vectors",
    "cartesian_site_positions",
    "species_at_sites",
    "species",
    "chemical_formula_reduced",
)
_PAGE = 500
_MAX_PAGES = 100_000


@dataclass(frozen=True)
class OptimadeSource:
    """The structures of one provider that match a filter.

    Parameters
    ----------
    base_url
        Of the provider, with or without ``/v1``.
    filter
        In OPTIMADE's language, such as ``elements HAS "F" AND nelements=2``; empty for all.
    """

    base_url: str
    filter: str = ""

    @classmethod
    def parse(cls, text: str) -> OptimadeSource:
        """From ``optimade:<name or base URL>?<filter>``."""
        place, _, wanted = text.removeprefix(PREFIX).partition("?")
        base = PROVIDERS.get(place.strip(), place.strip())
        if not base.startswith(("http://", "https://")):
            raise DataError(
                f"{place!r} is neither the base URL of an OPTIMADE provider nor one of "
                f"{', '.join(PROVIDERS)}; providers are listed at https://providers.optimade.org"
            )
        return cls(base.rstrip("/"), wanted.removeprefix("filter="))

    @property
    def path(self) -> str:
        """What to call it in messages."""
        return f"{public(self.base_url)} ({self.filter or 'everything'})"

    def sha256(self) -> str:
        """Digest of the query; what a live database answers has none."""
        return hashlib.sha256(f"{self.base_url}?{self.filter}".encode()).hexdigest()

    def chunks(self, start: int = 0, size: int = CHUNK_ROWS) -> Iterator[Chunk]:
        """Rows from number ``start`` on, page after page.

        Raises
        ------
        DataError
            If the provider refuses the filter, cannot be reached or answers in an unknown form.
        """
        row, part, total = 0, list[Item](), 0
        for entries, total in self._pages():
            for entry in entries:
                if row >= start:
                    part.append((row, _cells(entry)))
                row += 1
            if len(part) >= size:
                yield chunk_of(part, row, max(row, total))
                part = []
        yield chunk_of(part, row, max(row, total))

    def _pages(self) -> Iterator[tuple[list[Any], int]]:
        root = self.base_url if self.base_url.endswith("/v1") else f"{self.base_url}/v1"
        names = dict.fromkeys((*_FIELDS, *(p.split(".")[0] for p in PROPERTIES)))
        url = f"{root}/structures?page_limit={_PAGE}&response_fields={quote(','.join(names))}"
        if self.filter:
            url += f"&filter={quote(self.filter)}"
        seen: set[str] = set()
        while url:
            if url in seen or len(seen) > _MAX_PAGES:
                raise DataError(f"{self.path} sends the same page again and again")
            seen.add(url)
            answer = fetch_json(url)
            if not isinstance(answer, dict) or not isinstance(answer.get("data"), list):
                raise DataError(f"{self.path} does not answer in the form of OPTIMADE")
            meta = answer.get("meta")
            total = meta.get("data_returned") if isinstance(meta, dict) else None
            yield answer["data"], total if isinstance(total, int) else 0
            url = _next(answer, url)


def _next(answer: Mapping[str, Any], url: str) -> str:
    links = answer.get("links")
    following = links.get("next") if isinstance(links, dict) else None
    if isinstance(following, dict):
        following = following.get("href")
    return urljoin(url, following) if isinstance(following, str) and following else ""


def _cells(entry: Any) -> dict[str, Any]:
    """One entry as a row: id, structure, formula and the properties that are known."""
    if not isinstance(entry, dict):
        return {"id": None, "structure": None}
    attributes = entry.get("attributes")
    attributes = attributes if isinstance(attributes, dict) else {}
    row = {
        "id": entry.get("id"),
        "structure": {name: attributes.get(name) for name in _FIELDS[:4]},
        "formula": attributes.get("chemical_formula_reduced"),
    }
    for path, name in PROPERTIES.items():
        value: Any = attributes
        for step in path.split("."):
            value = value.get(step) if isinstance(value, dict) else None
        if isinstance(value, (int, float)):
            row[name] = value
    return row
