"""What a person sees while a run goes on: bars on a terminal, plain lines elsewhere."""

from __future__ import annotations

import json
import sys
import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager

import pandas as pd

from offmap.progress import Progress, Reporter

# Seconds between two plain lines of one step.
_PLAIN_EVERY = 15.0


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
        self.say(f"{title}: {state[1]} done in {duration(time.monotonic() - begun)}")

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


def show_table(frame: pd.DataFrame, as_json: bool = False, most: int = 0) -> None:
    """Print a table to standard output, for people or as JSON records."""
    if as_json:
        print(frame.to_json(orient="records", indent=1, default_handler=str))
        return
    shown = frame.head(most) if most else frame
    with pd.option_context("display.max_colwidth", 70, "display.width", 200):
        print(shown.to_string(index=False, float_format=lambda v: f"{v:.4g}", na_rep="-"))
    if len(shown) < len(frame):
        print(f"... and {len(frame) - len(shown)} more rows")


def show_tables(frames: Mapping[str, pd.DataFrame], as_json: bool = False) -> None:
    """Print several tables; as JSON, one object with the records of each under its name."""
    if as_json:
        records = {
            name: json.loads(frame.to_json(orient="records", default_handler=str))
            for name, frame in frames.items()
        }
        print(json.dumps(records, indent=1))
        return
    for frame in frames.values():
        show_table(frame)
