"""The study folder: nothing is ever half there."""

from __future__ import annotations

import itertools
import random
import subprocess
import sys
from pathlib import Path
from urllib.parse import unquote

import numpy as np
import pandas as pd
import pyarrow.dataset
import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from offmap import Study
from offmap.columns import CELL_KEYS
from offmap.errors import StudyError
from offmap.store import Cell, Store, slug, states

PROVENANCE = {"dataset": "toy", "target": "energy", "data_sha256": "ab" * 32}
CELL = Cell("toy", "energy", "magpie", "lgbm", "element", "F", 0, 100)


def predictions(n: int = 3) -> pd.DataFrame:
    ids = [f"mp-{i}" for i in range(n)]
    return pd.DataFrame({"material_id": ids, "y_true": np.arange(n) / 2, "y_pred": np.ones(n)})


@pytest.fixture
def store(tmp_path: Path) -> Store:
    return Store.create(tmp_path / "a=1" / "study", Study(), PROVENANCE)


# -- slugs ---------------------------------------------------------------------------------------

NAMES = st.text(max_size=20) | st.text(alphabet="a._-%/=<> ~é\0\\:", max_size=400)


@settings(max_examples=300, deadline=None)
@given(NAMES, NAMES)
@example("", "%")
@example(".", "%2E")
@example("a/b", "a%2Fb")
@example("\ud800", "é" * 300)
@example("Co", "CO")
@example("Li-Fe-O", "LI-FE-O")
@example("con", "CON")
def test_slugs(a: str, b: str) -> None:
    text = slug(a)
    assert (text.casefold() == slug(b).casefold()) == (a == b)
    assert 0 < len(text.encode()) <= 200
    assert not set('/\\:*?"<>|=\0') & set(text)
    assert text.isascii()
    assert text.isprintable()
    assert text[0] not in "._ "
    assert text[-1] not in ". "
    if "%%" not in text and a:
        assert unquote(text, errors="surrogatepass") == a


@pytest.mark.parametrize("name", ["F", "225", "m-3m", "Li-Fe-O", "formation_energy", "fold-1"])
def test_slugs_of_usual_names_are_themselves(name: str) -> None:
    assert slug(name) == name


def test_long_names_differ_by_their_digest(store: Store) -> None:
    names = ["x" * 300, "x" * 299 + "y", "x" * 200]
    assert len({slug(name) for name in names}) == 3
    long = Cell("d" * 300, "t" * 300, "a.b:C", "m" * 300, "c" * 300, "é" * 300, 0, 1)
    store.save_predictions(long, predictions(), {"ok": 1})
    assert store.state(long) == "done"
    assert store.read_predictions([long])["held_out"].tolist() == ["é" * 300] * 3


# -- writing -------------------------------------------------------------------------------------


def test_a_write_that_fails_leaves_what_was_there(
    store: Store, monkeypatch: pytest.MonkeyPatch
) -> None:
    store.write_table("scores", pd.DataFrame({"a": [1]}), csv=True)
    before = {path: path.read_bytes() for path in store.folder.iterdir()}

    def fail(self: pd.DataFrame, path: Path, **_: object) -> None:
        Path(path).write_bytes(b"half")
        raise OSError("no space left")

    monkeypatch.setattr(pd.DataFrame, "to_parquet", fail)
    with pytest.raises(StudyError, match="no space"):
        store.write_table("scores", pd.DataFrame({"a": [2]}))
    with pytest.raises(StudyError, match="no space"):
        store.save_predictions(CELL, predictions(), {})
    assert {path: path.read_bytes() for path in store.folder.iterdir() if path.is_file()} == before
    assert list(store.cell_folder(CELL).iterdir()) == []
    assert store.state(CELL) == "missing"


def test_what_a_killed_run_left_is_removed(store: Store) -> None:
    store.save_predictions(CELL, predictions(), {"seconds": 1.0})
    left = [store.cell_folder(CELL) / ".writing-x.predictions.parquet", store.folder / ".writing-y"]
    for path in left:
        path.write_bytes(b"half")
    (store.folder / ".arrays-z").mkdir()
    (store.folder / ".arrays-z" / "y.npy").write_bytes(b"")
    mine = store.folder / ".my-notes"
    mine.write_text("keep")
    store.clean()
    assert not any(path.exists() for path in [*left, store.folder / ".arrays-z"])
    assert mine.exists()
    assert store.state(CELL) == "done"


def test_damaged_tables_say_so(store: Store) -> None:
    with pytest.raises(StudyError, match=r"no scores\.parquet yet: run 'offmap score'"):
        store.read_table("scores")
    assert not store.has_table("scores")
    store.write_table("scores", pd.DataFrame({"model": ["lgbm"], "mae": [0.1]}), csv=True)
    frame = store.read_table("scores")  # the folder "a=1" adds no column
    assert frame.columns.tolist() == ["model", "mae"]
    assert pd.read_csv(store.folder / "scores.csv").equals(frame.astype({"model": object}))
    path = store.table_file("scores")
    path.write_bytes(path.read_bytes()[:-20])
    with pytest.raises(StudyError, match="damaged"):
        store.read_table("scores")


# -- cells ---------------------------------------------------------------------------------------


def test_done_failed_missing(store: Store) -> None:
    assert store.state(CELL) == "missing"
    store.save_error(CELL, "ValueError", "no luck", "trace")
    assert store.state(CELL) == "failed"
    assert store.error(CELL)["message"] == "no luck"
    store.save_predictions(CELL, predictions(), {"seconds": 2.5})
    assert store.state(CELL) == "done"
    assert store.error(CELL) == {}
    assert store.run_facts(CELL)["seconds"] == 2.5
    other = Cell(*list(CELL.keys().values())[:5], "Cl")
    assert states(store, [CELL, other]) == {"done": [CELL], "failed": [], "missing": [other]}


@pytest.mark.parametrize("damage", ["cut predictions", "no predictions", "cut run", "other run"])
def test_damaged_cells_are_missing(store: Store, damage: str) -> None:
    store.save_predictions(CELL, predictions(100), {"seconds": 1.0})
    table, run = (store.cell_folder(CELL) / n for n in ("predictions.parquet", "_run.json"))
    if damage == "cut predictions":
        table.write_bytes(table.read_bytes()[:-7])
        with pytest.raises(StudyError, match="damaged"):
            store.read_predictions([CELL])
    elif damage == "no predictions":
        table.unlink()
        with pytest.raises(StudyError, match="damaged"):
            store.read_predictions([CELL])
    elif damage == "cut run":
        run.write_bytes(run.read_bytes()[:-5])
    else:
        run.write_text("[1]")
    assert store.state(CELL) == "missing"
    store.save_predictions(CELL, predictions(100), {"seconds": 1.0})
    assert store.state(CELL) == "done"


def test_the_folder_of_runs_reads_as_one_table(store: Store) -> None:
    held = ["225", "<=4", "a=b", ".hidden", "_private", "é/ü", "nan"]
    cells = [
        Cell("toy", "energy", "magpie", model, "c", value, 0, 5)
        for model, value in itertools.product(["lgbm", "rf"], held)
    ]
    for cell in cells:
        store.save_predictions(cell, predictions(2), {"ok": True})
    store.save_error(CELL, "ValueError", "x", "")
    together = store.read_predictions(cells)
    assert together.columns.tolist() == [*CELL_KEYS, "material_id", "y_true", "y_pred"]
    assert together["held_out"].dtype == "category"
    assert together["held_out"].tolist() == [c.held_out for c in cells for _ in range(2)]
    runs = store.folder / "runs"
    for found in (pyarrow.dataset.dataset(runs).to_table().to_pandas(), pd.read_parquet(runs)):
        assert found.columns.tolist() == together.columns.tolist()
        assert sorted(found["held_out"].astype(str)) == sorted(together["held_out"].astype(str))
        assert found["n_train"].eq(5).all()
    assert store.read_predictions([]).columns.tolist() == together.columns.tolist()


# -- the study -----------------------------------------------------------------------------------


def test_other_settings_are_refused_and_named(store: Store) -> None:
    with pytest.raises(StudyError, match=r"seed: 0 -> 1\n  confidence: 0\.95 -> 0\.9"):
        Store.create(store.folder, Study(seed=1, confidence=0.9), PROVENANCE)
    with pytest.raises(StudyError, match="data themselves: sha256 abababababab… -> cdcdcdcdcdcd…"):
        Store.create(store.folder, Study(), PROVENANCE | {"data_sha256": "cd" * 32})
    with pytest.raises(StudyError, match="models"):
        Store.create(store.folder, Study(models=("rf",)), PROVENANCE)
    assert store.study() == Study()


def test_models_criteria_and_representations_may_grow(store: Store) -> None:
    grown = Study(
        models=("lgbm", "rf"),
        criteria=(*Study().criteria, "n_elements"),
        representations=("matminer", "magpie"),
        model_settings={"rf": {"n_estimators": 3}},
    )
    with pytest.raises(StudyError, match="model_settings"):
        Store.create(store.folder, grown, PROVENANCE)
    grown = grown.replace(model_settings={})
    assert Store.create(store.folder, grown, PROVENANCE).study() == grown
    assert Store.open(store.folder).provenance() == PROVENANCE


def test_folders_that_are_no_study(tmp_path: Path, store: Store) -> None:
    with pytest.raises(StudyError, match="is not a study folder"):
        Store.open(tmp_path)
    (tmp_path / "thesis.tex").write_text("precious")
    with pytest.raises(StudyError, match="is not a study; choose another --out"):
        Store.create(tmp_path, Study(), PROVENANCE)
    with pytest.raises(StudyError, match="choose another --out"):
        Store.create(tmp_path / "thesis.tex", Study(), PROVENANCE)
    with (
        pytest.raises(StudyError, match="cannot make the folder"),
        Store(tmp_path / "thesis.tex").lock(),
    ):
        pass


def test_a_damaged_study_file_has_a_twin(store: Store) -> None:
    whole = store.study_file.read_text()
    for damaged in (b"\xff", b"", b"[x]", whole[: len(whole) // 2].encode(), b"models = 1"):
        store.study_file.write_bytes(damaged)
        assert store.study() == Study()
        assert store.provenance() == PROVENANCE
        store.check(Study(), PROVENANCE["data_sha256"])
    store.study_file.unlink()
    assert Store.open(store.folder).study() == Study()
    (store.folder / "_study.toml").write_bytes(b"\xff")
    store.study_file.write_bytes(b"\xff")
    with pytest.raises(StudyError, match="cannot read"):
        store.provenance()


def test_a_damaged_twin_is_not_taken_for_what_was_written(store: Store) -> None:
    twin = store.folder / "_study.toml"
    whole = twin.read_bytes()
    draw = random.Random(0)
    changed = [b"", b"[x]", b"\xff", whole[: len(whole) // 2], whole + whole]
    for _ in range(60):
        at, bit = draw.randrange(len(whole)), 1 << draw.randrange(8)
        changed.append(whole[:at] + bytes([whole[at] ^ bit]) + whole[at + 1 :])
    for damaged in changed:
        twin.write_bytes(damaged)
        store.check(Study(), PROVENANCE["data_sha256"])
        assert store.provenance() == PROVENANCE
    twin.write_bytes(whole.replace(b"seed = 0", b"seed = 1"))
    store.study_file.write_bytes(b"")
    with pytest.raises(StudyError, match=r"study\.toml: it is not what was written"):
        store.study()
    assert b"seed = 0" in whole


def test_settings_edited_by_hand_are_not_those_of_what_is_there(store: Store) -> None:
    text = store.study_file.read_text()
    store.study_file.write_text(text.replace("seed = 0", "seed = 1"))
    edited = store.study()
    assert edited.seed == 1
    with pytest.raises(StudyError, match="seed: 0 -> 1"):
        Store.create(store.folder, edited, PROVENANCE)


def test_a_folder_of_a_run_killed_at_its_start_can_be_used(tmp_path: Path) -> None:
    folder = tmp_path / "study"
    with Store(folder).lock():
        (folder / ".writing-abc.study.toml").write_text("half")
        assert Store.create(folder, Study(), PROVENANCE).study() == Study()


def test_a_second_process_is_kept_out(store: Store) -> None:
    code = (
        "import sys\nfrom offmap.errors import StudyError\nfrom offmap.store import Store\n"
        "try:\n    with Store(sys.argv[1]).lock(): print('in')\n"
        "except StudyError as error: print('out', error)"
    )
    command = [sys.executable, "-c", code, str(store.folder)]
    with store.lock():
        inside = subprocess.run(command, capture_output=True, text=True, check=True)
    after = subprocess.run(command, capture_output=True, text=True, check=True)
    assert inside.stdout.startswith("out another run is working in")
    assert after.stdout.strip() == "in"
