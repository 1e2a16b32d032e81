"""Splits for other tools: a compact table, Matbench's validation file, MatFold's files."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any, TextIO

import pandas as pd

from offmap import __version__
from offmap.columns import (
    CRITERION,
    HELD_OUT,
    IN_DISTRIBUTION,
    MATERIAL_ID,
    N_TEST,
    N_TRAIN,
    PERIODIC_CRITERIA,
    SYMMETRY_CRITERIA,
)
from offmap.crystals import Crystals
from offmap.elements import SYMBOLS
from offmap.errors import UnknownNameError
from offmap.store import slug
from offmap.tasks.membership import Membership

if TYPE_CHECKING:
    from offmap.inputs import Inputs

# Symmetry tolerance that MatFold uses, angstrom; it cannot be changed there.
_MATFOLD_SYMPREC = 0.1

# Criterion -> MatFold's name of it.
_MATFOLD_TYPES = {
    "element": "elements",
    "period": "periodictablerows",
    "group": "periodictablegroups",
    "space_group": "sgnum",
    "point_group": "pointgroup",
    "crystal_system": "crystalsys",
    IN_DISTRIBUTION: "index",
}


def export(inputs: Inputs, format: str, out: str | Path) -> list[Path]:
    """Write the kept tasks of a study as splits that another tool can read.

    Parameters
    ----------
    inputs
        Materials and tasks.
    format
        ``csv``
            One table ``criterion``, ``held_out``, ``material_id`` with a row for every test
            material of every task; the training materials of a task are all others. Beside it
            ``<name>.json`` with every id, its digest, the tasks and the settings.
        ``matbench``
            One JSON file in the layout of Matbench's validation files. Each criterion is a dataset
            ``<dataset>_<criterion>`` whose folds ``fold_0`` and on are its tasks; which is which
            is in ``metadata``.
        ``matfold``
            A folder of the files of MatFold's leave-one-out splits: ``mf.<type>.loo.<label>`` with
            ``.train.csv``, ``.test.csv`` and, where MatFold would find the same materials, the
            settings from which ``MatFold.from_json`` makes them again (its symmetry tolerance is
            always 0.1 angstrom). ``data.csv`` and ``bulk.json`` are what it starts from.
    out
        File to write, or the folder for ``matfold``.

    Returns
    -------
    list of Path
        The files written.

    Raises
    ------
    UnknownNameError
        If there is no such format.
    """
    check_format(format)
    tasks, kept = inputs.kept()
    out = Path(out)
    (out if format == "matfold" else out.parent).mkdir(parents=True, exist_ok=True)
    return FORMATS[format](inputs, tasks, kept, out)


def check_format(format: str) -> None:
    """Raise :class:`UnknownNameError` unless there is such a format."""
    if format not in FORMATS:
        raise UnknownNameError("format", format, FORMATS)


def _csv(inputs: Inputs, tasks: pd.DataFrame, kept: Membership, out: Path) -> list[Path]:
    ids = inputs.material_id.tolist()
    with _replacing(out) as file:
        kept.members(ids).to_csv(file, index=False)
    manifest = _manifest(inputs) | {
        "tasks": tasks[[CRITERION, HELD_OUT, N_TRAIN, N_TEST]].to_dict("records"),
        MATERIAL_ID: ids,
    }
    return [out, _write_json(out.with_name(f"{out.stem}.json"), manifest)]


def _matbench(inputs: Inputs, tasks: pd.DataFrame, kept: Membership, out: Path) -> list[Path]:
    ids = inputs.material_id
    names = [f"{inputs.dataset.name}_{criterion}" for criterion in kept.criterion]
    folds = pd.Series(names, dtype=object).groupby(names).cumcount()
    metadata = _manifest(inputs) | {
        "folds": [
            {"dataset": name, "fold": f"fold_{fold}", CRITERION: criterion, HELD_OUT: held_out}
            for name, fold, criterion, held_out in zip(
                names, folds, kept.criterion, kept.held_out, strict=True
            )
        ]
    }
    # Written task by task: the ids of all tasks at once are hundreds of megabytes.
    with _replacing(out) as file:
        file.write(f'{{"metadata": {json.dumps(metadata)}, "splits": {{')
        for i, (name, fold) in enumerate(zip(names, folds, strict=True)):
            opened = f"{json.dumps(name)}: {{" if fold == 0 else ""
            test = kept.matrix[:, i]
            sides = {"train": ids[~test].tolist(), "test": ids[test].tolist()}
            last = i + 1 == len(names) or folds[i + 1] == 0
            closed = "}" if last else ""
            comma = "" if i + 1 == len(names) else ", "
            file.write(f'{opened}"fold_{fold}": {json.dumps(sides)}{closed}{comma}')
        file.write("}}")
    return [out]


def _matfold(inputs: Inputs, tasks: pd.DataFrame, kept: Membership, out: Path) -> list[Path]:
    frame = pd.DataFrame({MATERIAL_ID: inputs.material_id})
    crystals = inputs.dataset.crystals
    written = [_write_frame(out / "data.csv", frame)]
    if crystals.has_structure:
        written.append(_write_structures(out / "bulk.json", crystals))
    written.append(_write_json(out / "manifest.json", _manifest(inputs)))
    n_folds = 0
    for criterion, held_out, test in zip(kept.criterion, kept.held_out, kept.matrix.T, strict=True):
        kind, label = _MATFOLD_TYPES.get(criterion, criterion), _matfold_label(criterion, held_out)
        name = f"mf.{slug(kind)}.loo.{slug(label.replace('/', '_'), one_case=False)}"
        if criterion == IN_DISTRIBUTION:
            name = f"mf.{kind}.k{n_folds}_outer"
            n_folds += 1
        written.append(_write_frame(out / f"{name}.train.csv", frame[~test]))
        written.append(_write_frame(out / f"{name}.test.csv", frame[test]))
        # MatFold itself cannot write files of a label with a slash.
        if criterion in _found_by_matfold(inputs) and "/" not in label:
            written.append(_write_json(out / f"{name}.json", _matfold_settings(frame, kind, label)))
    return written


def _found_by_matfold(inputs: Inputs) -> tuple[str, ...]:
    """Criteria under which MatFold finds the same materials as we do."""
    if inputs.study.symprec == _MATFOLD_SYMPREC:
        return PERIODIC_CRITERIA + SYMMETRY_CRITERIA
    return PERIODIC_CRITERIA


FORMATS: dict[str, Callable[[Any, pd.DataFrame, Membership, Path], list[Path]]] = {
    "csv": _csv,
    "matbench": _matbench,
    "matfold": _matfold,
}
"""Name of each format -> how it is written."""


def _manifest(inputs: Inputs) -> dict[str, Any]:
    ids = "\n".join(map(str, inputs.material_id))
    return {
        "offmap": __version__,
        "dataset": inputs.dataset.name,
        "data_sha256": inputs.dataset.sha256,
        "n_materials": len(inputs.material_id),
        "material_id_sha256": hashlib.sha256(ids.encode()).hexdigest(),
        "study": inputs.study.to_dict(),
    }


def _matfold_label(criterion: str, held_out: str) -> str:
    """What MatFold calls the value that is held out."""
    if criterion == "space_group":
        from moyopy import SpaceGroupType

        return str(SpaceGroupType(int(held_out)).hm_short.replace(" ", ""))
    return {"period": "row", "group": "group"}.get(criterion, "") + held_out


def _matfold_settings(frame: pd.DataFrame, kind: str, label: str) -> dict[str, Any]:
    """What ``MatFold.from_json`` needs to make the split again from ``data.csv`` and ``bulk.json``.

    The checksums are MatFold's own: of the table as pandas hashes it, and of the sorted ids.
    """
    table = pd.util.hash_pandas_object(frame, index=True).to_numpy()
    ids = "".join(sorted(frame[MATERIAL_ID])).encode()
    init = {
        "return_frac": 1.0,
        "always_include_n_elements": None,
        "cols_to_keep": [MATERIAL_ID],
        "keep_splitlabel_cols": False,
        "write_data_checksums": True,
        "seed": 0,
    }
    split = {
        "split_type": kind,
        "loo_label": label,
        "keep_n_elements_in_train": None,
        "write_base_str": "mf",
        "output_dir": None,
        "verbose": False,
    }
    return {
        "MatFold": "v1.3.3",
        "data_checksums": [int(hashlib.md5(b).hexdigest(), 16) for b in (table.tobytes(), ids)],
        "__init__": init,
        "split_function_called": "create_loo_split",
        "split_parameters": split,
    }


def _write_structures(path: Path, crystals: Crystals) -> Path:
    """Structures as pymatgen's dictionaries, by id, one at a time."""
    with _replacing(path) as file:
        for i, crystal in enumerate(crystals):
            sites = [
                {"species": [{"element": SYMBOLS[z], "occu": 1}], "abc": coords}
                for z, coords in zip(crystal.numbers, crystal.frac_coords.tolist(), strict=True)
            ]
            structure = {
                "@module": "pymatgen.core.structure",
                "@class": "Structure",
                "lattice": {"matrix": crystal.lattice.tolist()},
                "sites": sites,
            }
            file.write(f"{', ' if i else '{'}{json.dumps(crystal.material_id)}: ")
            file.write(json.dumps(structure) + "\n")
        file.write("}")
    return path


def _write_frame(path: Path, frame: pd.DataFrame) -> Path:
    with _replacing(path) as file:
        frame.to_csv(file, index=False)
    return path


def _write_json(path: Path, content: dict[str, Any]) -> Path:
    with _replacing(path) as file:
        json.dump(content, file, indent=1)
    return path


@contextmanager
def _replacing(path: Path) -> Iterator[TextIO]:
    """A text file that takes its place only when it is whole."""
    temporary = path.with_name(f".{path.name}")
    try:
        with temporary.open("w", encoding="utf-8", newline="\n") as file:
            yield file
        temporary.replace(path)
    finally:
        temporary.unlink(missing_ok=True)
