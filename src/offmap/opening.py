"""Opening a study folder to work in it: held against other runs, mended, with its materials."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import NamedTuple

from offmap.engines import Shard, n_cores
from offmap.inputs import Inputs, prepare
from offmap.progress import Reporter, Silent
from offmap.store import Store


class OpenStudy(NamedTuple):
    """What every analysis of a study starts from.

    Parameters
    ----------
    store
        The study folder, held for as long as it is open.
    inputs
        Its materials, features and tasks.
    jobs
        Processes to use.
    reporter
        Shows progress.
    """

    store: Store
    inputs: Inputs
    jobs: int
    reporter: Reporter


@contextmanager
def opened(
    folder: str | Path, jobs: int | None = None, reporter: Reporter | None = None
) -> Iterator[OpenStudy]:
    """Open a study folder to analyse it; the features come from the cache where they are known.

    Raises
    ------
    StudyError
        If there is no study in the folder, its data have changed, or another run holds it.
    """
    store, jobs, reporter = Store.open(folder), jobs or n_cores(), reporter or Silent()
    with held(store, reporter):
        inputs = prepare(store.study(), jobs, reporter, store=store)
        store.check_data(inputs.dataset.sha256)
        yield OpenStudy(store, inputs, jobs, reporter)


@contextmanager
def held(store: Store, reporter: Reporter, shard: Shard | None = None) -> Iterator[None]:
    """Hold a study folder; what a killed run left in it is mended, unless shards are at work.

    Raises
    ------
    StudyError
        If another run holds it.
    """
    with store.lock(shard.name if shard else ""):
        for text in () if shard else store.clean():
            reporter.say(text)
        yield
