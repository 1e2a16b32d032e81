"""Where things computed or downloaded once are kept: ``~/.cache/offmap``, or ``OFFMAP_CACHE``."""

from __future__ import annotations

import os
from pathlib import Path

from offmap.errors import OffmapError


def cache_folder(*parts: str) -> Path:
    """A folder inside the cache, made if it is not there."""
    root = os.environ.get("OFFMAP_CACHE") or Path.home() / ".cache" / "offmap"
    folder = Path(root).joinpath(*parts)
    try:
        folder.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise OffmapError(
            f"cannot make the folder {folder}: {error.strerror}; set OFFMAP_CACHE to another one"
        ) from error
    return folder
