"""Crystals to features, in parallel, each crystal once: what was computed is found by its content."""

from __future__ import annotations

import json
import os
import uuid
from collections.abc import Iterable, Iterator
from concurrent.futures import ProcessPoolExecutor
from dataclasses import dataclass
from multiprocessing import get_context
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from offmap import registry
from offmap.cache import cache_folder
from offmap.crystals import Crystals
from offmap.progress import Progress
from offmap.representations.base import Features, Representation

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
    name: str, batches: Iterable[Crystals], n_batches: int, jobs: int
) -> Iterator[Features]:
    if jobs == 1 or n_batches < 2:
        yield from (_describe(name, batch) for batch in batches)
        return
    with ProcessPoolExecutor(min(jobs, n_batches), mp_context=get_context("spawn")) as pool:
        try:
            yield from pool.map(_describe, [name] * n_batches, batches)
        except BaseException:
            pool.shutdown(wait=False, cancel_futures=True)
            raise


_REPRESENTATIONS: dict[str, Representation] = {}


def _describe(name: str, crystals: Crystals) -> Features:
    if name not in _REPRESENTATIONS:  # once per worker process
        _REPRESENTATIONS[name] = load_representation(name)
    return _REPRESENTATIONS[name].featurize(crystals)


@dataclass(frozen=True)
class FeatureCache:
    """Features on disk by content of the crystal, in files that are never changed.

    Each batch is three files with one stem: ``.values.npy`` (n, n_columns), ``.reasons.json`` and,
    written last, ``.keys.npy`` (n,); a batch without keys was cut short and does not count.
    """

    folder: Path

    @classmethod
    def of(cls, name: str, representation: Representation) -> FeatureCache:
        """The cache of one version of a representation."""
        safe = "".join(c if c.isalnum() else "-" for c in name)
        return cls(cache_folder("features", f"{safe}-v{representation.version}"))

    def _batches(self) -> list[Path]:
        return sorted(self.folder.glob("*.keys.npy"))

    def holds(self, keys: NDArray[np.bytes_]) -> NDArray[np.bool_]:
        """Which of these crystals are there, shape (n,)."""
        known = [found for path in self._batches() if (found := _load(path)) is not None]
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
        order = np.argsort(keys, kind="stable")
        ordered = keys[order]
        values = np.full((len(keys), len(columns)), np.nan)
        reasons: dict[int, str] = {}
        for path in self._batches():
            found = _load(path)
            block = _load(path.with_name(path.name.replace(".keys.", ".values.")))
            if found is None or block is None:
                continue
            start = np.searchsorted(ordered, found, side="left")
            stop = np.searchsorted(ordered, found, side="right")
            source = np.repeat(np.arange(len(found)), stop - start)
            shift = np.arange(len(source)) - np.repeat(np.cumsum(stop - start) - (stop - start), stop - start)
            target = order[np.repeat(start, stop - start) + shift]
            values[target] = block[source]
            why = json.loads(path.with_name(path.name.replace(".keys.npy", ".reasons.json")).read_text())
            if why:
                reasons |= {int(t): why[str(s)] for t, s in zip(target, source, strict=True) if str(s) in why}
        return Features(values, columns, dict(sorted(reasons.items())))


def _load(path: Path) -> NDArray[Any] | None:
    """An array, or None (and the file removed) if it is damaged."""
    try:
        array: NDArray[Any] = np.load(path, mmap_mode="r", allow_pickle=False)
    except FileNotFoundError:
        return None
    except (OSError, ValueError, EOFError):
        path.unlink(missing_ok=True)
        return None
    return array
