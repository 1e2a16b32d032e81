"""Opening files that may be compressed: read in place, never extracted, with bounds."""

from __future__ import annotations

import bz2
import gzip
import io
import lzma
import zipfile
import zlib
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path, PurePosixPath
from typing import IO, Any, cast

from offmap.errors import DataError

MAX_BYTES = 64 * 2**30
"""Most that one file may grow to when it is decompressed."""

_MAX_RATIO = 2000  # deflate itself stops near 1032; more is a bomb or a mistake
_RATIO_FROM = 2**30

DAMAGED = (OSError, EOFError, zlib.error, lzma.LZMAError, zipfile.BadZipFile, NotImplementedError)
"""What the decompressors raise on a damaged file."""

_COMPRESSED = {b"\x1f\x8b": ".gz", b"PK": ".zip", b"BZh": ".bz2", b"\xfd7zXZ": ".xz"}

_OPENERS: dict[str, Callable[[IO[bytes]], Any]] = {
    ".gz": gzip.open,
    ".bz2": bz2.open,
    ".xz": lzma.open,
}


def compression(path: Path) -> str:
    """``".gz"``, ``".zip"``, ``".bz2"``, ``".xz"``, or ``""``, from the first bytes of the file."""
    with path.open("rb") as file:
        head = file.read(6)
    return next((kind for magic, kind in _COMPRESSED.items() if head.startswith(magic)), "")


def members(path: Path) -> list[str]:
    """Files in a zip archive that hold data: no folders, hidden files or macOS leftovers."""
    try:
        with zipfile.ZipFile(path) as archive:
            names = archive.namelist()
    except (*DAMAGED, ValueError) as error:
        raise DataError(f"{path} is not a readable zip archive: {error}") from error
    return [name for name in names if name and not name.endswith("/") and not _hidden(name)]


def _hidden(name: str) -> bool:
    parts = PurePosixPath(name).parts
    return "__MACOSX" in parts or any(part.startswith(".") for part in parts)


@dataclass(frozen=True)
class OpenFile:
    """A file being read: its decompressed bytes, and how far that is through what lies on disk."""

    file: IO[bytes]
    position: Callable[[], int]
    size: int


@contextmanager
def open_bytes(path: Path, member: str = "", limit: int = MAX_BYTES) -> Iterator[OpenFile]:
    """Open a file for reading, decompressed as it is read.

    Parameters
    ----------
    path
        The file.
    member
        Which file of a zip archive; it is read in place and never written to disk.
    limit
        Most bytes it may grow to.

    Raises
    ------
    DataError
        If it cannot be opened, or (while reading) is damaged or grows beyond the limit.
    """
    kind = compression(path)
    size = path.stat().st_size
    try:
        with path.open("rb") as raw:
            if kind == ".zip":
                with (
                    zipfile.ZipFile(raw) as archive,
                    archive.open(_member(archive, member)) as file,
                ):
                    yield OpenFile(_bounded(file, limit, size, path), raw.tell, size)
            elif kind:
                with _OPENERS[kind](raw) as file:
                    yield OpenFile(_bounded(file, limit, size, path), raw.tell, size)
            else:
                yield OpenFile(raw, raw.tell, size)
    except DAMAGED as error:
        what = f"{path} ({member})" if member else str(path)
        raise DataError(f"{what} is damaged or cut short: {error}") from error


def _member(archive: zipfile.ZipFile, name: str) -> zipfile.ZipInfo:
    info = archive.getinfo(name)
    if info.flag_bits & 1:
        raise DataError(f"{archive.filename}: {name} is encrypted")
    return info


def _bounded(file: IO[bytes], limit: int, packed: int, path: Path) -> IO[bytes]:
    return io.BufferedReader(_Bounded(file, limit, packed, path), 2**20)


class _Bounded(io.RawIOBase):
    """A decompressed stream that stops when it grows beyond reason."""

    def __init__(self, file: IO[bytes], limit: int, packed: int, path: Path) -> None:
        self._file, self._path, self._packed = file, path, max(packed, 1)
        self._limit, self._done = limit, 0

    def readable(self) -> bool:
        return True

    def readinto(self, buffer: object) -> int:
        view = memoryview(cast(bytearray, buffer))
        data = self._file.read(len(view))
        view[: len(data)] = data
        self._done += len(data)
        ratio = self._done / self._packed
        if self._done > self._limit or (self._done > _RATIO_FROM and ratio > _MAX_RATIO):
            size = f"{self._done / 2**30:.1f} GiB (from {self._packed / 2**20:.1f} MiB)"
            raise DataError(f"{self._path} grows to more than {size}; it is not read further")
        return len(data)
