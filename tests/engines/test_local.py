"""Where cells run: the same outcomes in one process and in many, whatever a cell does."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import textwrap
import time
from pathlib import Path

import pytest

from offmap.engines import CRASHED, Local, Outcome, n_cores
from offmap.store import Cell


def cell(held_out: object) -> Cell:
    return Cell("d", "t", "r", "m", "c", str(held_out))


def nothing() -> None:
    """A start that does nothing."""


def tell(text: str) -> None:
    """A start that says something to the work."""
    os.environ["OFFMAP_TEST_TOLD"] = text


def work(todo: Cell) -> Outcome:
    """Do what the cell is named after."""
    if todo.held_out == "crash":
        os._exit(3)
    if todo.held_out == "raise":
        raise ValueError("no luck")
    if todo.held_out == "slow":
        time.sleep(600)
    if todo.held_out == "environment":
        threads = os.environ.get("OMP_NUM_THREADS", "unset")
        return Outcome(todo, 0.0, f"{os.environ['OFFMAP_TEST_TOLD']} {threads}")
    return Outcome(todo, 1.0)


def by_name(outcomes: list[Outcome]) -> list[tuple[str, str]]:
    return sorted((o.cell.held_out, o.error) for o in outcomes)


def test_one_and_two_processes_give_the_same() -> None:
    cells = [cell(i) for i in range(6)] + [cell("raise")]
    one = by_name(list(Local(1).run(work, cells, nothing, ())))
    two = by_name(list(Local(2).run(work, cells, nothing, ())))
    assert one == two
    assert one[-1] == ("raise", "ValueError: no luck")


def test_a_cell_that_kills_its_process_is_named_and_the_others_finish() -> None:
    cells = [cell(0), cell("crash"), *(cell(i) for i in range(1, 5)), cell("raise")]
    found = dict(by_name(list(Local(2).run(work, cells, nothing, ()))))
    assert found.pop("crash") == CRASHED
    assert found.pop("raise") == "ValueError: no luck"
    assert found == {str(i): "" for i in range(5)}


def test_the_environment_of_the_parent_is_left_alone(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("OMP_NUM_THREADS", raising=False)
    engine = Local(2)
    seen = []
    for outcome in engine.run(work, [cell("environment"), cell(1)], tell, ("told",)):
        assert "OMP_NUM_THREADS" not in os.environ
        seen.append(outcome.error)
    assert sorted(seen) == ["", f"told {engine.threads}"]
    assert "OFFMAP_TEST_TOLD" not in os.environ


def test_threads_are_shared_out(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("OMP_NUM_THREADS", raising=False)
    assert Local(1).threads == n_cores()
    assert Local(10_000).threads == 1
    monkeypatch.setenv("OMP_NUM_THREADS", "1")
    assert Local(1).threads == 1
    assert Local(0).jobs == 1


SCRIPT = """
import signal
# Runners in the background ignore interrupts, and children inherit that.
signal.signal(signal.SIGINT, signal.default_int_handler)
from pathlib import Path
from offmap.engines import Local
from tests.engines.test_local import cell, nothing, work

print("ready", flush=True)
for outcome in Local(2).run(work, [cell(name) for name in {names}], nothing, ()):
    print(outcome.cell.held_out, flush=True)
"""


def _script(tmp_path: Path, names: list[str]) -> list[str]:
    path = tmp_path / "script.py"
    path.write_text(textwrap.dedent(SCRIPT.format(names=names)))
    return [sys.executable, str(path)]


def _environment() -> dict[str, str]:
    return os.environ | {"PYTHONPATH": str(Path(__file__).parents[2])}


def test_a_script_needs_no_main_guard(tmp_path: Path) -> None:
    done = subprocess.run(
        _script(tmp_path, ["1", "2"]),
        capture_output=True,
        text=True,
        env=_environment(),
        timeout=120,
    )
    assert sorted(done.stdout.split()) == ["1", "2", "ready"]
    assert done.stderr == ""


@pytest.mark.skipif(os.name != "posix", reason="signals of POSIX")
@pytest.mark.parametrize("how", [signal.SIGINT, signal.SIGKILL])
def test_children_do_not_outlive_an_interrupted_run(tmp_path: Path, how: signal.Signals) -> None:
    command = _script(tmp_path, ["slow", "1", "slow"])
    run = subprocess.Popen(
        command, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, text=True, env=_environment()
    )
    assert run.stdout is not None
    assert [run.stdout.readline(), run.stdout.readline()] == ["ready\n", "1\n"]
    run.send_signal(how)
    # The pipe closes when the last process that holds it is gone, children included.
    begun = time.monotonic()
    assert run.stdout.read() == ""
    run.wait(60)
    run.stdout.close()
    assert time.monotonic() - begun < 60
