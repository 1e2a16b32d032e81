"""Files that appear as a whole, and are compared with the checksum they were written with."""

from __future__ import annotations

import hashlib
import json
import os
import tempfile
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pandas as pd

from offmap.columns import CELL_KEYS
from offmap.errors import StudyError

if TYPE_CHECKING:
    import pyarrow as pa


CHECKED: dict[str, Any] = {"compression": "zstd", "write_page_checksum": True}
"""How pyarrow writes Parquet that it can check."""

TEMPORARY = ".writing-"
"""How names of files begin that are not whole yet."""


def to_parquet(frame: pd.DataFrame, path: Path) -> None:
    """Write a table with a checksum per page."""
    frame.to_parquet(path, index=False, **CHECKED)


def read_parquet(source: Any) -> pa.Table:
    """A table of one file, its checksums compared."""
    import pyarrow.parquet as pq

    # Folders named a=b mean nothing.
    return pq.read_table(source, partitioning=None, page_checksum_verification=True)


def digest(content: bytes) -> str:
    """BLAKE2b of some bytes, as text."""
    return hashlib.blake2b(content, digest_size=16).hexdigest()


def sealed(text: str) -> str:
    """A text below a line that holds its checksum, a comment in TOML."""
    return f"{_SEAL}{digest(text.encode())}\n{text}"


def unsealed(text: str) -> str:
    """The text below its seal; one without a seal, of an older version, as it is.

    Raises
    ------
    ValueError
        If the seal is broken.
    """
    first, _, rest = text.partition("\n")
    if not first.startswith(_SEAL):
        return text
    if first != _SEAL + digest(rest.encode()):
        raise ValueError("it is not what was written")
    return rest


_SEAL = "# blake2b "


def matches(predictions: Path, run: Mapping[str, Any]) -> bool:
    """Whether a file is what was written; files of older versions have no checksum."""
    try:
        content = predictions.read_bytes()
    except OSError:
        return False
    return len(content) == run.get("n_bytes") and run.get("blake2b") in (None, digest(content))


def joined(tables: Sequence[pa.Table]) -> pd.DataFrame:
    """Predictions of several cells below each other; none, with the columns, of no cell."""
    import pyarrow as pa

    if not tables:
        return pd.DataFrame(columns=[*CELL_KEYS, "material_id", "y_true", "y_pred"])
    frame: pd.DataFrame = pa.concat_tables(tables).unify_dictionaries().to_pandas()
    return frame


def with_categories(table: pa.Table) -> pa.Table:
    """Key columns of text as dictionaries, all of one type, so that tables can be joined."""
    import pyarrow as pa

    for name in CELL_KEYS:
        column = table[name]
        if not pa.types.is_integer(column.type):
            coded = column.cast(pa.string()).combine_chunks().dictionary_encode()
            table = table.set_column(table.schema.get_field_index(name), name, coded)
    return table


@contextmanager
def writing(path: Path) -> Iterator[None]:
    """Say in words that something could not be written.

    Raises
    ------
    StudyError
        For any error of the operating system: a full disk, no permission.
    """
    try:
        yield
    except OSError as error:
        raise StudyError(
            f"cannot write {path}: {error.strerror or error}; what was done before is kept:"
            " mend that and run the same command again"
        ) from error


def put(path: Path, write: Callable[[Path], object]) -> None:
    """Write a file under a temporary name and move it into place: no reader sees half of one."""
    with writing(path):
        path.parent.mkdir(parents=True, exist_ok=True)
        handle, name = tempfile.mkstemp(f".{path.name}", TEMPORARY, path.parent)
        os.close(handle)
        try:
            write(Path(name))
            os.chmod(name, 0o644)
            os.replace(name, path)
        except BaseException:
            Path(name).unlink(missing_ok=True)
            raise


def read_json(path: Path) -> dict[str, Any]:
    """The object in a JSON file; empty if it is absent or damaged."""
    try:
        value = json.loads(path.read_text(encoding="utf-8"))
    except (OSError, ValueError):
        return {}
    return value if isinstance(value, dict) else {}
