"""The one downloader: resumes, retries, verifies, and never leaves half a file under its name."""

from __future__ import annotations

import json
import os
import shutil
import time
import urllib.error
from collections.abc import Callable
from pathlib import Path
from typing import Any

from offmap.datasets import web
from offmap.datasets.files import digest
from offmap.errors import DataError
from offmap.progress import Progress

MIRROR = "OFFMAP_MIRROR"
"""Environment variable: a folder of files got by other means, looked into before the network."""

_BLOCK = 2**18


class _Interrupted(Exception):
    """The body ended before its stated length."""


def download(
    url: str,
    target: Path,
    checksum: str = "",
    progress: Progress | None = None,
    wait: Callable[[float], object] = time.sleep,
) -> Path:
    """Fetch a file, unless it is there already.

    What arrives goes to a hidden file beside the target, so that a later call resumes it; it gets
    its name only when it is whole and has the right digest. A second process waits for the first.

    Parameters
    ----------
    url
        Where it is published.
    target
        Where it shall lie.
    checksum
        Such as ``"md5:0d16..."``, as the publisher states it. Where none is stated, the digest of
        the first download is recorded in ``checksums.json`` and later ones must have the same.
    progress
        Called with bytes done and bytes in all (0 if the server does not say).
    wait
        How to sleep between attempts.

    Raises
    ------
    DataError
        If it cannot be had; the message says where to place the file by hand.
    """
    from filelock import FileLock

    try:
        target.parent.mkdir(parents=True, exist_ok=True)
        with FileLock(target.with_name(f".{target.name}.lock")):
            if not target.exists():
                part = target.with_name(f".{target.name}.part")
                _obtain(url, target, part, checksum, progress, wait)
            elif not is_recorded(target):  # placed by hand
                _verify(target, target, checksum, url)
    except OSError as error:
        raise DataError(f"cannot write {target}: {error.strerror or error}") from error
    return target


def _obtain(
    url: str,
    target: Path,
    part: Path,
    checksum: str,
    progress: Progress | None,
    wait: Callable[[float], object],
) -> None:
    mirrored = mirror_file(target.name)
    for last in (False, True):
        if mirrored:
            shutil.copyfile(mirrored, part)
        else:
            _stream(url, target, part, progress, wait)
        try:
            _verify(part, target, checksum, url)
        except DataError:
            # A resumed download may join two versions of a file: once more, from the beginning.
            part.unlink(missing_ok=True)
            if last or mirrored:
                raise
        else:
            os.replace(part, target)
            _validator(part).unlink(missing_ok=True)
            return


def mirror_folder() -> Path | None:
    """The folder that ``OFFMAP_MIRROR`` names, if it is one."""
    chosen = os.environ.get(MIRROR)
    folder = Path(chosen).expanduser() if chosen else None
    return folder if folder and folder.is_dir() else None


def mirror_file(name: str) -> Path | None:
    """The file of this name in the mirror folder, if there is one."""
    folder = mirror_folder()
    return folder / name if folder and (folder / name).is_file() else None


def _stream(
    url: str,
    target: Path,
    part: Path,
    progress: Progress | None,
    wait: Callable[[float], object],
) -> None:
    """Bring the hidden file to its full length, over as many connections as it takes."""
    failures = 0
    while True:
        before = part.stat().st_size if part.exists() else 0
        try:
            _receive(url, part, progress)
            return
        except urllib.error.HTTPError as error:
            with error:
                if error.code == 416:  # the part is no beginning of the file
                    part.unlink(missing_ok=True)
                elif error.code not in web.TRY_AGAIN:
                    raise unreachable(url, f"HTTP {error.code} {error.reason}", target) from error
                pause, patience = web.retry_after(error.headers), web.ATTEMPTS
                reason = f"HTTP {error.code} {error.reason}"
        except (*web.TROUBLE, _Interrupted) as error:
            pause, reason, patience = 0.0, web.words(error), web.patience(error)
        after = part.stat().st_size if part.exists() else 0
        failures = 1 if after > before else failures + 1
        if failures >= (web.ATTEMPTS if after else patience):
            raise unreachable(url, reason, target)
        wait(min(max(pause, 2.0 ** (failures - 1)), web.LONGEST_WAIT))


def _receive(url: str, part: Path, progress: Progress | None) -> None:
    have = part.stat().st_size if part.exists() else 0
    headers = {}
    if have and (tag := _read_tag(part)):
        # If the file has changed since, the server sends all of it.
        headers = {"Range": f"bytes={have}-", "If-Range": tag}
    with web.open_url(url, headers) as response:
        if response.status not in (200, 206):  # such as 202, "prove that you are a browser"
            raise _Interrupted(f"HTTP {response.status} {response.reason}, without the file")
        resumed = response.status == 206 and _range_start(response.headers) == have
        done = have if resumed else 0
        length = int(response.headers.get("Content-Length") or 0)
        total = done + length if length else 0
        _write_tag(part, response.headers)
        with part.open("ab" if resumed else "wb") as file:
            while block := response.read(_BLOCK):
                file.write(block)
                done += len(block)
                if progress:
                    progress(done, total)
    if done < total or not done:
        raise _Interrupted(f"only {done:,} of {total:,} bytes came")


def unreachable(url: str, reason: str, target: Path) -> DataError:
    """The error that says what could not be had, and what to do about it."""
    return DataError(
        f"cannot download {web.public(url)}: {reason}. Without a network, get the file by other "
        f"means and put it at {target}, or as {target.name} into a folder that {MIRROR} names."
    )


def _range_start(headers: Any) -> int:
    unit, _, span = (headers.get("Content-Range") or "").partition(" ")
    start = span.partition("-")[0]
    return int(start) if unit == "bytes" and start.isdecimal() else -1


# -- what a part is a part of ------------------------------------------------------------------


def _validator(part: Path) -> Path:
    return part.with_name(f"{part.name}-tag")


def _write_tag(part: Path, headers: Any) -> None:
    tag = headers.get("ETag") or ""
    tag = headers.get("Last-Modified") or "" if tag.startswith("W/") or not tag else tag
    _validator(part).write_text(tag, encoding="utf-8")


def _read_tag(part: Path) -> str:
    try:
        return _validator(part).read_text(encoding="utf-8")
    except OSError:
        return ""


# -- digests -----------------------------------------------------------------------------------


def _record(target: Path) -> Path:
    return target.with_name("checksums.json")


def recorded(target: Path) -> str:
    """Digest (``"sha256:..."``) that a file of this name had when it was first fetched."""
    try:
        known = json.loads(_record(target).read_text(encoding="utf-8"))
    except (OSError, ValueError):
        return ""
    value = known.get(target.name, "") if isinstance(known, dict) else ""
    return str(value)


def is_recorded(target: Path) -> bool:
    """Whether a file has been verified before."""
    return bool(recorded(target))


def _verify(path: Path, target: Path, checksum: str, url: str) -> None:
    """Compare with what the publisher states and with what was fetched before; note the digest."""
    found = f"sha256:{digest(path)}"
    algorithm, _, stated = checksum.partition(":")
    if stated:
        has = digest(path, algorithm)
        if has != stated.lower():
            raise DataError(
                f"{target.name} from {web.public(url)} has the {algorithm} {has}, but its "
                f"publisher states {stated}: it is damaged or not that file"
            )
    before = recorded(target)
    if before and before != found:
        raise DataError(
            f"{target.name} from {web.public(url)} is not what it was when it was first fetched "
            f"({found}, before {before}). If the change is meant, delete {_record(target)}."
        )
    if not before:
        _note(target, found)


def forget(target: Path) -> None:
    """Take back what was recorded about a file."""
    _note(target, "")


def _note(target: Path, found: str) -> None:
    path = _record(target)
    try:
        known = json.loads(path.read_text(encoding="utf-8"))
    except (OSError, ValueError):
        known = {}
    temporary = path.with_name(f".{path.name}-{os.getpid()}")
    temporary.write_text(json.dumps({**known, target.name: found}, indent=1), encoding="utf-8")
    os.replace(temporary, path)
