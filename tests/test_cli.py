"""What a person at the terminal sees: commands, exit codes, errors in words."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path

import pandas as pd
import pytest
from typer.testing import CliRunner

from offmap.cli import app

TOY = "--target energy --min-size 60 -r magpie --criterion crystal_system --model dummy".split()


def offmap(*arguments: str | Path, cwd: Path | None = None) -> subprocess.CompletedProcess[str]:
    command = [sys.executable, "-m", "offmap", *map(str, arguments)]
    return subprocess.run(command, capture_output=True, text=True, cwd=cwd, check=False)


@pytest.fixture(scope="module")
def folder(toy_file: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    out = tmp_path_factory.mktemp("cli") / "study"
    done = offmap("run", "--dataset", toy_file, *TOY, "--out", out, "--jobs", "1")
    assert done.returncode == 0, done.stderr
    assert "in-distribution MAE" in done.stdout
    assert str(out / "report" / "index.html") in done.stdout
    return out


@pytest.mark.parametrize("arguments", [["--help"], ["ls"], ["run", "--help"]])
def test_light_commands_import_nothing_heavy(arguments: list[str]) -> None:
    code = (
        "import sys\n"
        f"sys.argv = ['offmap', *{arguments!r}]\n"
        "from offmap.cli import main\n"
        "try:\n    main()\nexcept SystemExit:\n    pass\n"
        "heavy = {'torch', 'pymatgen', 'matplotlib', 'sklearn', 'lightgbm', 'scipy', 'plotly'}\n"
        "print(sorted(heavy & set(sys.modules)), file=sys.stderr)"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stderr.strip() == "[]"


def test_ls_names_everything() -> None:
    rows = json.loads(offmap("ls", "models", "--json").stdout)
    assert {"lgbm", "xgb", "rf", "dummy", "knn"} <= {row["name"] for row in rows}


def test_tasks_as_json(toy_file: Path) -> None:
    done = offmap("tasks", toy_file, "--criterion", "element", "--min-size", "80", "--json")
    rows = json.loads(done.stdout)
    assert {
        row["held_out"] for row in rows if row["criterion"] == "element" and row["kept"]
    } == set("O S Se Te F Cl Br N P".split())
    skipped = next(row for row in rows if row["held_out"] == "Li")
    assert skipped["reason"] == "fewer than 80 test materials"


def test_status_and_score(folder: Path) -> None:
    assert json.loads(offmap("status", folder, "--json").stdout)[0]["missing"] == 0
    rows = json.loads(offmap("score", folder, "--json").stdout)
    assert {row["criterion"] for row in rows} == {"in_distribution", "crystal_system"}


def test_a_person_is_shown_the_worst_tasks_and_where_the_rest_is(folder: Path) -> None:
    printed = offmap("score", folder).stdout.splitlines()
    assert printed[0].split() == ["task", "n_test", "mae", "mae_ratio", "r2", "bias", "pearson",
                                  "mae_in_distribution"]  # fmt: skip
    ratios = [float(line.split()[3]) for line in printed[1:] if line.startswith("crystal_system/")]
    assert ratios == sorted(ratios, reverse=True)
    assert printed[-1] == f"all rows and columns: {folder / 'scores.csv'}"


def test_a_study_folder_is_not_a_study_file(folder: Path) -> None:
    done = offmap("run", folder)
    assert done.returncode == 2
    assert f"offmap evaluate {folder}" in done.stderr


def test_one_study_alone_has_nothing_to_compare(folder: Path) -> None:
    done = offmap("compare", folder)
    assert done.returncode == 0, done.stderr
    assert "none is compared" in done.stdout
    assert "Empty DataFrame" not in done.stdout


def test_datasets_are_checked(folder: Path, toy_file: Path, tmp_path: Path) -> None:
    more = ["--study", folder, "--against", toy_file, "--out", tmp_path / "tables"]
    done = offmap("data", "check", toy_file, "--target", "energy", *more, "--json")
    found = {row["check"]: row["found"] for row in json.loads(done.stdout)}
    assert found["blown_up"] == found["conflicting_sources"] == found["reference_drift"] == 0
    twins = pd.read_csv(tmp_path / "tables" / "near_twins.csv", keep_default_na=False)
    assert len(twins) == found["near_twins"]
    assert len(list((tmp_path / "tables").iterdir())) == len(found) == 6


def test_export_names_what_it_wrote(toy_file: Path, tmp_path: Path) -> None:
    flags = ["--criterion", "crystal_system", "--min-size", "60", "--json"]
    done = offmap("export", toy_file, *flags, "--out", tmp_path / "splits.csv")
    assert done.returncode == 0, done.stderr
    written = [Path(path) for path in json.loads(done.stdout)]
    assert written
    assert all(path.is_file() for path in written)


def test_report_is_rebuilt(folder: Path) -> None:
    page = folder / "report" / "index.html"
    page.unlink()
    assert offmap("report", folder).returncode == 0
    assert page.is_file()


def test_dry_run_writes_nothing(toy_file: Path, tmp_path: Path) -> None:
    done = offmap("run", "--dataset", toy_file, *TOY, "--dry-run", cwd=tmp_path)
    assert "8 of 8 cells to run" in done.stdout
    assert not list(tmp_path.iterdir())


def test_featurize_writes_a_table(toy_file: Path, tmp_path: Path) -> None:
    out = tmp_path / "features.parquet"
    assert offmap("featurize", toy_file, "-r", "magpie", "-o", out).returncode == 0
    assert pd.read_parquet(out).shape == (792, 146)


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        (["run", "--model", "lgmb"], "did you mean 'lgbm'"),
        (["run", "--criterion", "space-group"], "did you mean 'space_group'"),
        (["run", "--dataset", "prototype"], "prototypes"),
        (["run", "--min-size", "0"], "min_size must be between 2"),
        (["score", "nowhere"], "not a study folder"),
        (["run", "nowhere.toml"], "cannot read the study file"),
        (["run", "crystals.parquet"], "for data, say --dataset crystals.parquet"),
        (["run", "prototypes"], "for data, say --dataset prototypes"),
        (["run", "--jobs", "0"], "Invalid value for '--jobs'"),
        (["ls", "model-s"], "did you mean 'models'"),
    ],
)
def test_errors_are_for_people(arguments: list[str], words: str, tmp_path: Path) -> None:
    done = offmap(*arguments, cwd=tmp_path)
    assert done.returncode == 2
    assert words in done.stderr
    assert "Traceback" not in done.stderr
    assert not list(tmp_path.iterdir())


def test_failed_cells_make_exit_code_one(toy_file: Path, tmp_path: Path) -> None:
    (tmp_path / "mine.py").write_text("def broken():\n    raise ValueError('not today')\n")
    flags = [*TOY[:-1], "mine:broken", "--jobs", "1", "--out", "study"]
    done = offmap("run", "--dataset", toy_file, *flags, cwd=tmp_path)
    assert done.returncode == 1
    last = done.stderr.splitlines()[-1]
    assert last.endswith("and 5 more: ValueError: not today")  # cells that failed alike, in a line
    assert json.loads(offmap("status", tmp_path / "study", "--json").stdout)[0]["failed"] == 8
    assert "and 5 more: " in offmap("status", tmp_path / "study").stdout


def test_stability_goes_without_the_map_that_is_not_installed(
    folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    asked: dict[str, object] = {}

    def stability(*_: object, **given: object) -> pd.DataFrame:
        asked.update(given)
        columns = ["task", "method", "decided_by", "setting", "coverage", "n_materials"]
        return pd.DataFrame([["t", "offmap", "mean_standing", "default", 0.5, 9]], columns=columns)

    monkeypatch.setattr("offmap.domain.stability.task_stability", stability)
    monkeypatch.setattr("offmap.cli.analysis.find_spec", lambda name: None)
    done = CliRunner().invoke(app, ["domain", str(folder), "--stability", "a/b", "--jobs", "1"])
    assert done.exit_code == 0, done.output
    assert "offmap[domain]" in done.output
    assert asked == {"with_published": False}
