"""Rows of structure files: extended XYZ, and folders or zip archives of CIF and POSCAR files."""

from __future__ import annotations

import csv
import io
import re
import zipfile
from collections.abc import Callable, Iterator
from contextlib import ExitStack
from itertools import islice
from pathlib import Path, PurePosixPath
from typing import Any

from offmap.datasets import archives
from offmap.datasets.files import ID_PROP, Bad, Chunk, Source, is_structure_file
from offmap.datasets.tables import Item, chunk_of, text_of
from offmap.errors import DataError

STRUCTURE = "structure"

_MAX_FILE = 64 * 2**20
_MAX_ATOMS = 10**7
_NUMBER = re.compile(r"\s*[+-]?(\d+\.?\d*|\.\d+)([eE][+-]?\d+)?\s*$|\s*nan\s*$|\s*$", re.IGNORECASE)


def extxyz(source: Source, start: int, size: int) -> Iterator[Chunk]:
    """Frames of an extended XYZ file; a frame that cannot be read is a bad row."""
    with (
        archives.open_bytes(source.path, source.member) as opened,
        text_of(opened.file) as lines,
    ):
        frames = islice(_frames(lines), start, None)
        while part := list(islice(frames, min(size, 1000))):
            yield chunk_of(part, opened.position(), opened.size)


def _frames(lines: Iterator[str]) -> Iterator[Item]:
    row = 0
    for line in lines:
        if not line.strip():
            continue
        count = line.strip()
        if not count.isdecimal() or int(count) > _MAX_ATOMS:
            words = (
                f"frame begins with {count[:30]!r}, not a number of atoms; nothing after it is read"
            )
            yield row, Bad(row, "", words)
            return
        text = [line, *islice(lines, int(count) + 1)]
        yield row, _frame(row, text, int(count))
        row += 1


def _frame(row: int, lines: list[str], count: int) -> dict[str, Any] | Bad:
    from ase.io.extxyz import read_xyz

    if len(lines) != count + 2:
        return Bad(row, "", f"frame of {count} atoms is cut short")
    try:
        atoms = next(iter(read_xyz(io.StringIO("".join(lines)), 0)))
    except Exception as error:  # the parser raises whatever it likes
        return Bad(row, "", f"frame cannot be read: {' '.join(str(error).split())[:200]}")
    cells = {k: v for k, v in atoms.info.items() if isinstance(v, (str, int, float, bool))}
    results = getattr(atoms.calc, "results", {})
    cells |= {k: float(v) for k, v in results.items() if k == "energy" and k not in cells}
    if atoms.cell.rank != 3:
        return Bad(row, str(cells.get("material_id", "")), "frame has no lattice of three vectors")
    return {**cells, STRUCTURE: atoms}


def single(source: Source, start: int, size: int) -> Iterator[Chunk]:
    """One CIF or POSCAR file as a table of one row."""
    with archives.open_bytes(source.path, source.member, _MAX_FILE) as opened:
        text = opened.file.read(_MAX_FILE).decode("utf-8", errors="replace")
    rows: list[Item] = [(0, {"material_id": source.stem, STRUCTURE: text})]
    yield chunk_of(rows[start:], 1, 1)


def folder(source: Source, start: int, size: int) -> Iterator[Chunk]:
    """Files of a folder or zip archive, in the order of ``id_prop.csv`` where there is one."""
    with ExitStack() as stack:
        names, read = _contents(source.path, stack)
        files = {PurePosixPath(name).name: name for name in names}
        items: Iterator[Item]
        if ID_PROP in files:
            items = _listed(read(files[ID_PROP]), files, read, f"{source.path}/{ID_PROP}")
            total = max(read(files[ID_PROP]).count("\n"), 1)
        else:
            chosen = sorted(name for name in files if is_structure_file(name))
            items, total = _unlisted(chosen, files, read), len(chosen)
        items, done = islice(items, start, None), start
        while part := list(islice(items, size)):
            done += len(part)
            yield chunk_of(part, min(done, total), total)


def _contents(path: Path, stack: ExitStack) -> tuple[list[str], Callable[[str], str]]:
    """Names of the files, and how to read one; nothing outside the folder can be named."""
    if path.is_dir():
        names = sorted(p.name for p in path.iterdir() if p.is_file())
        return names, lambda name: _text((path / name).open("rb"), name)
    archive = stack.enter_context(zipfile.ZipFile(path))
    return archives.members(path), lambda name: _text(archive.open(name), name)  # type: ignore[arg-type]


def _text(file: io.BufferedIOBase, name: str) -> str:
    with file:
        data = file.read(_MAX_FILE + 1)
    if len(data) > _MAX_FILE:
        raise DataError(f"{name} is larger than {_MAX_FILE // 2**20} MiB")
    try:
        return data.decode("utf-8-sig")
    except UnicodeDecodeError:
        return data.decode("latin-1")


def _unlisted(
    names: list[str], files: dict[str, str], read: Callable[[str], str]
) -> Iterator[Item]:
    for row, name in enumerate(names):
        yield row, _cells(row, {"material_id": Path(name).stem}, name, files, read)


def _listed(
    table: str, files: dict[str, str], read: Callable[[str], str], where: str
) -> Iterator[Item]:
    lines = [line for line in csv.reader(io.StringIO(table)) if any(f.strip() for f in line)]
    if not lines:
        raise DataError(f"{where} is empty")
    header = _header(lines, files)
    for row, line in enumerate(lines[1:] if header[0] == "header" else lines):
        names = header[1]
        if len(line) != len(names):
            yield row, Bad(row, line[0], f"row has {len(line)} fields, expected {len(names)}")
            continue
        key = line[0].strip()
        found = next((n for n in _file_names(key) if n in files), "")
        cells = dict(zip(names, (f.strip() for f in line), strict=True))
        cells["material_id"] = Path(key).stem if is_structure_file(key) else key
        if found:
            yield row, _cells(row, cells, found, files, read)
        else:
            yield row, Bad(row, key, f"no file {key}, {key}.cif, {key}.vasp or POSCAR-{key}")


def _header(lines: list[list[str]], files: dict[str, str]) -> tuple[str, list[str]]:
    """Column names, and whether the first line states them (its second field is no number)."""
    first = [field.strip() for field in lines[0]]
    has_file = any(name in files for name in _file_names(first[0]))
    if not has_file and not all(_NUMBER.match(field) for field in first[1:]):
        return "header", ["material_id", *first[1:]]
    n = len(first) - 1
    return "none", ["material_id", *(f"target_{i + 1}" if i else "target" for i in range(n))]


def _file_names(key: str) -> tuple[str, ...]:
    return (
        key,
        f"{key}.cif",
        f"{key}.vasp",
        f"{key}.poscar",
        f"POSCAR-{key}",
        f"POSCAR-{key}.vasp",
    )


def _cells(
    row: int, cells: dict[str, Any], name: str, files: dict[str, str], read: Callable[[str], str]
) -> dict[str, Any] | Bad:
    try:
        return {**cells, STRUCTURE: read(files[name])}
    except (*archives.DAMAGED, RuntimeError, DataError) as error:  # also what is encrypted
        return Bad(row, str(cells["material_id"]), f"{name} cannot be read: {error}")
