"""Materials cut into batches: their order, their size when memory is short, and what is random."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from typing import Any, Protocol

import numpy as np
import torch
from numpy.typing import NDArray

Rows = NDArray[np.int64]


class Batches(Protocol):
    """Materials as a network takes them."""

    @property
    def sizes(self) -> NDArray[np.int64]:
        """Work that each one is (edges, tokens), shape (n,).

        Batches are made of materials of like size where a recipe asks for it; predictions always.
        """
        ...

    def __len__(self) -> int:
        """Number of materials."""
        ...

    def batch(self, rows: Rows) -> Any:
        """The materials at ``rows``, in that order; the object has ``to(device)``."""
        ...


class Ragged:
    """Length and sizes of materials of several parts each that lie one after the other.

    ``offsets``, shape (n + 1,), says where each begins.
    """

    offsets: NDArray[np.int64]

    @property
    def sizes(self) -> NDArray[np.int64]:
        """Parts of each material, shape (n,)."""
        return np.diff(self.offsets)

    def __len__(self) -> int:
        return len(self.offsets) - 1


def order(n: int, batch_size: int, seed: int, epoch: int, like: int, sizes: Rows) -> list[Rows]:
    """Rows of each batch of one epoch: each row once, at random.

    Parameters
    ----------
    n, batch_size
        Number of rows, and rows in a batch; the last batch may be smaller.
    seed, epoch
        What the order follows from, and nothing else.
    like
        So many batches are drawn together, sorted by size and cut up: 1 leaves all to chance.
    sizes
        Work of each row, shape (n,).
    """
    rng = np.random.default_rng([seed, epoch])
    rows = rng.permutation(n)
    if like > 1:
        together = like * batch_size
        parts = [rows[i : i + together] for i in range(0, n, together)]
        rows = np.concatenate([part[np.argsort(sizes[part], kind="stable")] for part in parts])
    batches = [rows[i : i + batch_size] for i in range(0, n, batch_size)]
    return [batches[i] for i in rng.permutation(len(batches))] if like > 1 else batches


def in_pieces(rows: Rows, most: int) -> list[Rows]:
    """Rows in parts of at most ``most``, of nearly equal length.

    Examples
    --------
    >>> [len(part) for part in in_pieces(np.arange(10), 4)]
    [4, 3, 3]
    """
    return np.array_split(rows, -(-len(rows) // most))


def prefetched(make: Callable[[Rows], Any], batches: Iterable[Rows], ahead: bool) -> Iterator[Any]:
    """What ``make`` gives for each batch; the next one is made while one is used, if ``ahead``."""
    if not ahead:
        yield from map(make, batches)
        return
    with ThreadPoolExecutor(1) as one:
        waiting = None
        for rows in batches:
            following = one.submit(make, rows)
            if waiting is not None:
                yield waiting.result()
            waiting = following
        if waiting is not None:
            yield waiting.result()


def out_of_memory(error: BaseException) -> bool:
    """Whether an error says that the memory of the machine or of its graphics card ran out."""
    if isinstance(error, MemoryError | torch.OutOfMemoryError):
        return True
    return isinstance(error, RuntimeError) and any(
        words in str(error) for words in ("can't allocate memory", "out of memory")
    )


@contextmanager
def seeded(seed: int, device: torch.device | str = "cpu") -> Iterator[None]:
    """Random numbers of torch that follow from ``seed``; the global state is as before after it."""
    on_gpu = torch.device(device).type == "cuda"
    with torch.random.fork_rng(devices=[torch.cuda.current_device()] if on_gpu else []):
        torch.manual_seed(seed)
        yield


@contextmanager
def threads(n: int) -> Iterator[None]:
    """Let torch use ``n`` threads, and as many as before afterwards."""
    before = torch.get_num_threads()
    torch.set_num_threads(max(1, n))
    try:
        yield
    finally:
        torch.set_num_threads(before)
