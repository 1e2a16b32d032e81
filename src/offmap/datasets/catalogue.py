"""The functions behind ``offmap data``: what there is, what it is, get it, convert it."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pandas as pd

from offmap import registry
from offmap.datasets import materials_project, optimade, pickles, prototypes, published
from offmap.datasets.base import Card
from offmap.datasets.cards import snapshots
from offmap.datasets.files import find_source
from offmap.datasets.loading import load
from offmap.datasets.reading import Reader
from offmap.datasets.stream import Converted, convert
from offmap.progress import Progress

LIVE = {
    "optimade:<provider or URL>?<filter>": "any OPTIMADE provider, imported into a file",
    "mp:<criterion>=<value>&...": "the Materials Project of today, with your key in MP_API_KEY",
}
"""Sources that ``offmap data import`` takes besides files."""


def ls() -> pd.DataFrame:
    """Every dataset that can be named, with title, number of materials, targets and state."""
    rows: list[dict[str, Any]] = []
    for name, entry in registry.names("dataset").items():
        known = snapshots().get(name)
        if known is None:
            state = "embedded" if name == prototypes.NAME else "package"
            rows.append({"name": name, "title": entry.summary, "state": state})
            continue
        rows.append(
            {
                "name": name,
                "title": known.title,
                "materials": f"{known.n_materials:,}" if known.n_materials else "",
                "targets": ", ".join(known.targets),
                "state": "fetched" if published.is_fetched(name) else "on the web",
            }
        )
    rows += [{"name": name, "title": title, "state": "live"} for name, title in LIVE.items()]
    return pd.DataFrame(rows).fillna("")


def info(name: str) -> dict[str, Any]:
    """A dataset's card as plain values: source, licence, citation, targets with units, flaws.

    Raises
    ------
    UnknownNameError
        If neither a dataset nor a file has the name.
    """
    known = snapshots().get(name)
    if known is not None:
        facts = _facts(known.card())
        facts["materials"] = known.n_materials or "not stated"
        facts["file"] = known.file
        facts["checksum"] = known.checksum or "recorded at the first download"
        facts["state"] = "fetched" if published.is_fetched(name) else "on the web"
        return facts
    dataset = load(name, target=None)
    return _facts(dataset.card) | {
        "materials": len(dataset),
        "set aside": len(dataset.rejected),
        "sha256": dataset.sha256,
    }


def _facts(card: Card) -> dict[str, Any]:
    facts = {
        "name": card.name,
        "title": card.title,
        "source": card.source,
        "licence": card.licence,
        "citation": card.citation,
        "doi": card.doi,
        "functional": card.functional,
        "targets": ", ".join(f"{k} ({v})" if v else k for k, v in card.targets.items()),
        "known flaws": " ".join(card.known_flaws),
    }
    return {k: v for k, v in facts.items() if v}


def fetch(name: str, progress: Progress | None = None, allow_pickle: bool = False) -> Path:
    """Download and convert a named snapshot once; see :func:`published.fetch`."""
    return published.fetch(name, progress, allow_pickle)


def import_file(
    source: str | Path,
    out: str | Path,
    progress: Progress | None = None,
    allow_pickle: bool = False,
) -> Path:
    """Convert crystals to a Parquet file, which is returned; see :func:`convert_source`."""
    return convert_source(source, out, progress, allow_pickle).path


def convert_source(
    source: str | Path,
    out: str | Path,
    progress: Progress | None = None,
    allow_pickle: bool = False,
) -> Converted:
    """Convert crystals to columnar Parquet in little memory; an interrupted conversion goes on.

    Parameters
    ----------
    source
        A file or folder, ``optimade:...`` or ``mp:...``.
    out
        The Parquet file to write; rows set aside go beside it as ``<stem>.rejected.parquet``.
    progress
        Called with how much is done and how much there is.
    allow_pickle
        Read a pickled table, with the restricted reader.

    Raises
    ------
    DataError
        If the source cannot be used.
    """
    text, out = str(source), Path(out)
    found: Any
    if text.startswith(optimade.PREFIX):
        found = optimade.OptimadeSource.parse(text)
    elif text.startswith(materials_project.PREFIX):
        found = materials_project.MaterialsProjectSource.parse(text)
    elif Path(text).suffix.lower() in (".pkl", ".pickle") and Path(text).is_file():
        pickles.check_allowed(Path(text), allow_pickle)
        found = pickles.PickleSource(Path(text))
    else:
        found = find_source(text)
    out = out if out.suffix == ".parquet" else out.with_name(f"{out.name}.parquet")
    return convert(Reader(found), out, found.sha256(), progress)
