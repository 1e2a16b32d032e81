"""Study folders of every kind give a page: finished, half finished, empty, odd."""

from __future__ import annotations

import base64
import gzip
import json
import re
from pathlib import Path

import numpy as np
import pandas as pd
import pytest

from offmap.errors import StudyError
from offmap.report import report
from offmap.report.tables import Tables
from offmap.store import Store
from tests.report.planted import SCRIPT, plant


def text_of(path: Path) -> str:
    return path.read_text(encoding="utf-8")


def packed(html: str, name: str) -> str:
    found = re.search(rf'id="packed-{name}">([^<]*)<', html)
    assert found
    return gzip.decompress(base64.b64decode(found[1])).decode()


def small(folder: Path, **changes: object) -> Store:
    """A study of one model and one criterion."""
    settings = {"models": ("lgbm",), "criteria": ("crystal_system",), "n": 200, "min_size": 20}
    return plant(folder, **(settings | {"n_bootstrap": 10} | changes))  # type: ignore[arg-type]


def test_the_page_answers_the_questions_in_order(page: Path) -> None:
    html = text_of(page)
    titles = re.findall(r"<h2>(.*?)</h2>", html)
    assert titles == [
        "Which tasks fail?",
        "Is that extrapolation?",
        "Why do they fail?",
        "What should I do?",
        "How do the models compare?",
        "Where do these numbers come from?",
    ]
    assert "MAE" in html
    assert "not finished" not in html
    assert page.stat().st_size < 15e6


def test_nothing_is_fetched_and_no_string_is_markup(page: Path) -> None:
    html = text_of(page)
    assert not re.search(r"<(script|link|img|iframe)[^>]*(src|href)=", html)
    assert "@import" not in html
    assert "<b>with markup</b>" not in html
    assert "Planted study &lt;b&gt;with markup&lt;/b&gt;" in html
    details = packed(html, "details")
    assert SCRIPT not in details
    assert "<" not in details.replace("\\u003c", "")
    key, _, body = details.split("\n")[0].partition("\t")
    assert json.loads(key).startswith("lgbm|")
    assert set(json.loads(body)) == {"html", "figures"}
    fluoride = next(line for line in details.split("\n") if line.startswith('"lgbm|element/F"'))
    assert "&lt;script&gt;" in json.loads(fluoride.partition("\t")[2])["html"]


def test_every_figure_is_a_file_with_its_numbers(planted: Store, page: Path) -> None:
    svg = {path.stem for path in planted.figures.glob("*.svg")}
    csv = {path.stem for path in planted.figures.glob("*.csv")}
    assert svg == csv
    assert {"overview-lgbm", "elements-r2-rf", "bars-crystal_system-mae-lgbm"} <= svg
    assert {"task-element-F-parity-lgbm", "task-element-F-control-lgbm"} <= svg
    assert set(json.loads(packed(text_of(page), "figures"))) <= svg
    frame = pd.read_csv(planted.figures / "elements-bias-lgbm.csv").set_index("held_out")
    assert frame.loc["F", "bias"] == pytest.approx(0.6, abs=0.1)
    assert frame.loc["F", "outcome"] == "fails"


def test_the_same_tables_give_the_same_page(tmp_path: Path) -> None:
    store = small(tmp_path / "study")
    first = text_of(report(store))
    drawn = {path.name: path.read_bytes() for path in store.figures.iterdir()}
    assert text_of(report(store)) == first
    assert {path.name: path.read_bytes() for path in store.figures.iterdir()} == drawn


def test_a_half_finished_study_says_what_is_missing(tmp_path: Path) -> None:
    store = small(tmp_path / "study", finished=0.7)
    cell = Tables(store).cells["missing"][0]
    store.save_error(cell, "ValueError", "<i>too hot</i>", "")
    html = text_of(report(store))
    assert "This study is not finished" in html
    assert "cells (a model on a task) have not been run" in html
    assert "1 of " in html
    assert "&lt;i&gt;too hot&lt;/i&gt;" in html
    assert cell.held_out in html


def test_a_study_without_scores_says_how_to_get_them(tmp_path: Path) -> None:
    store = small(tmp_path / "study", scored=False)
    html = text_of(report(store))
    assert "offmap score study" in html
    assert "No task of any model is scored yet" in html
    assert "Where do these numbers come from?" in html


def test_a_study_without_anything_still_has_a_page(tmp_path: Path) -> None:
    full = small(tmp_path / "full", finished=0.0)
    store = Store.create(tmp_path / "study", full.study(), full.provenance())
    html = text_of(report(store))
    assert "No task is laid out yet" in html


def test_a_study_without_tasks_has_a_page(tmp_path: Path) -> None:
    store = small(tmp_path / "study", min_size=190)
    html = text_of(report(store))
    assert "In distribution (random folds, all materials) the MAE is" in html
    assert "fewer than 190 test materials" in html


def test_scores_that_are_undefined_do_no_harm(tmp_path: Path) -> None:
    store = small(tmp_path / "study")
    scores = store.read_table("scores")
    scores.loc[scores["held_out"] == "cubic", scores.select_dtypes("float").columns] = np.nan
    store.write_table("scores", scores)
    assert "no reference" in text_of(report(store))
    bare = scores.drop(columns=[c for c in scores if c.startswith("mae_ratio")])
    store.write_table("scores", bare)
    assert "none has an in-distribution reference yet" in text_of(report(store))


def test_odd_names_are_shown_as_they_are(tmp_path: Path) -> None:
    store = small(tmp_path / "study")
    materials = store.read_table("materials")
    materials["formula"] = ["Ω\u2028" * 40 + "$x$ %{y} </script>"] * len(materials)
    store.write_table("materials", materials)
    scores = store.read_table("scores").astype({"held_out": str})
    scores["held_out"] = scores["held_out"].replace("cubic", "</script><!-- 日本 %{x} $\\frac$" * 9)
    store.write_table("scores", scores)
    html = text_of(report(store))
    assert html.count("</script>") == html.count("<script")
    assert "<!--" not in html


def test_a_study_file_of_another_version_is_an_error_in_words(tmp_path: Path) -> None:
    store = small(tmp_path / "study")
    text = store.study_file.read_text(encoding="utf-8")
    for path in (store.study_file, store.folder / "_study.toml"):
        path.write_text(text.replace("[provenance.consumes]", "[provenance.other]"))
    with pytest.raises(StudyError, match=r"'consumes' under \[provenance\]"):
        report(store)


def test_progress_is_told(tmp_path: Path) -> None:
    heard: list[tuple[int, int]] = []
    report(small(tmp_path / "study"), lambda done, total: heard.append((done, total)))
    assert heard
    assert heard[-1][0] == heard[-1][1] == len(heard)


def test_verdicts_and_further_studies_appear_once_they_are_there(tmp_path: Path) -> None:
    store = small(tmp_path / "study")
    tasks = store.read_table("scores")[["criterion", "held_out"]].drop_duplicates()
    verdicts = tasks.assign(coverage=0.9, coverage_low=0.8, coverage_high=1.0, sure=True)
    store.write_table("verdicts", verdicts.assign(verdict="interpolation"))
    keys = {"dataset": "planted", "target": "e_form", "representation": "matminer", "model": "lgbm"}
    task = keys | {"criterion": "crystal_system", "held_out": "cubic"}
    parts = {"bias_composition": 0.1, "bias_structure": 0.0, "share_composition": 1.0}
    told = {"method": "offmap", "bias": 0.1, "bias_verdict": "biased by <b>0.1</b>"}
    store.write_table("bias", pd.DataFrame([task | parts | told]))
    sizes = [{"seed": 0, "n_train": n, "test": "held_out", "mae": 1 / n} for n in (10, 100, 1000)]
    store.write_table("scaling", pd.DataFrame([task | size for size in sizes]))
    law = {"test": "held_out", "law": "power", "verdict": "more of the same data will help"}
    more = {"mae_at_10x": 1e-4, "mae_at_10x_low": 1e-5, "mae_at_10x_high": 1e-3}
    store.write_table("scaling_laws", pd.DataFrame([task | law | more]))
    other = small(tmp_path / "other", n=220)
    html = text_of(report(store, beside=[other]))
    assert "In the domain, and still wrong?" in packed(html, "figures")
    assert "Not known yet" not in html
    assert "Beside other studies" in html
    assert "planted (other)" in html
    assert "biased by &lt;b&gt;0.1&lt;/b&gt;" in html
    assert "more of the same data will help" in html
    assert {"bias-parts", "scaling-crystal_system-cubic-lgbm"} <= set(
        json.loads(packed(html, "figures"))
    )
