"""What a person sees while a run goes on: bars on a terminal, plain lines elsewhere."""

from __future__ import annotations

import json
import shutil
import sys
import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd

from offmap.progress import Progress, Reporter

# Seconds between two plain lines of one step.
_PLAIN_EVERY = 15.0

# Characters between two columns of a table, and the fewest that are worth showing of words.
_GAP, _LEAST_WORDS = 2, 16


def reporter() -> Reporter:
    """Bars on a terminal, lines elsewhere; both on standard error, so that tables can be piped."""
    return Bars() if sys.stderr.isatty() else Lines()


class Bars:
    """Progress bars with an estimate of the time left."""

    def __init__(self) -> None:
        from rich.console import Console

        self.console = Console(stderr=True)

    @contextmanager
    def step(self, title: str) -> Iterator[Progress]:
        """A bar for one step."""
        from rich import progress as bars

        columns = (
            bars.TextColumn("{task.description:<32}"),
            bars.BarColumn(),
            bars.MofNCompleteColumn(),
            bars.TimeElapsedColumn(),
            bars.TextColumn("left"),
            bars.TimeRemainingColumn(),
        )
        with bars.Progress(*columns, console=self.console) as shown:
            task = shown.add_task(title, total=None)
            yield lambda done, total: shown.update(task, completed=done, total=total)

    def say(self, text: str) -> None:
        """Print a line above the bars."""
        self.console.print(text, markup=False, highlight=False)


class Lines:
    """Plain lines: begin, now and then, end."""

    @contextmanager
    def step(self, title: str) -> Iterator[Progress]:
        """Lines for one step."""
        begun = last = time.monotonic()
        state = (0, 0)

        def update(done: int, total: int) -> None:
            nonlocal last, state
            state = (done, total)
            now = time.monotonic()
            if now - last >= _PLAIN_EVERY and done < total:
                last = now
                left = (now - begun) / done * (total - done) if done else 0.0
                rest = f", about {duration(left)} left" if done else ""
                self.say(f"{title}: {done} of {total}{rest}")

        yield update
        done, took = state[1], time.monotonic() - begun
        if done or took >= _PLAIN_EVERY:  # nothing, for it was there already, is not news
            self.say(f"{title}: {f'{done} ' if done > 1 else ''}done in {duration(took)}")

    def say(self, text: str) -> None:
        """Print a line."""
        print(text, file=sys.stderr, flush=True)


def duration(seconds: float) -> str:
    """Such as ``"45 s"``, ``"3 min 20 s"``, ``"2 h 5 min"``."""
    if seconds < 60:
        return f"{seconds:.1f} s" if seconds < 10 else f"{seconds:.0f} s"
    minutes, rest = divmod(round(seconds), 60)
    if minutes < 60:
        return f"{minutes} min {rest} s"
    return f"{minutes // 60} h {minutes % 60} min"


def show_table(
    frame: pd.DataFrame, as_json: bool = False, most: int = 0, whole: Path | None = None
) -> None:
    """Print a table to standard output, for people or as JSON records.

    Parameters
    ----------
    frame
        The table. For people, columns at the right are cut or left out where a line of the
        terminal is too short for them; in a pipe they never are.
    as_json
        All of it as JSON records instead.
    most
        Rows to show to a person; 0 for all.
    whole
        The file that holds what is not shown.
    """
    if as_json:
        print(frame.to_json(orient="records", indent=1, default_handler=str))
        return
    shown = frame.head(most) if most else frame
    lines, n_columns = laid_out(shown, _width())
    print("\n".join(lines))
    left_out = []
    if len(shown) < len(frame):
        left_out.append(_more(len(frame) - len(shown), "row"))
    if n_columns < len(frame.columns) and whole is None:
        left_out.append(f"{_more(len(frame.columns) - n_columns, 'column')} (--json has all)")
    if left_out:
        print(f"... and {' and '.join(left_out)}")
    if whole is not None:
        print(f"all rows and columns: {whole}")


def show_tables(frames: Mapping[str, pd.DataFrame], as_json: bool = False) -> None:
    """Print several tables; as JSON, one object with the records of each under its name."""
    if as_json:
        records = {
            name: json.loads(frame.to_json(orient="records", default_handler=str))
            for name, frame in frames.items()
        }
        print(json.dumps(records, indent=1))
        return
    for name, frame in frames.items():
        print(f"{name}:")
        show_table(frame)


def _width() -> int:
    """Characters in a line of the terminal; 0, for any number, where there is none."""
    return shutil.get_terminal_size().columns if sys.stdout.isatty() else 0


def laid_out(frame: pd.DataFrame, width: int = 0) -> tuple[list[str], int]:
    """A table as lines of at most ``width`` characters (0: any), and the columns that they hold.

    Words stand at the left of their column and numbers at the right. The column that no longer
    fits is cut if it is of words and enough of it is left; those behind it are left out.
    """
    lines = [""] * (len(frame) + 1)
    for done, name in enumerate(frame.columns):
        words = not pd.api.types.is_numeric_dtype(frame[name]) or frame[name].dtype == bool
        cells = [str(name), *(_cell(value) for value in frame[name])]
        size, left = max(map(len, cells)), width - len(lines[0]) - _GAP * bool(done)
        if width and size > left:
            if done and (not words or left < _LEAST_WORDS):
                return [line.rstrip() for line in lines], done
            size = max(left, _LEAST_WORDS)
            cells = [cell if len(cell) <= size else f"{cell[: size - 1]}…" for cell in cells]
        cells = [cell.ljust(size) if words else cell.rjust(size) for cell in cells]
        gap = " " * (_GAP * bool(done))
        lines = [f"{line}{gap}{cell}" for line, cell in zip(lines, cells, strict=True)]
    return [line.rstrip() for line in lines], len(frame.columns)


def _more(n: int, what: str) -> str:
    return f"{n} more {what}{'s' if n > 1 else ''}"


def _cell(value: Any) -> str:
    """A value as a person writes it: four digits, yes and no, a dash for nothing."""
    if value is None or value is pd.NA or (isinstance(value, float) and value != value):
        return "-"
    if isinstance(value, bool | np.bool_):
        return "yes" if value else "no"
    if isinstance(value, float | np.floating):
        return f"{value:.4g}" if -10_000 < float(value) < 10_000 else f"{value:.0f}"
    return str(value)
