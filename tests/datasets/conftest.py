from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from offmap.crystals import Crystal, Crystals

SHARED = Path(__file__).parents[3] / "shared" / "data"


def shared_file(name: str) -> Path:
    """A real file that lies beside the repository, or a skip that says so."""
    path = SHARED / name
    if not path.exists():
        pytest.skip(f"needs the data file {name} beside the repository")
    return path


@pytest.fixture(autouse=True)
def cache_folder(tmp_path, monkeypatch):
    """Every test has a cache of its own, and no mirror."""
    monkeypatch.setenv("OFFMAP_CACHE", str(tmp_path / "cache"))
    monkeypatch.delenv("OFFMAP_MIRROR", raising=False)
    return tmp_path / "cache"


def rock_salt(a: float = 5.64, pair: tuple[int, int] = (11, 17), name: str = "NaCl") -> Crystal:
    """Conventional cell of eight atoms."""
    metal = np.array([[0, 0, 0], [0, 0.5, 0.5], [0.5, 0, 0.5], [0.5, 0.5, 0]])
    numbers = np.repeat(pair, 4).astype(np.uint8)
    return Crystal(name, a * np.eye(3), numbers, np.vstack([metal, metal + np.array([0.5, 0, 0])]))


@pytest.fixture
def some_crystals() -> Crystals:
    """Twelve rock salts of different elements and sizes."""
    metals, others = (3, 11, 19), (9, 17, 35, 53)
    pairs = [(m, x) for m in metals for x in others]
    return Crystals.from_list(
        rock_salt(4.0 + 0.2 * i, pair, f"m-{i}") for i, pair in enumerate(pairs)
    )


@pytest.fixture
def site(monkeypatch):
    """A web server on this machine; nothing else can be reached, and nobody waits long."""
    from offmap.datasets import web

    from .server import serving

    for name in ("http_proxy", "https_proxy", "HTTP_PROXY", "HTTPS_PROXY", "all_proxy"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setattr(web, "TIMEOUT", 5.0)
    monkeypatch.setattr(web, "LONGEST_WAIT", 0.01)
    with serving() as running:
        yield running
