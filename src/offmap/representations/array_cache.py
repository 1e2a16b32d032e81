"""Arrays made of crystals, on disk by content of the crystal, so that each is made once."""

from __future__ import annotations

import json
import os
import uuid
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, NamedTuple
from zipfile import BadZipFile

import numpy as np
from numpy.typing import NDArray

Keys = NDArray[np.bytes_]


class Batch(NamedTuple):
    """What one file holds: crystals by the hash of their content, shape (n,).

    ``reasons`` says of a crystal, by its place, why nothing could be made of it.
    """

    keys: Keys
    arrays: dict[str, NDArray[Any]]
    reasons: dict[int, str]


@dataclass(frozen=True)
class ArrayCache:
    """Files that are never changed; one that was cut short or damaged does not count.

    Parameters
    ----------
    folder
        Where they lie.
    names
        The arrays in each.
    """

    folder: Path
    names: tuple[str, ...]

    def batches(self, wanted: Keys) -> Iterator[Batch]:
        """The files that hold any of these crystals; of the others, the keys alone are read."""
        for path in sorted(self.folder.glob("*.npz")):
            try:
                with path.open("rb") as opened, np.load(opened, allow_pickle=False) as file:
                    keys = file["keys"]
                    if not np.isin(keys, wanted).any():
                        continue
                    reasons = {int(i): why for i, why in json.loads(str(file["reasons"])).items()}
                    found = Batch(keys, {name: file[name] for name in self.names}, reasons)
            except (OSError, ValueError, KeyError, EOFError, BadZipFile):
                continue
            yield found

    def add(
        self, keys: Keys, arrays: Mapping[str, NDArray[Any]], reasons: Mapping[int, str]
    ) -> None:
        """Keep what was made of a batch of crystals."""
        held: dict[str, Any] = {**arrays, "keys": keys, "reasons": json.dumps(dict(reasons))}
        temporary = self.folder / f".{uuid.uuid4().hex}.tmp"
        with temporary.open("wb") as file:
            np.savez(file, **held)
        os.replace(temporary, self.folder / f"{temporary.stem[1:]}.npz")
