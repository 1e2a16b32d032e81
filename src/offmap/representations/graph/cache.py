"""Graphs on disk by content of the crystal, so that each is built once."""

from __future__ import annotations

from dataclasses import replace

import numpy as np

from offmap.cache import cache_folder
from offmap.crystals import Crystals
from offmap.progress import Progress
from offmap.representations.array_cache import ArrayCache
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
    cache = cache_of(rule)
    keys = crystals.content_hash().astype("S32")
    distinct, first, which = np.unique(keys, return_index=True, return_inverse=True)
    parts, held = [], []
    for known, arrays, reasons in cache.batches(distinct):
        wanted = np.flatnonzero(np.isin(known, distinct))
        parts.append(Graphs(**arrays, reasons=reasons).take(wanted))
        held.append(known[wanted])
    missing = np.sort(first[~np.isin(distinct, np.concatenate([np.empty(0, "S32"), *held]))])
    for i in range(0, len(missing), _BATCH):
        if progress:
            progress(len(crystals) - len(missing) + i, len(crystals))
        batch = missing[i : i + _BATCH]
        parts.append(build_graphs(crystals.take(batch), rule))
        held.append(keys[batch])
        arrays = {name: getattr(parts[-1], name) for name in cache.names}
        cache.add(keys[batch], arrays, parts[-1].reasons)
    if progress:
        progress(len(crystals), len(crystals))
    if not parts:
        return build_graphs(crystals, rule)
    _, place = np.unique(np.concatenate(held), return_index=True)
    return Graphs.concat(parts).take(place[which]).with_own_images(own_images)


def cache_of(rule: GraphRule) -> ArrayCache:
    """The cache of one rule."""
    name = "-".join(f"{value:g}" for value in (rule.neighbours, rule.radius, rule.tolerance))
    return ArrayCache(cache_folder("graphs", f"v{_VERSION}-{name}"), _ARRAYS)
