"""Names to code."""

from __future__ import annotations

import subprocess
import sys
from importlib.metadata import EntryPoint
from pathlib import Path

import pytest

from offmap import registry
from offmap.errors import OffmapError, UnknownNameError

BUILT_IN = [(kind, name) for kind, table in registry.TABLES.items() for name in table]


@pytest.mark.parametrize(("kind", "name"), BUILT_IN)
def test_every_built_in_name_loads(kind: str, name: str) -> None:
    assert callable(registry.load(kind, name))


def test_unknown_names_are_told_with_near_ones() -> None:
    with pytest.raises(UnknownNameError, match="unknown model 'lgmb'; did you mean 'lgbm'"):
        registry.load("model", "lgmb")
    with pytest.raises(UnknownNameError, match=r"package\.module:Attribute"):
        registry.check("criterion", "zzz")


@pytest.mark.parametrize(
    ("name", "message"),
    [
        (":", "cannot be loaded"),
        (":x", "cannot be loaded"),
        (".relative:x", "cannot be loaded"),
        ("a..b:c", "cannot be loaded"),
        ("no_such_package.module:x", "No module named"),
        ("math:nope", "module math has no 'nope'"),
        ("math:", "has no ''"),
    ],
)
def test_wrong_names_of_ones_own(name: str, message: str) -> None:
    with pytest.raises(OffmapError, match=message):
        registry.load("model", name)


def test_modules_that_break_say_so(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "broken_import_x.py").write_text("from math import nothing_of_the_kind\n")
    (tmp_path / "broken_bug_x.py").write_text("import math\nmath.nothing\nModel = 1\n")
    monkeypatch.syspath_prepend(str(tmp_path))
    with pytest.raises(OffmapError, match="nothing_of_the_kind"):
        registry.load("model", "broken_import_x:Model")
    with pytest.raises(AttributeError, match="nothing"):  # a bug of theirs keeps its traceback
        registry.load("model", "broken_bug_x:Model")


def test_missing_extra_says_how_to_install_it(monkeypatch: pytest.MonkeyPatch) -> None:
    entry = registry.Entry("no_such_library_x:Model", "", "fancy")
    monkeypatch.setitem(registry.TABLES["model"], "fancy", entry)
    with pytest.raises(OffmapError, match=r"pip install 'offmap\[fancy\]'"):
        registry.load("model", "fancy")


def test_entry_points_are_added_but_replace_nothing(monkeypatch: pytest.MonkeyPatch) -> None:
    points = [
        EntryPoint("mine", "math:sqrt", "offmap.models"),
        EntryPoint("lgbm", "math:floor", "offmap.models"),
    ]
    monkeypatch.setattr(
        registry, "entry_points", lambda group: points if group == "offmap.models" else []
    )
    assert registry.load("model", "mine")(4) == 2
    assert registry.load("model", "lgbm").__module__ == "offmap.models.trees"
    assert {"kind": "models", "name": "mine", "summary": "from math"} in registry.listing("models")


def test_listing() -> None:
    rows = registry.listing()
    assert {row["kind"] for row in rows} >= {"models", "criteria", "datasets", "representations"}
    assert registry.listing("criteria") == registry.listing("criterion")
    assert all(row["summary"] for row in rows)
    with pytest.raises(UnknownNameError, match="did you mean 'models'"):
        registry.listing("modles")


def test_listing_imports_no_heavy_library() -> None:
    code = (
        "import sys, offmap, offmap.registry as r; r.listing(); offmap.Study\n"
        "heavy = {'numpy', 'pandas', 'torch', 'pymatgen', 'matplotlib', 'sklearn'}\n"
        "print(sorted(heavy & set(sys.modules)))"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "[]"


def test_a_long_list_of_known_names_is_cut() -> None:
    error = UnknownNameError("task", "element/Fe2", [f"element/{i}" for i in range(200)])
    assert "(200 in all)" in str(error)
    assert len(str(error)) < 700
