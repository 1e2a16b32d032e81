"""The worked notebook, executed from the first cell to the last in a kernel of its own."""

from __future__ import annotations

from pathlib import Path

import nbformat
import pytest
from nbclient import NotebookClient

NOTEBOOK = Path(__file__).parents[1] / "examples" / "quickstart.ipynb"

STRICT = "import warnings\n\nwarnings.simplefilter('error')"


@pytest.fixture(scope="module")
def written() -> nbformat.NotebookNode:
    return nbformat.read(NOTEBOOK, as_version=4)


def test_no_outputs_are_kept(written: nbformat.NotebookNode) -> None:
    code = [cell for cell in written.cells if cell.cell_type == "code"]
    assert not [cell.id for cell in code if cell.outputs or cell.execution_count]


def test_every_cell_shows_its_answer(written: nbformat.NotebookNode, tmp_path: Path) -> None:
    strict = nbformat.v4.new_code_cell(STRICT)
    run = nbformat.v4.new_notebook(cells=[strict, *written.cells], metadata=written.metadata)
    NotebookClient(run, timeout=300, resources={"metadata": {"path": tmp_path}}).execute()
    _, *code = [cell for cell in run.cells if cell.cell_type == "code"]
    told = [shown(cell) for cell in code]
    assert all(told)
    html = [kinds.get("text/html", "") for kinds in told]
    assert "leave-one-out tasks" in html[0]
    assert "mae_ratio" in html[1]
    assert [i for i, kinds in enumerate(told) if "image/svg+xml" in kinds] == [2, 4]
    assert "in the domain of" in html[-2]
    report = tmp_path / "quickstart-study" / "report" / "index.html"
    assert report.is_file()
    assert 'href="quickstart-study/report/index.html"' in html[-1]


def shown(cell: nbformat.NotebookNode) -> dict[str, str]:
    """What the value of the last line looks like, by kind; nothing else may have been printed."""
    assert [output.output_type for output in cell.outputs] == ["execute_result"]
    return dict(cell.outputs[0].data)
