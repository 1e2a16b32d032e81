"""What a killed training needs to go on: one file, replaced as a whole after each epoch."""

from __future__ import annotations

import os
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch


@dataclass(frozen=True)
class Checkpoint:
    """A file that holds the state of one training.

    Parameters
    ----------
    path
        Where it lies; its folder is made when it is first written.
    every_seconds
        Least time between two writings; the end of training is always written.
    """

    path: Path
    every_seconds: float = 0.0

    def load(self, fingerprint: str) -> dict[str, Any] | None:
        """The state that a training with this fingerprint wrote; ``None`` if there is none.

        A file that is damaged, or of a training with other data or settings, does not count. Only
        tensors and plain values are read: nothing in the file is ever run.
        """
        if not self.path.is_file():
            return None
        try:
            state = read_tensors(self.path)
        except Exception:  # whatever is wrong with it, training begins anew
            return None
        return state if state.get("fingerprint") == fingerprint else None

    def save(self, state: Mapping[str, Any]) -> None:
        """Replace the file by this state."""
        write_tensors(self.path, state)


def read_tensors(path: Path) -> dict[str, Any]:
    """Tensors and plain values of a file, in the memory of the machine; never code."""
    state: dict[str, Any] = torch.load(path, map_location="cpu", weights_only=True)
    return state


def write_tensors(path: Path, state: Mapping[str, Any]) -> None:
    """Write tensors and plain values; a reader sees the old file or the new one, never half."""
    path.parent.mkdir(parents=True, exist_ok=True)
    temporary = path.with_name(f".{path.name}.{os.getpid()}.tmp")
    try:
        with temporary.open("wb") as file:
            torch.save(dict(state), file)
            file.flush()
            os.fsync(file.fileno())
        os.replace(temporary, path)
    finally:
        temporary.unlink(missing_ok=True)
