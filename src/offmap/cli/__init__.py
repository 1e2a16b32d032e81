"""The command line: one command per stage, each a few lines around one public function."""

from __future__ import annotations

import signal
import sys
from collections.abc import Callable
from types import FrameType
from typing import Annotated

import typer

from offmap import __version__
from offmap.cli import analysis, audit, data, lists, study
from offmap.errors import OffmapError

app = typer.Typer(
    help="Is a test set really off the map of the training data? Try: offmap run --limit 2000",
    no_args_is_help=True,
    add_completion=False,
    pretty_exceptions_enable=False,
    context_settings={"help_option_names": ["-h", "--help"]},
)
_PANELS: dict[str, tuple[Callable[..., None], ...]] = {
    "Begin": (study.run, study.status, lists.tasks, lists.ls),
    "Ask a finished study": (
        analysis.domain,
        analysis.bias,
        analysis.scaling,
        study.report,
        analysis.compare,
    ),
    "Hold your own against it": (audit.audit,),
    "Stage by stage": (lists.featurize, study.evaluate, study.score, lists.export),
}
for _panel, _commands in _PANELS.items():
    for _command in _commands:
        app.command(rich_help_panel=_panel)(_command)
app.add_typer(data.app, name="data", rich_help_panel="Begin")


@app.callback(invoke_without_command=True)
def _main(
    version: Annotated[bool, typer.Option("--version", help="Print the version.")] = False,
) -> None:
    if version:
        typer.echo(f"offmap {__version__}")
        raise typer.Exit


def main() -> None:
    """Entry point: errors for people, exit code 2 for bad usage or input, 128 + n for signal n."""
    signal.signal(signal.SIGTERM, _stop)
    if signal.getsignal(signal.SIGINT) is signal.default_int_handler:  # else the shell ignores it
        signal.signal(signal.SIGINT, _stop)
    try:
        app()
    except OffmapError as error:
        print(f"error: {error}", file=sys.stderr)
        sys.exit(2)
    except OSError as error:  # a full disk, no permission
        print(f"error: {error}", file=sys.stderr)
        sys.exit(2)
    except MemoryError:
        print("error: out of memory; try --limit, or fewer --jobs", file=sys.stderr)
        sys.exit(2)
    except _StoppedError:
        print("stopped; run the same command again to go on", file=sys.stderr)
        raise


class _StoppedError(SystemExit):
    """A signal asked to stop; unlike an interrupt, the command line library lets it through."""


def _stop(number: int, frame: FrameType | None) -> None:
    raise _StoppedError(128 + number)
