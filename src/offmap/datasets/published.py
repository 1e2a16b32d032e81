"""The named snapshots: fetched once, converted once, read from the converted copy ever after.

``offmap.datasets.published:<name>`` is the loader of the snapshot ``<name>`` of ``cards.toml``.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any

from offmap.cache import cache_folder
from offmap.datasets import converted, download, pickles, web
from offmap.datasets.base import Dataset
from offmap.datasets.cards import Snapshot, snapshot, snapshots
from offmap.datasets.files import find_source
from offmap.datasets.reading import Reader
from offmap.datasets.stream import convert
from offmap.errors import DataError, OffmapError
from offmap.progress import Progress

ZENODO = "https://zenodo.org/api/records"

_PREFERRED = (".parquet", ".json", ".jsonl", ".csv", ".pkl", ".pickle")
"""Forms of one snapshot, the ones that are safe and can be streamed first."""


def __getattr__(name: str) -> Callable[[], Dataset]:
    """A loader for each named snapshot."""
    if name in snapshots():
        return partial(load, name)
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")


def load(name: str, progress: Progress | None = None) -> Dataset:
    """The dataset of this name, fetched first if need be."""
    found = snapshot(name)
    path = fetch(name, progress=progress)
    part = converted.load(path.parent)
    if part is None:
        raise DataError(f"{path} is damaged: delete its folder and run again")
    digest = path.with_name(converted.DIGEST).read_text(encoding="utf-8").strip()
    return Dataset(found.card(), part.crystals, part.frame, part.rejected, digest)


def fetch(name: str, progress: Progress | None = None, allow_pickle: bool = False) -> Path:
    """Download a snapshot and convert it, unless that was done before.

    Parameters
    ----------
    name
        Of ``cards.toml``.
    progress
        Called with bytes done and bytes in all: first of the download, then of the conversion.
    allow_pickle
        Read pickles with the restricted reader, where no other form is published.

    Returns
    -------
    Path
        The converted file, columnar Parquet.

    Raises
    ------
    UnknownNameError
        If no snapshot has the name.
    DataError
        If it cannot be had, or is not what it should be.
    """
    from filelock import FileLock

    found = snapshot(name)
    folder = cache_folder(name)
    ready = _ready(found, folder)
    if ready:
        return ready
    remote = _locate(found, folder)
    if _is_pickle(remote.file):
        pickles.check_allowed(Path(remote.file), allow_pickle)
    raw = download.download(remote.url, folder / remote.file, remote.checksum, progress)
    digest = download.recorded(raw).removeprefix("sha256:")
    with FileLock(folder / ".convert.lock"):
        ready = _ready(found, folder)  # a second process may have waited for the first
        if ready:
            return ready
        try:
            out = _convert(found, raw, digest, progress)
        except DataError as error:
            if remote.checksum:
                raise
            # Nobody has said what the file should be: its digest is no reference.
            download.forget(raw)
            raise DataError(f"{error} To download it again, delete {raw}.") from error
        out.with_name(converted.DIGEST).write_text(digest, encoding="utf-8")
        return out


def _convert(found: Snapshot, raw: Path, digest: str, progress: Progress | None) -> Path:
    is_pickle = _is_pickle(raw.name)
    source: Any = pickles.PickleSource(raw, found.drop_last) if is_pickle else find_source(raw)
    reader = Reader(source, found.layout, found.rename)
    return convert(reader, _place(found, digest) / converted.MATERIALS, digest, progress).path


def _is_pickle(name: str) -> bool:
    return name.endswith((".pkl", ".pickle"))


def is_fetched(name: str) -> bool:
    """Whether the converted copy is there already; looks at nothing but file names."""
    try:
        return _ready(snapshot(name), cache_folder() / name) is not None
    except OffmapError:
        return False


def _ready(found: Snapshot, folder: Path) -> Path | None:
    """The converted copy of the file that was fetched last."""
    for path in sorted(folder.glob(f"*/{converted.DIGEST}")):
        digest = path.read_text(encoding="utf-8").strip()
        out = path.with_name(converted.MATERIALS)
        if path.parent == _place(found, digest) and out.is_file():
            return out
    return None


def _place(found: Snapshot, digest: str) -> Path:
    variant = f"{found.layout}{sorted(found.rename.items())}{found.drop_last}"
    place = converted.place(found.name, converted.key_of(digest, variant))
    if place is None:
        raise DataError(f"cannot keep {found.name}: the cache folder cannot be made (OFFMAP_CACHE)")
    return place


# -- where a snapshot is ------------------------------------------------------------------------


@dataclass(frozen=True)
class Remote:
    """One file on the web."""

    url: str
    file: str
    checksum: str = ""


def _locate(found: Snapshot, folder: Path) -> Remote:
    """The file to download: as the card says, or as the record's listing says."""
    if found.url:
        return Remote(found.url, found.file, found.checksum)
    # A file that was placed by hand, or lies in the mirror, needs no listing.
    for place in (folder, download.mirror_folder()):
        names = [p.name for p in place.iterdir() if p.is_file()] if place else []
        if chosen := _choose([n for n in names if _belongs(n, found)], found):
            return Remote(found.where, chosen)
    try:
        record = web.fetch_json(f"{ZENODO}/{found.zenodo}")
        listed = {str(f["key"]): f for f in record["files"]}
        chosen = _choose([n for n in listed if _belongs(n, found)], found)
        if not chosen:
            raise DataError(
                f"Zenodo record {found.zenodo} has no file that begins with {found.file}; "
                f"it has {', '.join(sorted(listed)) or 'none'}"
            )
        entry = listed[chosen]
        return Remote(str(entry["links"]["self"]), chosen, str(entry.get("checksum", "")))
    except (KeyError, TypeError) as error:
        raise DataError(f"the listing of {found.where} has an unknown form ({error})") from error
    except DataError as error:
        raise DataError(
            f"{error}. Without a network, get the file that begins with {found.file} from "
            f"{found.where} and put it into {folder}, or into a folder that "
            f"{download.MIRROR} names."
        ) from error


def _belongs(name: str, found: Snapshot) -> bool:
    rest = name[len(found.file) :]
    return name.startswith(found.file) and bool(rest) and not rest[0].isalnum()


def _choose(names: list[str], found: Snapshot) -> str:
    """The best form: no pickle if there is another, then the name that the authors' script uses."""

    def rank(name: str) -> tuple[int, bool, str]:
        forms = [i for i, suffix in enumerate(_PREFERRED) if suffix in Path(name).suffixes]
        return (min(forms, default=99), name != f"{found.file}_featurized_matminer.pkl", name)

    usable = [name for name in names if rank(name)[0] < 99]
    return min(usable, key=rank, default="")
