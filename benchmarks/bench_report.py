"""Time the report: ``python benchmarks/bench_report.py [--materials N] [--models N] ...``.

A study of about 300 tasks is made up, with predictions and scores, and its report is built by the
public function in a process of its own. Printed are the time and the peak memory of that process,
the size of the page, and, in headless Chromium, the time until the page can be used: every library
unpacked, the table sorted, the map linked. Processor seconds are given beside wall time, so that
other work on the machine can be told apart.
"""

from __future__ import annotations

import argparse
import os
import resource
import shutil
import subprocess
import sys
import tempfile
import time
from pathlib import Path
from typing import Any

sys.path.insert(0, str(Path(__file__).parents[1]))

CRITERIA = (
    "element", "period", "group", "n_elements", "crystal_system", "point_group", "space_group",
)  # fmt: skip
FLAGS = (
    "--headless=new --no-sandbox --disable-gpu --disable-quic --no-first-run --window-size=1400,900"
    " --disable-background-networking --disable-component-update --disable-sync"
).split()


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--materials", type=int, default=50_000)
    parser.add_argument("--models", type=int, default=1)
    parser.add_argument("--min-size", type=int, default=140)
    parser.add_argument("--study", type=Path, help="measure this study instead of a made-up one")
    parser.add_argument("--no-browser", action="store_true")
    parser.add_argument("--build", type=Path, help=argparse.SUPPRESS)
    given = parser.parse_args()
    if given.build:
        build(given.build)
        return
    print(f"load average {os.getloadavg()[0]:.1f} on {os.cpu_count()} processors")
    with tempfile.TemporaryDirectory() as folder:
        study = given.study or made_up(Path(folder) / "study", given)
        subprocess.run([sys.executable, __file__, "--build", str(study)], check=True)
        if not given.no_browser:
            look(study / "report" / "index.html", Path(folder) / "profile")


def made_up(folder: Path, given: argparse.Namespace) -> Path:
    from tests.report.planted import plant

    models = ("lgbm", "rf", "knn", "dummy", "xgb")[: given.models]
    store = plant(
        folder, given.materials, models, CRITERIA, given.min_size, n_bootstrap=20,
        all_elements=True, all_space_groups=True,
    )  # fmt: skip
    scores = store.read_table("scores")
    print(f"made up: {given.materials:,} materials, {len(scores):,} scored cells")
    return folder


def build(folder: Path) -> None:
    begun, processor = time.perf_counter(), time.process_time()
    from offmap.report import report
    from offmap.store import Store

    path = report(Store.open(folder))
    wall, busy = time.perf_counter() - begun, time.process_time() - processor
    print(f"build: {wall:.1f} s, processor {busy:.1f} s")
    print(f"peak memory: {resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024:.0f} MB")
    figures = list((path.parent / "figures").iterdir())
    print(f"page: {path.stat().st_size / 1e6:.2f} MB; {len(figures)} files of figures")


def look(path: Path, profile: Path) -> None:
    from selenium import webdriver
    from selenium.webdriver.support.ui import WebDriverWait

    options = webdriver.ChromeOptions()
    options.binary_location = shutil.which("chromium") or ""
    for flag in (*FLAGS, f"--user-data-dir={profile}"):
        options.add_argument(flag)
    driver = webdriver.Chrome(
        options=options, service=webdriver.ChromeService(shutil.which("chromedriver") or "")
    )
    try:
        driver.execute_cdp_cmd("Performance.enable", {"timeDomain": "threadTicks"})
        for visit in ("first", "second", "third"):
            driver.get("about:blank")
            driver.get(f"file://{path}")
            WebDriverWait(driver, 120, 0.05).until(
                lambda d: d.execute_script("return document.documentElement.dataset.ready")
            )
            print(f"{visit} visit: {_told(driver)}")
    finally:
        driver.quit()


def _told(driver: Any) -> str:
    code = """
        const mark = (name) => Math.round(performance.getEntriesByName(name)[0]?.startTime ?? NaN);
        return [mark("offmap-table"), mark("offmap-ready")];
    """
    table, ready = driver.execute_script(code)
    metrics = driver.execute_cdp_cmd("Performance.getMetrics", {})["metrics"]
    found = {metric["name"]: metric["value"] for metric in metrics}
    busy = {name: found[f"{name}Duration"] for name in ("Task", "Script", "Layout", "RecalcStyle")}
    return (
        f"table usable after {table} ms, everything after {ready} ms; processor seconds of the main"
        f" thread: {', '.join(f'{name} {value:.2f}' for name, value in busy.items())};"
        f" heap {found['JSHeapUsedSize'] / 1e6:.0f} MB"
    )


if __name__ == "__main__":
    main()
