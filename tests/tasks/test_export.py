"""Splits in the formats of other tools."""

from __future__ import annotations

import hashlib
import json
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest

from offmap import Study
from offmap.attributes import attributes
from offmap.columns import IN_DISTRIBUTION
from offmap.datasets.base import Dataset
from offmap.errors import UnknownNameError
from offmap.inputs import Inputs, group_materials
from offmap.tasks.export import export


@pytest.fixture(scope="module")
def inputs(toy_dataset: Dataset) -> Inputs:
    criteria = ("element", "group", "space_group", "n_elements")
    study = Study(dataset="toy", criteria=criteria, min_size=80)
    found = attributes(toy_dataset.crystals)
    return Inputs(study, toy_dataset, "energy", found, group_materials(study, found))


def sides(inputs: Inputs, criterion: str, held_out: str) -> tuple[list[str], list[str]]:
    test = inputs.membership.test_rows(criterion, held_out)
    return inputs.material_id[~test].tolist(), inputs.material_id[test].tolist()


def kept(inputs: Inputs) -> list[tuple[str, str]]:
    table = inputs.tasks()
    table = table[table["kept"]]
    return list(zip(table["criterion"], table["held_out"], strict=True))


def test_csv(inputs: Inputs, tmp_path: Path) -> None:
    out = tmp_path / "deep" / "toy.csv"
    assert export(inputs, "csv", out) == [out, out.with_suffix(".json")]
    table = pd.read_csv(out, dtype=str)
    manifest = json.loads(out.with_suffix(".json").read_text())
    assert table.columns.tolist() == ["criterion", "held_out", "material_id"]
    found = {(str(c), str(h)): g for (c, h), g in table.groupby(["criterion", "held_out"])}
    assert set(found) == set(kept(inputs))
    for (criterion, held_out), group in found.items():
        train, test = sides(inputs, criterion, held_out)
        assert group["material_id"].tolist() == test
        assert sorted(set(manifest["material_id"]) - set(test)) == sorted(train)
    ids = "\n".join(manifest["material_id"]).encode()
    assert manifest["material_id_sha256"] == hashlib.sha256(ids).hexdigest()
    assert manifest["study"] == inputs.study.to_dict()
    assert [(t["criterion"], t["held_out"]) for t in manifest["tasks"]] == kept(inputs)
    assert not list(out.parent.glob(".*"))


def test_matbench(inputs: Inputs, tmp_path: Path) -> None:
    (out,) = export(inputs, "matbench", tmp_path / "toy.json")
    found = json.loads(out.read_text())
    assert found.keys() == {"metadata", "splits"}
    assert list(found["splits"]) == [
        f"toy_{c}" for c in dict.fromkeys(criterion for criterion, _ in kept(inputs))
    ]
    for folds in found["splits"].values():
        assert list(folds) == [f"fold_{k}" for k in range(len(folds))]
    named = [(f["criterion"], f["held_out"]) for f in found["metadata"]["folds"]]
    assert named == kept(inputs)
    for fold in found["metadata"]["folds"]:
        split = found["splits"][fold["dataset"]][fold["fold"]]
        assert (split["train"], split["test"]) == sides(inputs, fold["criterion"], fold["held_out"])
    assert len(found["splits"][f"toy_{IN_DISTRIBUTION}"]) == 5


def _ids(path: Path) -> list[str]:
    return pd.read_csv(path, dtype=str).iloc[:, 0].tolist()


def test_matfold(inputs: Inputs, tmp_path: Path) -> None:
    written = export(inputs, "matfold", tmp_path)
    assert sorted(written) == sorted(tmp_path.iterdir())
    fluorine = "mf.elements.loo.F"
    assert _ids(tmp_path / "data.csv") == inputs.material_id.tolist()
    pairs = {
        ("element", "F"): fluorine,
        ("group", "17"): "mf.periodictablegroups.loo.group17",
        ("space_group", "225"): "mf.sgnum.loo.Fm-3m",
        (IN_DISTRIBUTION, "fold-1"): "mf.index.k0_outer",
    }
    for task, name in pairs.items():
        train, test = sides(inputs, *task)
        assert _ids(tmp_path / f"{name}.train.csv") == train
        assert _ids(tmp_path / f"{name}.test.csv") == test
    assert len(list(tmp_path.glob("*.test.csv"))) == len(kept(inputs))
    settings = json.loads((tmp_path / f"{fluorine}.json").read_text())
    assert settings["split_function_called"] == "create_loo_split"
    assert settings["split_parameters"]["split_type"] == "elements"
    assert settings["split_parameters"]["loo_label"] == "F"
    # MatFold's own formula of its checksums.
    data = pd.read_csv(tmp_path / "data.csv")
    digest = hashlib.md5(np.array(pd.util.hash_pandas_object(data, index=True).values).tobytes())
    assert settings["data_checksums"][0] == int(digest.hexdigest(), 16)
    # MatFold would look for symmetry with another tolerance, so it is not told to.
    assert not list(tmp_path.glob("mf.sgnum*.json"))


def test_matfold_is_told_of_symmetry_at_its_own_tolerance(
    toy_dataset: Dataset, tmp_path: Path
) -> None:
    study = Study(dataset="toy", criteria=("point_group",), min_size=80, symprec=0.1)
    found = attributes(toy_dataset.crystals, 0.1)
    inputs = Inputs(study, toy_dataset, "energy", found, group_materials(study, found))
    export(inputs, "matfold", tmp_path)
    settings: dict[str, Any] = json.loads((tmp_path / "mf.pointgroup.loo.m-3m.json").read_text())
    assert settings["split_parameters"]["loo_label"] == "m-3m"


def test_structures_are_what_pymatgen_reads(inputs: Inputs, tmp_path: Path) -> None:
    from pymatgen import core

    export(inputs, "matfold", tmp_path)
    bulk = json.loads((tmp_path / "bulk.json").read_text())
    assert list(bulk) == inputs.material_id.tolist()
    structure = core.Structure.from_dict(bulk["toy-0002"])
    assert structure.matches(inputs.dataset.crystals[2].to_pymatgen()[0])


def test_unknown_format(inputs: Inputs, tmp_path: Path) -> None:
    with pytest.raises(
        UnknownNameError, match="unknown format 'matbnech'; did you mean 'matbench'"
    ):
        export(inputs, "matbnech", tmp_path / "x")
    assert not list(tmp_path.iterdir())
