"""Crystals to features, in parallel, each crystal once: what was computed is found again."""

from __future__ import annotations

import itertools
import json
import os
import uuid
from collections.abc import Iterator
from concurrent.futures.process import BrokenProcessPool
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from offmap import registry
from offmap.cache import cache_folder
from offmap.crystals import Crystals
from offmap.errors import OffmapError
from offmap.processes import pool
from offmap.progress import Progress
from offmap.representations.base import Features, Representation
from offmap.store import slug

# Crystals per batch: what a killed run can lose, and the unit of parallel work.
_BATCH = 512


def load_representation(name: str) -> Representation:
    """The representation of this name, or ``package.module:Class``."""
    representation: Representation = registry.load("representation", name)()
    return representation


def featurize(
    crystals: Crystals,
    representation: str = "matminer",
    jobs: int = 1,
    progress: Progress | None = None,
) -> Features:
    """Describe crystals, reusing every crystal that was described before.

    Parameters
    ----------
    crystals
        What to describe.
    representation
        Name of a representation (``offmap ls representations``) or ``package.module:Class``.
    jobs
        Processes to use.
    progress
        Called with crystals done and crystals in all.

    Returns
    -------
    Features
        Values of shape (n_crystals, n_columns); NaN rows, with a reason, where it failed.
    """
    described = load_representation(representation)
    cache = FeatureCache.of(representation, described)
    keys = crystals.content_hash().astype("S32")
    _, first = np.unique(keys, return_index=True)
    missing = np.sort(first[~cache.holds(keys[first])])
    batches = [missing[i : i + _BATCH] for i in range(0, len(missing), _BATCH)]
    done = len(crystals) - len(missing)
    if progress:
        progress(done, len(crystals))
    results = _describe_all(representation, (crystals.take(b) for b in batches), len(batches), jobs)
    for batch, found in zip(batches, results, strict=True):
        cache.add(keys[batch], found)
        done += len(batch)
        if progress:
            progress(done, len(crystals))
    return cache.read(keys, described.columns)


def _describe_all(
    name: str, batches: Iterator[Crystals], n_batches: int, jobs: int
) -> Iterator[Features]:
    # What a first use compiles is compiled here, once, and found by the workers.
    yield from (_describe(name, batch) for batch in itertools.islice(batches, 1))
    if jobs == 1 or n_batches < 3:
        yield from (_describe(name, batch) for batch in batches)
        return
    try:
        with pool(min(jobs, n_batches - 1)) as workers:
            yield from workers.map(_describe, itertools.repeat(name), batches)
    except BrokenProcessPool as error:
        raise OffmapError(
            "a process that described crystals died (out of memory?); what was described is kept:"
            " run again, with fewer jobs if need be"
        ) from error


_REPRESENTATIONS: dict[str, Representation] = {}


def _describe(name: str, crystals: Crystals) -> Features:
    if name not in _REPRESENTATIONS:  # once per worker process
        _REPRESENTATIONS[name] = load_representation(name)
    return _REPRESENTATIONS[name].featurize(crystals)


@dataclass(frozen=True)
class FeatureCache:
    """Features on disk by content of the crystal, in files that are never changed.

    Each batch is three files with one stem: ``.values.npy`` (n, n_columns), ``.reasons.json`` and,
    written last, ``.keys.npy`` (n,). A batch that was cut short or damaged does not count.
    """

    folder: Path
    n_columns: int

    @classmethod
    def of(cls, name: str, representation: Representation) -> FeatureCache:
        """The cache of one version of a representation."""
        folder = cache_folder("features", f"{slug(name)}-v{representation.version}")
        return cls(folder, len(representation.columns))

    def _batches(self) -> Iterator[tuple[NDArray[np.bytes_], NDArray[np.float64], dict[str, str]]]:
        """Keys, values and reasons of every batch that is whole."""
        for path in sorted(self.folder.glob("*.keys.npy")):
            stem = path.name.removesuffix(".keys.npy")
            try:
                keys = np.load(path, allow_pickle=False)
                values = np.load(self.folder / f"{stem}.values.npy", mmap_mode="r")
                reasons = json.loads((self.folder / f"{stem}.reasons.json").read_bytes())
            except (OSError, ValueError, EOFError):
                continue
            if values.shape == (len(keys), self.n_columns) and isinstance(reasons, dict):
                yield keys, values, reasons

    def holds(self, keys: NDArray[np.bytes_]) -> NDArray[np.bool_]:
        """Which of these crystals are there, shape (n,)."""
        known = [found for found, _, _ in self._batches()]
        mask: NDArray[np.bool_] = np.isin(keys, np.concatenate([np.empty(0, "S32"), *known]))
        return mask

    def add(self, keys: NDArray[np.bytes_], features: Features) -> None:
        """Keep one batch."""
        stem = uuid.uuid4().hex
        reasons = json.dumps({str(i): why for i, why in features.reasons.items()}).encode()
        self._write(f"{stem}.values.npy", features.values)
        self._write(f"{stem}.reasons.json", reasons)
        self._write(f"{stem}.keys.npy", keys)

    def _write(self, name: str, content: NDArray[Any] | bytes) -> None:
        temporary = self.folder / f".{name}"
        with temporary.open("wb") as file:
            if isinstance(content, bytes):
                file.write(content)
            else:
                np.save(file, content)
        os.replace(temporary, self.folder / name)

    def read(self, keys: NDArray[np.bytes_], columns: tuple[str, ...]) -> Features:
        """Features of crystals that are all there, in the order of ``keys``."""
        distinct, which = np.unique(keys, return_inverse=True)
        values = np.full((len(distinct), len(columns)), np.nan)
        why: dict[int, str] = {}
        for found, block, reasons in self._batches():
            wanted = np.flatnonzero(np.isin(found, distinct))
            rows = np.searchsorted(distinct, found[wanted])
            values[rows] = block[wanted]
            for row, source in zip(rows.tolist(), wanted.tolist(), strict=True):
                if str(source) in reasons:
                    why[row] = reasons[str(source)]
        reasons_of = {i: why[row] for i, row in enumerate(which.tolist()) if row in why}
        return Features(values[which], columns, reasons_of)
