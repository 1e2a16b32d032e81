"""Errors for the person at the keyboard: the command line prints them without a traceback."""

from __future__ import annotations

import difflib
from collections.abc import Iterable

_MOST_LISTED = 30


class OffmapError(Exception):
    """Something the user gave cannot be used. The message says what, where, and what to do."""


class UnknownNameError(OffmapError):
    """A name that no table knows.

    Parameters
    ----------
    kind
        What was looked for, such as ``"model"``.
    name
        The name as given.
    known
        The names that would have worked.
    hint
        What else would have worked, in words.
    """

    def __init__(self, kind: str, name: str, known: Iterable[str], hint: str = "") -> None:
        known = sorted(map(str, known))
        last = [one for one in known if one.rpartition("/")[2] == name]  # F for element/F
        near = last[:3] or difflib.get_close_matches(str(name), known, n=3, cutoff=0.5)
        meant = f"; did you mean {' or '.join(map(repr, near))}?" if near else "."
        message = f"unknown {kind} {name!r}{meant}"
        listed = ", ".join(known[:_MOST_LISTED]) or "none"
        if len(known) > _MOST_LISTED:
            listed += f", ... ({len(known)} in all)"
        message += f" Known: {listed}."
        super().__init__(f"{message} {hint}".strip())


class SettingsError(OffmapError):
    """A setting of a study has a value that cannot be used."""


class DataError(OffmapError):
    """A file of materials cannot be used."""


class StudyError(OffmapError):
    """A study folder cannot be used as asked."""
