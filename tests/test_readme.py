"""The README's commands and Python block, cut out and run."""

from __future__ import annotations

import re
import subprocess
import sys
import sysconfig
from pathlib import Path

import pandas as pd
import pytest

ROOT = Path(__file__).parents[1]
README = (ROOT / "README.md").read_text(encoding="utf-8")


def block(name: str) -> str:
    """The text of the fenced block between ``<!-- name -->`` and ``<!-- end -->``."""
    found = re.search(rf"<!-- {name} -->\s*```\w*\n(.*?)```\s*<!-- end -->", README, re.DOTALL)
    assert found, f"README has no block named {name}"
    return found.group(1).strip()


@pytest.fixture(scope="module")
def study_folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Run the README's first command, without its install step, as it is written."""
    install, _, command = block("run").partition(" && ")
    assert install.startswith("pip install -c constraints.txt ")
    assert command == "offmap run"
    program = Path(sysconfig.get_path("scripts")) / "offmap"
    cwd = tmp_path_factory.mktemp("readme")
    done = subprocess.run(
        [sys.executable, program, *command.split()[1:]],
        cwd=cwd,
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    report = Path(done.stdout.strip().splitlines()[-1].removeprefix("report: "))
    assert (cwd / report).is_file()
    return cwd / report.parents[1]


def test_the_main_job_runs_all_six_criteria(study_folder: Path) -> None:
    scores = pd.read_parquet(study_folder / "scores.parquet")
    criteria = {"element", "period", "group", "space_group", "point_group", "crystal_system"}
    assert criteria | {"in_distribution"} == set(scores["criterion"])
    assert len(scores) > 100
    reference = scores.query("criterion == 'in_distribution' and held_out == 'all'").iloc[0]
    assert reference["r2"] > 0.9


def test_the_python_block_runs(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    script = tmp_path / "block.py"
    script.write_text(block("python"))  # workers need no "if __name__ == '__main__'"
    done = subprocess.run(
        [sys.executable, script], cwd=tmp_path, capture_output=True, text=True, check=False
    )
    assert done.returncode == 0, done.stderr
    assert "mae_ratio" in done.stdout


def test_the_test_command_is_what_ci_runs() -> None:
    install, _, command = block("tests").partition(" && ")
    assert install == "pip install -c constraints.txt -e '.[test]'"
    assert command == "pytest -n 2 --dist worksteal"
    assert "<!-- tests -->" in (ROOT / ".ci" / "run").read_text()
