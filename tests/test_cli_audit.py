"""``offmap audit`` and ``offmap export --hard`` as a person runs them, on small data."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pandas as pd
import pytest

from offmap.datasets.base import Dataset
from tests.test_cli import offmap

KEYS = {
    "verdict", "coverage", "coverage_low", "coverage_high", "sure", "agreement", "n_train",
    "n_test", "n_calibration", "two_sample_auc", "twins_formula", "reasons", "notes", "settings",
    "bins", "set_aside", "materials",
}  # fmt: skip
WITH_STUDY = {"expected_error", "expected_error_in_distribution"}
MATERIAL = {
    "material_id", "formula", "verdict", "combined", "n_out", "new_elements", "nearest", "outside",
}  # fmt: skip


FLUORIDE = "tests.domain.audit_cases:fluoride"


@pytest.fixture(scope="module")
def study(toy_file: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A finished study of most toy crystals; the others become candidates."""
    out = tmp_path_factory.mktemp("audited") / "study"
    flags = "--target energy --min-size 60 -r magpie --criterion element --model knn --limit 700"
    done = offmap("run", "--dataset", toy_file, *flags.split(), "--out", out, "--jobs", "1")
    assert done.returncode == 0, done.stderr
    return out


@pytest.fixture(scope="module")
def files(toy_file: Path, tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, Path]:
    """Training and test materials as two files: fluorides left out."""
    import pyarrow.parquet as pq

    folder = tmp_path_factory.mktemp("split")
    table = pq.read_table(toy_file)
    fluoride = np.array([9 in numbers for numbers in table["numbers"].to_pylist()])
    pq.write_table(table.filter(~fluoride), folder / "train.parquet")
    pq.write_table(table.filter(fluoride), folder / "test.parquet")
    return folder / "train.parquet", folder / "test.parquet"


def test_audit_of_a_split(files: tuple[Path, Path], tmp_path: Path) -> None:
    train, test = files
    sides = ["--train", train, "--test", test, "--target", "energy", "-r", "magpie"]
    done = offmap("audit", *sides, "--json", "--out", tmp_path / "mine", "--jobs", "1")
    assert done.returncode == 0, done.stderr
    found = json.loads(done.stdout)
    assert set(found) >= KEYS
    assert set(found["materials"][0]) == MATERIAL | {"y_true"}
    assert found["n_train"] == 704
    assert found["n_test"] == 88
    assert found["materials"][0]["new_elements"] == ["F"]
    assert len(found["materials"][0]["nearest"]) == 3
    assert found["materials"][0]["outside"][0]["feature"]
    assert json.loads((tmp_path / "mine" / "audit.json").read_text()) == found
    assert len(pd.read_csv(tmp_path / "mine" / "audit.csv")) == 88
    page = (tmp_path / "mine" / "audit.html").read_text()
    assert "<svg" in page
    assert "new to training: F" in page
    assert 'src="http' not in page
    assert 'href="http' not in page.replace('xlink:href="http', "")


def test_candidates_from_a_folder_of_cif_files(
    study: Path, toy_dataset: Dataset, tmp_path: Path
) -> None:
    from ase.io import write

    folder = tmp_path / "candidates"
    folder.mkdir()
    left_out = set(toy_dataset.frame["material_id"]) - set(
        pd.read_parquet(study / "materials.parquet")["material_id"]
    )
    rows = np.flatnonzero(toy_dataset.frame["material_id"].isin(sorted(left_out)[:6]))
    for name, atoms in zip("abcdef", toy_dataset.crystals.take(rows).to_ase(), strict=True):
        write(folder / f"{name}.cif", atoms)
    (folder / "broken.cif").write_text("this is no CIF file\n")
    done = offmap("audit", study, "--candidates", folder, "--nominal", "0.7", "--json")
    assert done.returncode == 0, done.stderr
    found = json.loads(done.stdout)
    assert set(found) >= KEYS | WITH_STUDY
    assert {row["material_id"] for row in found["materials"]} == set("abcdef")
    wanted = MATERIAL | {"expected_error", "y_pred", "bin", "interval_low", "interval_high"}
    assert set(found["materials"][0]) == wanted | {"no_interval"}
    for row in found["materials"]:
        assert (row["interval_low"] is None) == bool(row["no_interval"])
    assert [row["material_id"] for row in found["set_aside"]] == ["broken"]
    assert {row["bin"] for row in found["bins"]} >= {"inside", "all"}
    printed = offmap("audit", study, "--candidates", folder, "--nominal", "0.7").stdout
    assert "what they held on finished tasks" in printed
    assert "furthest out first" in printed
    assert printed.startswith(found["verdict"])


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        (["--train", "prototypes"], "nothing to audit"),
        (["--predictions", "none.csv"], "there is no file none.csv"),
        (["--train", "TRAIN", "--test", "TRAIN", "-r", "magpie"], "also in the training set"),
        (["STUDY", "--predictions", "unknown.csv"], "ids are not in the study"),
        (["nowhere", "--test", "TRAIN"], "not a study folder"),
    ],
)
def test_bad_input(
    arguments: list[str], words: str, study: Path, files: tuple[Path, Path], tmp_path: Path
) -> None:
    (tmp_path / "unknown.csv").write_text("material_id,y_pred\nmp-1,0.5\n")
    names = {"TRAIN": str(files[0]), "STUDY": str(study)}
    done = offmap("audit", *[names.get(a, a) for a in arguments], cwd=tmp_path)
    assert done.returncode == 2, done.stdout
    assert words in done.stderr.replace("are in the training set too", "also in the training set")
    assert "Traceback" not in done.stderr


def test_hard_tasks_come_out_again_bit_for_bit(toy_file: Path, tmp_path: Path) -> None:
    flags = f"--target energy -r magpie --criterion {FLUORIDE} --min-size 80 --hard --min-out 0.05"
    one = offmap("export", toy_file, *flags.split(), "-o", tmp_path / "a/hard.json", "-j", "1")
    assert one.returncode == 0, one.stderr
    again = [*flags.split(), "--check", tmp_path / "a/hard.json", "-j", "2"]
    two = offmap("export", toy_file, *again, "-o", tmp_path / "b/hard.json")
    assert two.returncode == 0, two.stderr
    for name in ("hard.json", "hard.csv"):
        assert (tmp_path / "a" / name).read_bytes() == (tmp_path / "b" / name).read_bytes()
    manifest = json.loads((tmp_path / "a/hard.json").read_text())
    assert manifest["versions"]["offmap"]
    assert len(manifest["data_sha256"]) == 64
    assert len(manifest["material_id"]) == 792
    (task,) = manifest["tasks"]
    assert (task["criterion"], task["held_out"], task["n_train"]) == (FLUORIDE, "F", 704)
    assert task["share_out"] >= 0.05


def test_tasks_with_their_domain(toy_file: Path) -> None:
    flags = f"--target energy --domain --criterion {FLUORIDE} --min-size 80 -r magpie --json"
    done = offmap("tasks", toy_file, *flags.split(), "--jobs", "1")
    assert done.returncode == 0, done.stderr
    (row,) = json.loads(done.stdout)
    assert (row["held_out"], row["n_test"]) == ("F", 88)
    assert row["coverage_low"] <= row["coverage"] <= row["coverage_high"]
    assert row["twins_formula"] == 0
    assert row["two_sample_auc"] > 0.9
