"""How long steps say where they are, without knowing who listens."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, contextmanager
from typing import Protocol

Progress = Callable[[int, int], None]
"""Called with how many are done and how many there are."""


class Reporter(Protocol):
    """Shows the steps of a run to somebody."""

    def step(self, title: str) -> AbstractContextManager[Progress]:
        """Begin a step; the value is called as it goes on."""
        ...

    def say(self, text: str) -> None:
        """Tell one thing."""
        ...


class Silent:
    """Tells nobody."""

    @contextmanager
    def step(self, title: str) -> Iterator[Progress]:
        """A step that nobody hears of."""
        yield lambda done, total: None

    def say(self, text: str) -> None:
        """Say nothing."""
