"""Tables that are published only as Python pickles, read without running what they contain.

A pickle is a program. This reader knows the few names that a pickled pandas table needs and
refuses every other; classes of pymatgen are replaced by hollow ones that only hold values, so a
pickled structure comes out as a plain dict. Even so it is used only when it is asked for.
"""

from __future__ import annotations

import importlib
import os
import pickle
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd

from offmap.datasets import archives
from offmap.datasets.files import CHUNK_ROWS, Chunk, digest
from offmap.datasets.layout import ID_NAMES
from offmap.errors import DataError

ALLOW = "OFFMAP_ALLOW_PICKLE"
"""Environment variable: set it to 1 to read pickles, through the reader of this module."""

_SAFE: dict[str, frozenset[str]] = {
    "builtins": frozenset(
        "bool bytearray bytes complex dict float frozenset int list object range set slice str "
        "tuple".split()
    ),
    "collections": frozenset(("OrderedDict", "defaultdict")),
    "datetime": frozenset(("date", "datetime", "timedelta", "timezone")),
    "_codecs": frozenset(("encode",)),
    "copyreg": frozenset(("_reconstructor",)),
    "numpy": frozenset(("dtype", "ndarray")),
    "numpy._core.multiarray": frozenset(("_reconstruct", "scalar")),
    "numpy._core.numeric": frozenset(("_frombuffer",)),
    "pandas": frozenset(("DataFrame", "Series", "Index", "RangeIndex", "StringDtype")),
    "pandas._libs.arrays": frozenset(("__pyx_unpickle_NDArrayBacked",)),
    "pandas._libs.internals": frozenset(("_unpickle_block",)),
    "pandas._libs.missing": frozenset(("NA", "NAType")),
    "pandas.core.arrays.string_": frozenset(("StringArray", "StringDtype")),
    "pandas.core.frame": frozenset(("DataFrame",)),
    "pandas.core.series": frozenset(("Series",)),
    "pandas.core.indexes.base": frozenset(("Index", "_new_Index")),
    "pandas.core.indexes.range": frozenset(("RangeIndex",)),
    "pandas.core.internals.blocks": frozenset(("new_block",)),
    "pandas.core.internals.managers": frozenset(("BlockManager", "SingleBlockManager")),
}
"""Module -> names that a pickled table may use: constructors of plain data and nothing else."""

_MOVED = {
    ("pandas.core.indexes.numeric", "Int64Index"): ("pandas.core.indexes.base", "Index"),
    ("pandas.core.indexes.numeric", "Float64Index"): ("pandas.core.indexes.base", "Index"),
    ("pandas.core.indexes.numeric", "UInt64Index"): ("pandas.core.indexes.base", "Index"),
}
"""Where classes of older versions of pandas went."""

_RENAMED = {"__builtin__": "builtins", "copy_reg": "copyreg"}
"""Modules of Python 2, whose names protocol 2 still writes."""

_HOLLOW = ("pymatgen.", "monty.")


class Hollow:
    """Stands for an object of another package: it keeps what it is given and does nothing."""

    name = ""

    def __new__(cls, *args: Any, **_: Any) -> Hollow:
        """Keep what the constructor would be given."""
        made = super().__new__(cls)
        made.__dict__["args"] = args
        return made

    def __init__(self, *_: Any, **__: Any) -> None:
        pass

    def __setstate__(self, state: Any) -> None:
        parts = state if isinstance(state, tuple) else (state,)
        for part in parts:
            if isinstance(part, dict):
                self.__dict__.update(part)

    def __hash__(self) -> int:
        return hash((self.name, str(self.__dict__.get("args"))))

    def __eq__(self, other: object) -> bool:
        return isinstance(other, Hollow) and vars(self) == vars(other)

    def get(self, *names: str) -> Any:
        """The first of some attributes that is there."""
        return next((self.__dict__[n] for n in names if n in self.__dict__), None)


def _member(of: Any, name: Any) -> Hollow:
    """In place of ``getattr``, by which Python 3.11.0 to 3.11.3 pickle members of enumerations."""
    if isinstance(of, type) and issubclass(of, Hollow) and isinstance(name, str):
        return of(name)
    raise pickle.UnpicklingError("it asks for builtins.getattr, which no table needs")


class _Unpickler(pickle.Unpickler):
    def find_class(self, module: str, name: str) -> Any:
        module, name = _MOVED.get((module, name), (module, name))
        module = _RENAMED.get(module, module).replace("numpy.core", "numpy._core")
        if module.startswith(_HOLLOW):
            return type(name, (Hollow,), {"name": name})
        if (module, name) == ("builtins", "getattr"):
            return _member
        if name in _SAFE.get(module, ()):
            return getattr(importlib.import_module(module), name)
        raise pickle.UnpicklingError(f"it asks for {module}.{name}, which no table needs")

    def persistent_load(self, pid: Any) -> Any:
        raise pickle.UnpicklingError(f"it refers to something outside itself ({pid!r})")


def allowed() -> bool:
    """Whether the environment says that pickles may be read."""
    return os.environ.get(ALLOW, "").strip().lower() in ("1", "true", "yes")


def check_allowed(path: Path, allow: bool) -> None:
    """Raise, with an explanation, unless reading pickles was asked for."""
    if not (allow or allowed()):
        raise DataError(
            f"{path.name} is a pickle, and no other form of it is published. A pickle can run any "
            "program when it is loaded; offmap reads it with a reader that knows only the names "
            f"that a table needs and refuses every other. If you trust the source, set {ALLOW}=1 "
            "and try again: it is converted once, and the pickle is not needed after that."
        )


def read_pickle(path: Path) -> pd.DataFrame:
    """A pickled table.

    Raises
    ------
    DataError
        If it holds anything but a table, or is damaged.
    """
    try:
        with archives.open_bytes(path) as opened:
            value = _Unpickler(opened.file).load()
    except DataError:
        raise
    except Exception as error:  # a damaged pickle raises whatever its bytes spell
        raise DataError(f"{path} cannot be read as a pickled table: {error}") from error
    if isinstance(value, pd.Series):
        value = value.to_frame(str(value.name or "structure"))
    if not isinstance(value, pd.DataFrame):
        raise DataError(f"{path} holds no table but a {type(value).__name__}")
    return value


@dataclass(frozen=True)
class PickleSource:
    """A pickled table as a source of rows; ``drop_last`` columns (features) are left out."""

    path: Path
    drop_last: int = 0

    def sha256(self) -> str:
        """Digest of the bytes of the file."""
        return digest(self.path)

    def chunks(self, start: int = 0, size: int = CHUNK_ROWS) -> Iterator[Chunk]:
        """Rows from number ``start`` on; the index becomes a column if no column holds ids."""
        frame = read_pickle(self.path)
        if 0 < self.drop_last < frame.shape[1]:
            frame = frame.iloc[:, : -self.drop_last]
        if not any(str(c).lower() in ID_NAMES for c in frame):
            frame = frame.reset_index(names=str(frame.index.name or "material_id"))
        frame = frame.reset_index(drop=True)
        for at in range(start, len(frame), size):
            part = frame.iloc[at : at + size]
            part = part.assign(
                **{
                    str(c): [_plain(v) for v in part[c]]
                    for c in part
                    if part[c].dtype == object and any(isinstance(v, Hollow) for v in part[c])
                }
            )
            yield Chunk(part, done=at + len(part), total=len(frame))


def _plain(value: Any) -> Any:
    """A hollow structure as ``{lattice, sites}``; anything else as it is."""
    if not isinstance(value, Hollow):
        return value
    lattice, sites = value.get("_lattice", "lattice"), value.get("_sites", "sites")
    if not isinstance(lattice, Hollow) or sites is None:
        return None
    return {"lattice": _matrix(lattice), "sites": [_site(site) for site in sites]}


def _matrix(lattice: Hollow) -> Any:
    matrix = lattice.get("_matrix")
    return np.reshape(matrix if matrix is not None else lattice.get("args"), (3, 3))


def _site(site: Hollow) -> dict[str, Any]:
    species = site.get("_species")
    amounts = species.get("_data") if isinstance(species, Hollow) else {}
    listed = [{"element": _symbol(s), "occu": float(n)} for s, n in (amounts or {}).items()]
    return {"species": listed, "abc": site.get("_frac_coords", "_fcoords")}


def _symbol(species: Any) -> str:
    """``Element("Na")``, or a ``Species`` that holds one, as ``"Na"``."""
    if isinstance(species, Hollow):
        inner = species.get("_el", "el", "_symbol", "symbol")
        if inner is None:
            inner = next(iter(species.get("args") or ()), "")
        return _symbol(inner)
    return str(species)
