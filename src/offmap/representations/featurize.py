"""Crystals to features, in parallel, each crystal once: what was computed is found again."""

from __future__ import annotations

import io
import itertools
import json
import os
import uuid
from collections.abc import Callable, Iterator, Mapping
from concurrent.futures.process import BrokenProcessPool
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any, TypeAlias

import numpy as np
from numpy.typing import NDArray

from offmap import registry
from offmap.cache import cache_folder
from offmap.checked_files import digest
from offmap.crystals import Crystals
from offmap.errors import OffmapError
from offmap.processes import pool
from offmap.progress import Progress
from offmap.representations.base import Features, Representation
from offmap.store import slug

Keys: TypeAlias = NDArray[np.bytes_]
"""Hashes of the content of crystals, shape (n,)."""

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
    say: Callable[[str], None] | None = None,
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
    say
        Told if something in the cache was damaged.

    Returns
    -------
    Features
        Values of shape (n_crystals, n_columns); NaN rows, with a reason, where it failed.
    """
    described = load_representation(representation)
    cache = FeatureCache.of(representation, described)
    keys = crystals.content_hash().astype("S32")
    distinct, first = np.unique(keys, return_index=True)
    whole, damaged = cache.find(distinct)
    for stem in damaged:
        cache.remove(stem)
    if damaged and say:
        say(f"{len(damaged)} damaged files in {cache.folder}: what they held is computed again")
    known = np.concatenate([np.empty(0, "S32"), *whole.values()])
    missing = np.sort(first[~np.isin(distinct, known)])
    batches = [missing[i : i + _BATCH] for i in range(0, len(missing), _BATCH)]
    done = len(crystals) - len(missing)
    if progress:
        progress(done, len(crystals))
    results = _describe_all(representation, (crystals.take(b) for b in batches), len(batches), jobs)
    for batch, found in zip(batches, results, strict=True):
        whole[cache.add(keys[batch], found)] = keys[batch]
        done += len(batch)
        if progress:
            progress(done, len(crystals))
    return cache.read(whole, keys, described.columns)


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
    written last, ``.keys.npy`` (n,). The stem is the checksum of the three.
    """

    folder: Path
    n_columns: int

    @classmethod
    def of(cls, name: str, representation: Representation) -> FeatureCache:
        """The cache of one version of a representation."""
        folder = cache_folder("features", f"{slug(name)}-v{representation.version}")
        return cls(folder, len(representation.columns))

    def find(self, distinct: Keys) -> tuple[dict[str, Keys], list[str]]:
        """Batches that hold any of these crystals: stem -> keys of whole ones, stems of damaged.

        ``distinct`` is sorted.
        """
        whole: dict[str, Keys] = {}
        damaged = []
        for path in sorted(self.folder.glob("*.keys.npy")):
            stem = path.name.removesuffix(".keys.npy")
            try:
                found = np.load(path, allow_pickle=False)
                if not (_places(distinct, found) >= 0).any():
                    continue
                contents = [(self.folder / f"{stem}.{part}").read_bytes() for part in _PARTS]
                if digest(b"".join(contents)) != stem:
                    raise ValueError("not what was written")
            except (OSError, ValueError, EOFError):
                damaged.append(stem)
            else:
                whole[stem] = found
        return whole, damaged

    def add(self, keys: Keys, features: Features) -> str:
        """Keep one batch; its stem."""
        reasons = json.dumps({str(i): why for i, why in features.reasons.items()}).encode()
        contents = (_npy(features.values), reasons, _npy(keys))
        stem = digest(b"".join(contents))
        for part, content in zip(_PARTS, contents, strict=True):
            temporary = self.folder / f".{uuid.uuid4().hex}"
            temporary.write_bytes(content)
            os.replace(temporary, self.folder / f"{stem}.{part}")
        return stem

    def remove(self, stem: str) -> None:
        """Forget a batch; one that cannot be removed is found damaged again."""
        for part in reversed(_PARTS):
            with suppress(OSError):
                (self.folder / f"{stem}.{part}").unlink()

    def read(self, batches: Mapping[str, Keys], keys: Keys, columns: tuple[str, ...]) -> Features:
        """Features of crystals that are all in these batches, in the order of ``keys``."""
        distinct, which = np.unique(keys, return_inverse=True)
        values = np.full((len(distinct), len(columns)), np.nan)
        why: dict[int, str] = {}
        for stem, found in batches.items():
            block = np.load(self.folder / f"{stem}.values.npy", mmap_mode="r")
            reasons = json.loads((self.folder / f"{stem}.reasons.json").read_bytes())
            places = _places(distinct, found)
            wanted = np.flatnonzero(places >= 0)
            rows = places[wanted]
            values[rows] = block[wanted]
            for row, source in zip(rows.tolist(), wanted.tolist(), strict=True):
                if str(source) in reasons:
                    why[row] = reasons[str(source)]
        reasons_of = {i: why[row] for i, row in enumerate(which.tolist()) if row in why}
        return Features(values[which], columns, reasons_of)


_PARTS = ("values.npy", "reasons.json", "keys.npy")  # in the order in which they are written


def _places(distinct: Keys, keys: Keys) -> NDArray[np.int64]:
    """Where each key is in a sorted array, -1 if it is not; shape (n_keys,)."""
    if not len(distinct):
        return np.full(len(keys), -1)
    places = np.minimum(np.searchsorted(distinct, keys), len(distinct) - 1)
    return np.where(distinct[places] == keys, places, -1)


def _npy(array: NDArray[Any]) -> bytes:
    buffer = io.BytesIO()
    np.save(buffer, array)
    return buffer.getvalue()
