"""What is free is read where the system says it; what will not fit is said beforehand."""

from __future__ import annotations

from contextlib import AbstractContextManager
from pathlib import Path

import pytest

from offmap import Study, memory, stages
from offmap.bias import bias
from offmap.domain.analysis import domain
from offmap.inputs import prepare
from offmap.memory import (
    GIB,
    available,
    to_decompose,
    to_describe,
    to_find_domain,
    to_find_symmetry,
    to_report,
    to_score,
    to_train,
    warning,
)
from offmap.progress import Progress, Silent

# Largest memory of a process that did one stage and little else, by benchmarks/bench_memory.py;
# bytes. Domain and bias hold the study besides.
MEASURED = [
    (to_describe(50_000, 273), 0.655e9),
    (to_describe(1_000_000, 273), 7.643e9),
    (to_find_symmetry(1_000_000, 2), 2.70e9 - 1.0e9),
    (to_train(50_000, 273, 1, "lgbm"), 0.337e9),
    (to_train(1_000_000, 273, 1, "lgbm"), 2.201e9),
    (to_train(50_000, 273, 1, "xgb"), 0.472e9),
    (to_train(1_000_000, 273, 1, "xgb"), 2.202e9),
    (to_train(50_000, 273, 1, "rf"), 0.735e9),
    (to_train(1_000_000, 273, 1, "rf"), 10.17e9),
    (to_score(621_930), 0.430e9),
    (to_score(1_255_984), 0.601e9),
    (to_report(621_930), 0.301e9),
    (to_find_domain(50_000, 273, 2), 1.8e9 - 0.4e9),
    (to_decompose(50_000, 273, 1), 0.869e9 - 0.4e9),
]


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
    assert to_train(10**5, 273, 1, "rf") > to_train(10**5, 273, 1, "rf", {"n_estimators": 10})
    assert to_find_domain(10**5, 273, 2) > to_find_domain(10**5, 273, 1)
    assert to_decompose(10**5, 273, 2) > to_decompose(10**5, 273, 1)


@pytest.mark.parametrize(("reckoned", "measured"), MEASURED)
def test_needs_agree_with_what_was_measured(reckoned: int, measured: float) -> None:
    assert 0.7 * measured < reckoned < 1.5 * measured


class Events:
    """A reporter that keeps what was said and which steps began, in order."""

    def __init__(self) -> None:
        self.heard: list[str] = []

    def step(self, title: str) -> AbstractContextManager[Progress]:
        self.heard.append(f"step: {title}")
        return Silent().step(title)

    def say(self, text: str) -> None:
        self.heard.append(text)


def test_every_stage_that_will_not_fit_says_so_before_it_starts(
    toy_file: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(memory, "available", lambda: 2**20)
    study = Study(
        dataset=str(toy_file), target="energy", models=("dummy",), representations=("magpie",),
        criteria=("crystal_system",), min_size=60, n_folds=2, n_bootstrap=10,
    )  # fmt: skip
    monkeypatch.setattr("offmap.report.build.report", lambda store: store.report_file)
    events = Events()
    found = stages.run(study, tmp_path / "study", jobs=1, reporter=events)
    inputs = prepare(study)
    task = ["crystal_system/cubic"]
    domain(found.store, inputs, reporter=events, detectors=["nearest"], held_out=task)
    bias(found.store, inputs, task, reporter=events, checks=False)
    for stage in (
        "Describe crystals", "Find symmetry", "Train and predict", "Score", "Report",
        "Domain of each task", "Decompose errors",
    ):  # fmt: skip
        said = next(i for i, text in enumerate(events.heard) if text.startswith(f"{stage} needs"))
        begun = next(i for i, text in enumerate(events.heard) if text.startswith(f"step: {stage}"))
        assert said < begun


def test_only_what_will_not_fit_is_said() -> None:
    assert warning("Score", GIB, there=2 * GIB) == ""
    said = warning("Score", 3 * GIB, there=2 * GIB)
    assert said.startswith("Score needs about 3.0 GiB of memory and 2.0 GiB are free")


def test_this_machine_says_something() -> None:
    there = available()
    assert there is None or there > 0
