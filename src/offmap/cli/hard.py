"""``offmap export --hard``: tasks that are extrapolation, in a manifest that can be made again."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import typer

from offmap.cli.options import make_study, resolved


def export_hard(
    dataset: str,
    out: Path,
    min_out: float,
    manifest: Path | None,
    model: str,
    jobs: int | None,
    given: dict[str, Any],
    as_json: bool = False,
) -> None:
    """Choose or build hard tasks of a dataset or a study folder, and write their manifest."""
    from offmap.domain.finished import reopen
    from offmap.domain.hard import check, hard_tasks, hard_tasks_of_study
    from offmap.engines import n_cores
    from offmap.inputs import prepare
    from offmap.store import Store
    from offmap.tasks.hard import write
    from offmap.terminal import reporter, show_table

    shown, cores = reporter(), jobs or n_cores()
    if Store(dataset).study_file.is_file():
        store = Store.open(dataset)
        representation = (given["representations"] or [""])[0]
        inputs = reopen(store, representation, cores, shown)
        size = given["min_size"] or 0
        found, about = hard_tasks_of_study(store, inputs, min_out, model, size)
    else:
        inputs = prepare(make_study(None, dataset=resolved(dataset), **given), cores, shown)
        found, about = hard_tasks(inputs, min_out, cores, shown)
    if manifest is not None:
        check(manifest, found, about)
        shown.say(f"the tasks are those of {manifest}")
    written = write(found, about, out)
    show_table(found.tasks.drop(columns=["test_sha256", "train_sha256"]), as_json)
    for path in () if as_json else written:
        typer.echo(path)
