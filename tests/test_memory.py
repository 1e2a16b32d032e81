"""What is free is read where the system says it; what will not fit is said beforehand."""

from __future__ import annotations

from pathlib import Path

import pytest

from offmap import memory
from offmap.memory import GIB, available, to_describe, to_score, to_train, warning


@pytest.fixture
def system(tmp_path: Path) -> tuple[Path, Path]:
    proc, cgroup = tmp_path / "proc", tmp_path / "cgroup"
    proc.mkdir()
    cgroup.mkdir()
    (proc / "meminfo").write_text("MemTotal: 16 kB\nMemAvailable:    8388608 kB\n")
    return proc, cgroup


def test_the_smallest_bound_counts(
    system: tuple[Path, Path], monkeypatch: pytest.MonkeyPatch
) -> None:
    proc, cgroup = system
    monkeypatch.setattr(memory, "_own_limit", lambda _: None)
    assert available(proc, cgroup) == 8 * GIB
    (cgroup / "memory.max").write_text("max\n")
    assert available(proc, cgroup) == 8 * GIB
    (cgroup / "memory.max").write_text(f"{4 * GIB}\n")
    (cgroup / "memory.current").write_text(f"{GIB}\n")
    assert available(proc, cgroup) == 3 * GIB
    monkeypatch.setattr(memory, "_own_limit", lambda _: GIB)
    assert available(proc, cgroup) == GIB


def test_older_control_groups(system: tuple[Path, Path], monkeypatch: pytest.MonkeyPatch) -> None:
    proc, cgroup = system
    monkeypatch.setattr(memory, "_own_limit", lambda _: None)
    (cgroup / "memory").mkdir()
    (cgroup / "memory" / "memory.limit_in_bytes").write_text(str(2 * GIB))
    (cgroup / "memory" / "memory.usage_in_bytes").write_text(str(3 * GIB))
    assert available(proc, cgroup) == 0


def test_needs_grow_with_what_is_done() -> None:
    assert to_describe(10**6, 273) > to_describe(10**5, 273) > to_describe(10**5, 145)
    assert to_train(10**5, 273, 4) > to_train(10**5, 273, 1) > to_train(10**4, 273, 1)
    assert to_score(10**7) > to_score(10**6)


def test_only_what_will_not_fit_is_said() -> None:
    assert warning("Score", GIB, there=2 * GIB) == ""
    said = warning("Score", 3 * GIB, there=2 * GIB)
    assert said.startswith("Score needs about 3.0 GiB of memory and 2.0 GiB are free")


def test_this_machine_says_something() -> None:
    there = available()
    assert there is None or there > 0
