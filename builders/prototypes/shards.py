"""Checkpoints of the builder: JSON tables and parquet shards, written atomically."""

from __future__ import annotations

import json
import os
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq

SHARD_SIZE = 60


def write_json(path: Path, content) -> None:
    """Write JSON to a temporary file beside ``path``, then rename."""
    temporary = path.with_name(f".{path.name}")
    temporary.write_text(json.dumps(content, indent=1, ensure_ascii=False) + "\n")
    os.replace(temporary, path)


def read_json(path: Path):
    """Read a JSON file."""
    return json.loads(path.read_text())


def write_parquet(path: Path, table: pa.Table, **options) -> None:
    """Write parquet to a temporary file beside ``path``, then rename."""
    temporary = path.with_name(f".{path.name}")
    pq.write_table(table, temporary, **options)
    os.replace(temporary, path)


def shard_path(work: Path, name: str) -> Path:
    """Return where a shard of relaxed crystals lies."""
    return work / "shards" / f"{name}.parquet"


def record(index: int, prototype: str, done) -> dict:
    """Return the row of a Relaxed crystal."""
    return {
        "index": index,
        "prototype": prototype,
        "reason": done.reason,
        "energy": done.energy,
        "evaluations": done.evaluations,
        "force": done.force,
        "stress": done.stress,
        "lattice": done.crystal.lattice.ravel().tolist(),
        "numbers": done.crystal.numbers.tolist(),
        "frac_coords": done.crystal.frac_coords.ravel().tolist(),
    }


def write_shard(work: Path, records: list[dict]) -> None:
    """Write the rows of one shard, named after its first candidate."""
    path = shard_path(work, f"{records[0]['index']:05d}")
    path.parent.mkdir(parents=True, exist_ok=True)
    write_parquet(path, pa.Table.from_pylist(records))


def read_shards(work: Path) -> list[dict]:
    """Read all finished shards; rows in the order of the candidates."""
    paths = sorted((work / "shards").glob("[0-9]*.parquet"))
    rows = [row for path in paths for row in pq.read_table(path).to_pylist()]
    return sorted(rows, key=lambda row: row["index"])


def candidate_key(candidate: dict) -> str:
    """Return what identifies a candidate in any list."""
    return json.dumps(candidate, sort_keys=True)


def import_finished(work: Path, earlier: Path) -> None:
    """Copy the rows of an earlier work folder that are candidates here and not done yet."""
    old = read_json(earlier / "candidates.json")
    done = {row["index"] for row in read_shards(work)}
    places = {candidate_key(c): i for i, c in enumerate(read_json(work / "candidates.json"))}
    records = []
    for row in read_shards(earlier):
        index = places.get(candidate_key(old[row["index"]]))
        if index is not None and index not in done:
            records.append({**row, "index": index})
    if records:
        write_shard(work, records)
