"""A small study run in a process of its own, which can be told to die at any of its file calls."""

from __future__ import annotations

import os
import resource
import signal
import sys
from multiprocessing import get_context
from multiprocessing.process import BaseProcess
from pathlib import Path
from typing import Any

from offmap.cli import main
from offmap.errors import StudyError
from offmap.evaluate import evaluate
from offmap.inputs import Inputs
from offmap.opening import held
from offmap.stages import create, score
from offmap.store import Store

# Forks of one process that has imported everything: a start takes milliseconds.
_CONTEXT = get_context("forkserver")
_CONTEXT.set_forkserver_preload([__name__, "offmap.models.baselines", "offmap.scores"])


class Log:
    """A reporter that keeps what was said."""

    def __init__(self) -> None:
        self.said: list[str] = []

    def step(self, title: str) -> Any:
        from offmap.progress import Silent

        return Silent().step(title)

    def say(self, text: str) -> None:
        self.said.append(text)


def run(inputs: Inputs, folder: Path) -> list[str]:
    """Do what ``offmap run`` does, from tasks to scores; what was said."""
    store, log = Store(folder), Log()
    store.check(inputs.study)
    with held(store, log):
        create(folder, inputs)
        outcomes = evaluate(store, inputs, 1, log)
        assert not [outcome.error for outcome in outcomes if outcome.error]
        score(store, log)
    return log.said


def start(inputs: Inputs, folder: Path, **how: Any) -> BaseProcess:
    """Run the study in a new process; ``how`` is told to :func:`_begin`."""
    process = _CONTEXT.Process(target=_begin, args=(inputs, folder), kwargs=how)
    process.start()
    return process


def start_command(arguments: list[str], said: Path) -> BaseProcess:
    """Run the command line in a new process, its words in a file."""
    process = _CONTEXT.Process(target=_command, args=(arguments, said))
    process.start()
    return process


def _begin(inputs: Inputs, folder: Path, die_at: int = 0, most_bytes: int = 0) -> None:
    if most_bytes:
        signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
        resource.setrlimit(resource.RLIMIT_FSIZE, (most_bytes, most_bytes))
    if die_at:
        _die_at(die_at, str(folder))
    try:
        run(inputs, folder)
    except StudyError:
        sys.exit(2)


def _die_at(number: int, folder: str) -> None:
    """End this process, as a crash does, before its n-th call on a file of the folder."""
    calls = 0

    def watch(event: str, arguments: tuple[Any, ...]) -> None:
        nonlocal calls
        if event in _FILE_CALLS and folder in str(arguments[:2]):
            calls += 1
            if calls == number:
                os.kill(os.getpid(), signal.SIGKILL)

    sys.addaudithook(watch)


_FILE_CALLS = {
    "open", "os.rename", "os.remove", "os.mkdir", "os.rmdir", "os.chmod", "os.truncate",
    "os.scandir", "os.listdir", "tempfile.mkstemp", "tempfile.mkdtemp", "shutil.rmtree",
}  # fmt: skip


def _command(arguments: list[str], said: Path) -> None:
    signal.signal(signal.SIGINT, signal.default_int_handler)  # as on a terminal
    descriptor = os.open(said, os.O_CREAT | os.O_WRONLY | os.O_APPEND)
    os.dup2(descriptor, 1)
    os.dup2(descriptor, 2)
    sys.stdout = os.fdopen(1, "w", buffering=1)
    sys.stderr = os.fdopen(2, "w", buffering=1)
    sys.argv = ["offmap", *arguments]
    main()
