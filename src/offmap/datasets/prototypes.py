"""The embedded dataset: small enough to ship, made for learning the tool and for its tests."""

from __future__ import annotations

import json
from importlib.resources import as_file, files
from typing import Any

from offmap.datasets.base import Card, Dataset
from offmap.errors import DataError

NAME = "prototypes"


def load() -> Dataset:
    """The embedded dataset with its card."""
    from offmap.datasets.files import find_source
    from offmap.datasets.reading import Reader, joined

    folder = files("offmap.datasets") / "data"
    table, facts = folder / f"{NAME}.parquet", folder / f"{NAME}.json"
    if not table.is_file():
        raise DataError(f"the embedded dataset {NAME} is missing: install offmap again")
    with as_file(table) as path:
        source = find_source(path)
        key = source.sha256()
        part = joined(list(Reader(source).parts()), str(path))
    known = json.loads(facts.read_text(encoding="utf-8")) if facts.is_file() else {}
    return Dataset(_card(known), part.crystals, part.frame, part.rejected, key)


def _card(facts: dict[str, Any]) -> Card:
    known = {k: v for k, v in facts.items() if k in Card.__dataclass_fields__}
    known |= {
        "name": NAME,
        "known_flaws": tuple(known.get("known_flaws", ())),
        "targets": {name: _unit(facts) for name, facts in known.get("targets", {}).items()},
    }
    return Card(**known)


def _unit(facts: Any) -> str:
    """Unit of a target, stated alone or beside a description."""
    unit = str(facts.get("unit", "")) if isinstance(facts, dict) else str(facts)
    return unit.replace("angstrom**3", "Å³")
