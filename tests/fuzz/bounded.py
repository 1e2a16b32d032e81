"""Reading a file in a process of its own, with bounds on time and memory."""

from __future__ import annotations

import resource
import signal
import traceback
import warnings
from multiprocessing import get_context
from pathlib import Path
from typing import Any

from offmap.datasets import load
from offmap.errors import OffmapError

# Forks of one process that has imported everything: a start takes milliseconds.
_CONTEXT = get_context("forkserver")
_CONTEXT.set_forkserver_preload(
    [__name__, "ase.io", "gemmi", "pandas", "pyarrow.parquet", "offmap.datasets.structure_files"]
)


_PATIENCE = 600.0  # seconds by the clock, on a machine with other work to do


def read(path: Path, gigabytes: float = 2.0, seconds: int = 30) -> tuple[str, Any, float]:
    """Load a file as ``offmap run`` does.

    Parameters
    ----------
    path
        The file.
    gigabytes
        GiB of address space beyond what the imports take.
    seconds
        Of the processor.

    Returns
    -------
    str
        ``"dataset"``, ``"error"`` (in words), ``"traceback"``, ``"memory"``, ``"hang"`` or
        ``"crash"``.
    object
        Number of materials, or the message.
    float
        Largest resident memory, GiB.
    """
    ours, theirs = _CONTEXT.Pipe(duplex=False)
    process = _CONTEXT.Process(target=_read, args=(path, theirs, gigabytes, seconds))
    process.start()
    theirs.close()
    try:
        if not ours.poll(_PATIENCE):
            return "hang", f"waited {_PATIENCE:g} s", float("nan")
        answer: tuple[str, Any, float] = ours.recv()
        return answer
    except EOFError:
        process.join()
        if process.exitcode == -signal.SIGXCPU:
            return "hang", f"more than {seconds} s of the processor", float("nan")
        return "crash", f"exit code {process.exitcode}", float("nan")
    finally:
        process.kill()
        process.join()


def _read(path: Path, answer: Any, gigabytes: float, seconds: int) -> None:
    resource.setrlimit(resource.RLIMIT_CPU, (seconds, seconds + 1))
    size = int(Path("/proc/self/statm").read_text().split()[0]) * resource.getpagesize()
    most = size + int(gigabytes * 2**30)
    resource.setrlimit(resource.RLIMIT_AS, (most, most))
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        try:
            found: tuple[str, Any] = ("dataset", len(load(path, target=None)))
        except OffmapError as error:
            found = ("error", str(error))
        except MemoryError:
            found = ("memory", traceback.format_exc())
        except BaseException:
            found = ("traceback", traceback.format_exc())
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 2**20
    answer.send((*found, peak))
