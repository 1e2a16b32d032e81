"""Search for inputs that a reader cannot take, with coverage as the guide; run by hand.

    pip install atheris
    python -m tests.fuzz.fuzz_readers a.cif corpus -max_total_time=600 -timeout=30

The first argument is the name that the bytes are given: one of ``test_mutations.EXAMPLES``, whose
file is the one to begin with. The second is a folder in which the examples grow, the others go to
libFuzzer. What it finds is written to ``crash-...`` where it was started; make it
a case of ``test_found.py``.
"""

from __future__ import annotations

import os
import shutil
import sys
import tempfile
import warnings
from pathlib import Path

import atheris

with atheris.instrument_imports(include=["offmap"]):
    import offmap.datasets.structure_files
    import offmap.study  # noqa: F401

from .test_mutations import EXAMPLES, WORDS, check

_KEEP = 200  # readings between two times that the converted copies are swept away


def begin_with(corpus: Path, name: str, dictionary: Path) -> None:
    """Lay out a whole file of this kind, and words that hurt, in libFuzzer's notation."""
    corpus.mkdir(parents=True, exist_ok=True)
    (corpus / "whole").write_bytes(EXAMPLES[name])
    words = ["".join(f"\\x{byte:02x}" for byte in word) for word in WORDS]
    dictionary.write_text("".join(f'"{word}"\n' for word in words))


def main() -> None:
    name, folder, *options = sys.argv[1:]
    home = tempfile.TemporaryDirectory(dir="/dev/shm" if os.path.isdir("/dev/shm") else None)
    cache = Path(home.name) / "cache"
    os.environ["OFFMAP_CACHE"] = str(cache)
    path, dictionary = Path(home.name) / name, Path(home.name) / "words"
    corpus = Path(folder) / name
    begin_with(corpus, name, dictionary)
    warnings.simplefilter("ignore")  # parsers of other packages wonder aloud
    read = 0

    def one(data: bytes) -> None:
        nonlocal read
        read += 1
        if read % _KEEP == 0:
            shutil.rmtree(cache, ignore_errors=True)
        check(path, data)

    atheris.Setup([sys.argv[0], str(corpus), f"-dict={dictionary}", *options], one)
    atheris.Fuzz()


if __name__ == "__main__":
    main()
