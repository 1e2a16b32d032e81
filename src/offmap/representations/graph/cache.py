"""Graphs on disk by content of the crystal, so that each is built once."""

from __future__ import annotations

import json
import os
import uuid
from collections.abc import Iterator
from dataclasses import dataclass, replace
from pathlib import Path
from zipfile import BadZipFile

import numpy as np
from numpy.typing import NDArray

from offmap.cache import cache_folder
from offmap.crystals import Crystals
from offmap.progress import Progress
from offmap.representations.graph import GraphRule, Graphs, build_graphs

# Raised whenever the same crystal gets another graph.
_VERSION = 1

# Crystals per file: what a killed run can lose.
_BATCH = 4096

_ARRAYS = ("numbers", "atoms", "source", "target", "vector", "edges")


def graphs(
    crystals: Crystals, rule: GraphRule | None = None, progress: Progress | None = None
) -> Graphs:
    """Graphs of crystals, reusing every one that was built before.

    Parameters
    ----------
    crystals
        Whose graphs.
    rule
        Which atoms are joined; by default ALIGNN's.
    progress
        Called with crystals done and crystals in all.
    """
    own_images = rule.own_images if rule else 1
    rule = replace(rule or GraphRule(), own_images=1)
    cache = GraphCache.of(rule)
    keys = crystals.content_hash().astype("S32")
    distinct, first, which = np.unique(keys, return_index=True, return_inverse=True)
    parts, held = [], []
    for known, found in cache.batches():
        wanted = np.flatnonzero(np.isin(known, distinct))
        if len(wanted):
            parts.append(found.take(wanted))
            held.append(known[wanted])
    missing = np.sort(first[~np.isin(distinct, np.concatenate([np.empty(0, "S32"), *held]))])
    for i in range(0, len(missing), _BATCH):
        if progress:
            progress(len(crystals) - len(missing) + i, len(crystals))
        batch = missing[i : i + _BATCH]
        parts.append(build_graphs(crystals.take(batch), rule))
        held.append(keys[batch])
        cache.add(keys[batch], parts[-1])
    if progress:
        progress(len(crystals), len(crystals))
    if not parts:
        return build_graphs(crystals, rule)
    _, place = np.unique(np.concatenate(held), return_index=True)
    return Graphs.concat(parts).take(place[which]).with_own_images(own_images)


@dataclass(frozen=True)
class GraphCache:
    """Files of graphs that are never changed; one that was cut short or damaged does not count."""

    folder: Path

    @classmethod
    def of(cls, rule: GraphRule) -> GraphCache:
        """The cache of one rule."""
        name = "-".join(f"{value:g}" for value in (rule.neighbours, rule.radius, rule.tolerance))
        return cls(cache_folder("graphs", f"v{_VERSION}-{name}"))

    def batches(self) -> Iterator[tuple[NDArray[np.bytes_], Graphs]]:
        """Keys and graphs of every file that is whole."""
        for path in sorted(self.folder.glob("*.npz")):
            try:
                with path.open("rb") as opened, np.load(opened, allow_pickle=False) as file:
                    keys, reasons = file["keys"], json.loads(str(file["reasons"]))
                    arrays = {name: file[name] for name in _ARRAYS}
                    found = Graphs(**arrays, reasons={int(i): w for i, w in reasons.items()})
            except (OSError, ValueError, KeyError, EOFError, BadZipFile):
                continue
            if len(keys) == len(found):
                yield keys, found

    def add(self, keys: NDArray[np.bytes_], found: Graphs) -> None:
        """Keep the graphs of one batch."""
        temporary = self.folder / f".{uuid.uuid4().hex}.tmp"
        arrays = {name: getattr(found, name) for name in _ARRAYS}
        with temporary.open("wb") as file:
            np.savez(file, keys=keys, reasons=json.dumps(found.reasons), **arrays)
        os.replace(temporary, self.folder / f"{temporary.stem[1:]}.npz")
