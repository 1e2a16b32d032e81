"""Search for inputs that a reader cannot take, with coverage as the guide; run by hand.

    pip install atheris
    python tests/fuzz/fuzz_readers.py a.cif corpus/cif -max_total_time=600

The first argument is the name that the bytes are given (its ending chooses the reader, or
``study.toml``), the others go to libFuzzer: a folder of examples, which grows, and options. What it
finds is written to ``crash-...``; make it a case of ``test_bounds.py``.
"""

from __future__ import annotations

import os
import sys
import tempfile
import warnings
from pathlib import Path

import atheris

with atheris.instrument_imports(include=["offmap"]):
    from offmap import Study
    from offmap.crystals import Crystals
    from offmap.datasets import load
    from offmap.datasets.base import Dataset
    from offmap.errors import OffmapError


def check(path: Path) -> None:
    """Read a file as ``offmap run`` does: the answer is a dataset, a study or an error in words."""
    try:
        if path.name == "study.toml":
            study = Study.from_toml(path)
            assert Study.from_dict(study.to_dict()) is not None
            return
        dataset = load(path, target=None)
    except OffmapError:
        return
    assert isinstance(dataset, Dataset)
    assert isinstance(dataset.crystals, Crystals)
    assert len(dataset) > 0
    assert dataset.frame["material_id"].is_unique


def main() -> None:
    name, *options = sys.argv[1:]
    home = tempfile.TemporaryDirectory(dir="/dev/shm" if os.path.isdir("/dev/shm") else None)
    os.environ["OFFMAP_CACHE"] = home.name
    path = Path(home.name) / name
    warnings.simplefilter("ignore")  # parsers of other packages wonder aloud

    def one(data: bytes) -> None:
        path.write_bytes(data)
        check(path)

    atheris.Setup([sys.argv[0], *options], one)
    atheris.Fuzz()


if __name__ == "__main__":
    main()
