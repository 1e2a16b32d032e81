"""Who works in a study folder: one run, or shards of one run beside each other."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path

from offmap.errors import StudyError

_WAIT = 600.0  # seconds for other shards to make the study: they hold the folder only for that


@contextmanager
def hold(folder: Path, part: str = "") -> Iterator[None]:
    """Hold a folder against other runs; a killed run lets go by itself.

    Parameters
    ----------
    folder
        Made if it is not there.
    part
        Name of a shard: other shards may work in the folder too, but not this one twice, nor a
        whole run.

    Raises
    ------
    StudyError
        If it is held by another run, or cannot be made.
    """
    try:
        folder.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise StudyError(f"cannot make the folder {folder}: {error.strerror}") from error
    with ExitStack() as held:
        if part:
            held.enter_context(_locked(folder, f".lock-{part}", f"shard {part}"))
        else:
            held.enter_context(_locked(folder, ".lock", "another run"))
            for path in sorted(folder.glob(".lock-*")):
                with _locked(folder, path.name, f"shard {path.name.removeprefix('.lock-')}"):
                    pass
        yield


@contextmanager
def hold_briefly(folder: Path) -> Iterator[None]:
    """Hold the whole folder for a moment, as a shard that makes the study does; wait for it."""
    with _locked(folder, ".lock", "another run", _WAIT):
        yield


@contextmanager
def _locked(folder: Path, name: str, who: str, wait: float = 0.0) -> Iterator[None]:
    from filelock import FileLock, Timeout

    lock = FileLock(folder / name, timeout=wait)
    try:
        lock.acquire()
    except Timeout as error:
        raise StudyError(f"{who} is working in {folder}; wait for it or stop it") from error
    except OSError as error:
        raise StudyError(f"cannot write in {folder}: {error.strerror or error}") from error
    try:
        yield
    finally:
        lock.release()
