"""The page in a real browser: what a reader does with it."""

from __future__ import annotations

import base64
from pathlib import Path
from typing import Any

import pytest

from offmap.report import report
from tests.report.planted import SCRIPT, plant


class Page:
    """The report in a browser, driven by what is on it."""

    def __init__(self, driver: Any, path: Path) -> None:
        self.driver = driver
        self.path = path

    def open(self, address: str = "") -> None:
        """Load the page and wait until it can be used."""
        self.driver.get("about:blank")
        self.driver.get(f"file://{self.path}{address}")
        self.wait("document.documentElement.dataset.ready === 'yes'")

    def run(self, code: str, *arguments: object) -> Any:
        """The value of some JavaScript."""
        return self.driver.execute_script(code, *arguments)

    def wait(self, condition: str) -> None:
        """Wait until a condition in JavaScript holds."""
        from selenium.webdriver.support.ui import WebDriverWait

        WebDriverWait(self.driver, 90, 0.05).until(
            lambda d: d.execute_script(f"return {condition}")
        )

    def click(self, selector: str) -> None:
        """Scroll to something and click it."""
        found = self.driver.find_element("css selector", selector)
        self.run("arguments[0].scrollIntoView({block: 'center', behavior: 'instant'})", found)
        found.click()

    def type(self, selector: str, text: str) -> None:
        """Type into a field, or send keys to whatever has the focus there."""
        self.driver.find_element("css selector", selector).send_keys(text)

    def column(self, name: str) -> list[str]:
        """Texts of a column of the task table as it is shown."""
        code = """
            const heads = [...document.querySelectorAll("#tasks thead th")];
            const at = heads.findIndex((th) => th.dataset.name === arguments[0]);
            const rows = [...document.querySelectorAll("#tasks tbody tr")];
            return rows.map((tr) => tr.cells[at]?.firstChild?.textContent.trim() ?? "");
        """
        return list(self.run(code, name))

    def panel(self) -> str:
        """Text of the open task; empty if none is open."""
        text = self.run(
            "const t = document.getElementById('task'); return t.open ? t.innerText : ''"
        )
        return str(text)

    def close(self) -> None:
        """Close the open task."""
        self.click("#task [data-close]")
        self.wait("!document.getElementById('task').open")

    def complaints(self) -> list[str]:
        """What the browser wrote to its console."""
        return [entry["message"] for entry in self.driver.get_log("browser")]


@pytest.fixture(scope="module")
def shown(browser: Any, page: Path) -> Page:
    found = Page(browser, page)
    found.open()
    return found


def test_it_opens_without_a_word_in_the_console_and_without_fetching(shown: Page) -> None:
    for slot in range(shown.run("return document.querySelectorAll('main .slot').length")):
        shown.run(f"document.querySelectorAll('main .slot')[{slot}].scrollIntoView()")
        shown.wait(f"document.querySelectorAll('main .slot')[{slot}].drawn")
    fetched = shown.run(
        "return performance.getEntriesByType('resource').map((entry) => entry.name)"
    )
    assert [name for name in fetched if not name.startswith(("blob:", "data:"))] == []
    assert shown.complaints() == []


def test_the_table_sorts_filters_and_searches(shown: Page) -> None:
    ratios = [float(text) for text in shown.column("mae_ratio")]
    assert ratios == sorted(ratios, reverse=True)
    shown.click("#tasks th[data-name=n_test]")
    # The table sorts a moment after the click.
    shown.wait("""(() => {
        const at = [...document.querySelectorAll('#tasks thead th')]
            .findIndex((th) => th.dataset.name === 'n_test');
        const sizes = [...document.querySelectorAll('#tasks tbody tr')]
            .map((tr) => Number(tr.cells[at].textContent));
        return sizes.every((size, i) => i === 0 || sizes[i - 1] <= size);
    })()""")
    sizes = [int(text) for text in shown.column("n_test")]
    assert sizes == sorted(sizes)
    shown.run("""
        const filter = document.querySelector('[data-filter=outcome]');
        filter.value = 'fails';
        filter.dispatchEvent(new Event('change'));
    """)
    assert set(shown.column("held_out")) == {"F", "H", "O"}
    shown.run("""
        const filter = document.querySelector('[data-filter=outcome]');
        filter.value = '';
        filter.dispatchEvent(new Event('change'));
    """)
    shown.type("input[type=search]", "triclinic")
    shown.wait("document.querySelectorAll('#tasks tbody tr').length === 1")
    assert shown.column("held_out") == ["triclinic"]
    shown.run("document.querySelector('input[type=search]').value = ''")
    shown.run("document.querySelector('input[type=search]').dispatchEvent(new Event('input'))")
    shown.click("#tasks th[data-name=mae_ratio]")
    shown.click("#tasks th[data-name=mae_ratio]")


def test_columns_can_be_chosen_and_the_table_downloaded(shown: Page) -> None:
    assert shown.run("return document.querySelector('#tasks th[data-name=pearson]')") is None
    shown.click(".dt-button.buttons-colvis")
    shown.run("""
        const buttons = [...document.querySelectorAll('.dt-button.buttons-columnVisibility')];
        buttons.find((button) => button.innerText.trim() === 'Pearson r').click();
    """)
    shown.wait("document.querySelector('#tasks th[data-name=pearson]')")
    shown.run("document.querySelector('.dt-button-background')?.click()")
    shown.wait("!document.querySelector('.dt-button-background')")
    assert shown.run("return document.querySelectorAll('.buttons-csv, .buttons-excel').length") == 2


def test_the_element_f_on_the_map_opens_its_task(shown: Page) -> None:
    shown.click('.tile[data-element="F"]')
    shown.wait("document.getElementById('task').open")
    assert "F held out" in shown.panel()
    assert "fails" in shown.panel()
    shown.wait("document.querySelectorAll('#task .slot .main-svg').length > 0")
    assert shown.run("return location.hash") == "#task=element/F"
    # The formula that is planted in the data is text, not a script.
    assert SCRIPT in shown.run("return document.getElementById('task').textContent")
    assert shown.run("return document.querySelectorAll('#task script').length") == 0
    shown.close()
    assert shown.run("return location.hash") == ""
    assert shown.complaints() == []


def test_the_map_and_the_panel_work_by_keyboard(shown: Page) -> None:
    shown.run("document.querySelector('.tile[data-element=\"O\"]').focus()")
    shown.type('.tile[data-element="O"]', "\ue007")  # Enter
    shown.wait("document.getElementById('task').open")
    assert "O held out" in shown.panel()
    assert shown.run("return document.activeElement.hasAttribute('data-close')")
    shown.type("#task [data-close]", "\ue00c")  # Escape
    shown.wait("!document.getElementById('task').open")


def test_previous_and_next_follow_the_table(shown: Page) -> None:
    tasks = shown.column("held_out")
    shown.run("document.querySelector('#tasks tbody tr').click()")
    shown.wait("document.getElementById('task').open")
    assert f"{tasks[0]} held out" in shown.panel()
    shown.click("#task [data-step='1']")
    shown.wait(f"document.getElementById('task-title').innerText.startsWith('{tasks[1]}')")
    shown.close()


def test_another_score_and_another_model_can_be_chosen(shown: Page) -> None:
    tile = "document.querySelector('.tile[data-element=\"F\"]')"
    before = shown.run(f"return {tile}.title")
    shown.click('input[data-choice="map"][value="bias"]')
    shown.wait(f"{tile}.title.includes('Bias')")
    assert shown.run(f"return {tile}.title") != before
    shown.run("""
        const model = document.querySelector('[data-choice=series]');
        model.value = 'rf';
        model.dispatchEvent(new Event('change'));
    """)
    assert set(shown.column("series")) == {"rf"}
    assert "model rf" in shown.run("return document.querySelector('.summary').innerText")
    shown.click('.tile[data-element="F"]')
    shown.wait("document.getElementById('task').open")
    assert "model rf" in shown.panel()
    shown.close()


def test_a_link_to_a_task_opens_it(shown: Page) -> None:
    shown.open("#task=n_elements/%3E2&model=rf")
    shown.wait("document.getElementById('task').open")
    assert "more than 2 elements" in shown.panel()
    shown.wait("document.querySelector('#task .slot .heatmaplayer image')")  # drawn as a density
    assert "48 × 48 bins" in shown.panel()
    shown.run("location.hash = '#task=element/Xx'")
    shown.wait("document.getElementById('task-title').innerText.includes('Xx')")
    assert "not in the study folder" in shown.panel()
    shown.close()
    assert shown.complaints() == []


@pytest.mark.parametrize("width", [380, 800, 1400])
def test_no_width_needs_scrolling_sideways(shown: Page, width: int) -> None:
    size = {"width": width, "height": 900, "deviceScaleFactor": 1, "mobile": width < 500}
    shown.driver.execute_cdp_cmd("Emulation.setDeviceMetricsOverride", size)
    shown.wait(f"document.documentElement.scrollWidth <= {width}")  # figures follow a moment later
    shown.driver.execute_cdp_cmd("Emulation.clearDeviceMetricsOverride", {})


def test_it_prints(shown: Page) -> None:
    found = shown.driver.execute_cdp_cmd("Page.printToPDF", {"printBackground": True})
    assert len(base64.b64decode(found["data"])) > 20_000
    assert shown.complaints() == []


def test_an_unfinished_study_opens_too(browser: Any, tmp_path: Path) -> None:
    store = plant(tmp_path / "study", models=("lgbm",), criteria=("element",), scored=False)
    shown = Page(browser, report(store))
    shown.open()
    assert "not finished" in shown.run("return document.querySelector('.notice').innerText")
    assert shown.complaints() == []
