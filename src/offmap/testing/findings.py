"""What a check found, in words."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any


@dataclass
class Findings:
    """What a check found.

    Parameters
    ----------
    subject
        What was checked, in words.
    held
        What offmap relies on and found to be so.
    broken
        What it relies on and found not to be so.
    remarks
        What is allowed but worth knowing.
    """

    subject: str
    held: list[str] = field(default_factory=list)
    broken: list[str] = field(default_factory=list)
    remarks: list[str] = field(default_factory=list)

    def __str__(self) -> str:
        text = f"{self.subject} fits: {'; '.join(self.held)}"
        return text + "".join(f"\n  note: {remark}" for remark in self.remarks)

    def expect(self, fact: bool, held: str, broken: str) -> bool:
        """Note one point; give back whether it holds."""
        (self.held if fact else self.broken).append(held if fact else broken)
        return fact

    def attempt(self, what: str, work: Callable[[], Any]) -> Any:
        """Run something that must not fail; None, and a broken point, if it does."""
        try:
            return work()
        except Exception as error:  # whatever code of somebody else raises is the finding
            self.broken.append(f"{what} fails: {type(error).__name__}: {error}")
            return None

    def conclude(self) -> Findings:
        """Raise ``AssertionError`` if any point is broken."""
        if self.broken:
            raise AssertionError(f"{self.subject} does not fit:\n- " + "\n- ".join(self.broken))
        return self


def name_of(given: Any) -> str:
    """Name of something that is checked: as it is given, or where it lives."""
    if isinstance(given, str):
        return given
    module = getattr(given, "__module__", type(given).__module__)
    return f"{module}:{getattr(given, '__qualname__', type(given).__qualname__)}"
