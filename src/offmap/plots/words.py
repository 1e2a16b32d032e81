"""Numbers and names as people read them: the same in figures, in the report and on the screen."""

from __future__ import annotations

import html
import math
import re
from collections.abc import Iterable
from functools import cache
from typing import Any

import pandas as pd

from offmap.attributes import CRYSTAL_SYSTEMS, POINT_GROUPS
from offmap.columns import COLUMNS, CRITERION, HELD_OUT, SPACE_GROUP
from offmap.elements import NUMBERS

MINUS = "\N{MINUS SIGN}"
NARROW = "\N{NO-BREAK SPACE}"

_COMPARISONS = {">": "more than", "<=": "at most", ">=": "at least", "<": "fewer than"}
_COUNTED = re.compile(r"(>=|<=|>|<)(\d+)")


def number(value: Any, digits: int = 3) -> str:
    """A number to some significant digits, with a real minus sign; a dash where there is none.

    Examples
    --------
    >>> number(0.043211), number(12345), number(float("nan"))
    ('0.0432', '12,345', '–')
    """
    try:
        x = float(value)
    except (TypeError, ValueError):
        return "–"
    if not math.isfinite(x):
        return "–"
    if x == 0 or (isinstance(value, int) and not isinstance(value, bool)):
        text = f"{x:,.0f}"
    elif abs(x) >= 1e7 or abs(x) < 1e-6:
        text = f"{x:.{digits - 1}e}"
    else:
        text = f"{x:,.{decimals(x, digits)}f}"
    return text.replace("-", MINUS)


def decimals(value: float, digits: int = 3) -> int:
    """Decimals that show a number to so many significant digits."""
    if value == 0 or not math.isfinite(value):
        return 0
    return max(0, digits - 1 - math.floor(math.log10(abs(value))))


def estimate(value: Any, low: Any = math.nan, high: Any = math.nan, unit: str = "") -> str:
    """A number, its interval if there is one, and its unit.

    Examples
    --------
    >>> estimate(0.043211, 0.0401, 0.0467, "eV/atom")
    '0.043 [0.040, 0.047] eV/atom'
    """
    if not _finite(value):
        return "–"
    if not (_finite(low) and _finite(high)):
        text = number(value)
    else:
        # Two digits of the number, or the first digit of the interval if that is finer.
        width = abs(float(high) - float(low))
        places = min(max(decimals(value, 2), decimals(width, 1)), 6)
        text = f"{value:,.{places}f} [{low:,.{places}f}, {high:,.{places}f}]".replace("-", MINUS)
    return f"{text} {unit}" if unit else text


def fixed(value: Any, places: int, sign: bool = False) -> str:
    """A number with so many decimals, as in a column of a table."""
    if not _finite(value):
        return "–"
    x = round(float(value), places) or 0.0  # no minus sign on a zero
    return f"{x:{'+' if sign and x else ''},.{places}f}".replace("-", MINUS)


def signed(value: Any) -> str:
    """A number that always shows its sign."""
    text = number(value)
    return f"+{text}" if _finite(value) and float(value) > 0 else text


def percent(share: Any) -> str:
    """A share as a percentage without false digits."""
    return f"{float(share) * 100:.0f}{NARROW}%" if _finite(share) else "–"


def counted(n: int, singular: str, plural: str = "") -> str:
    """``1 task``, ``2 tasks``."""
    return f"{n:,} {singular if n == 1 else plural or singular + 's'}"


def listed(items: Iterable[str]) -> str:
    """``a``, ``a and b``, ``a, b and c``."""
    words = list(items)
    return " and ".join([", ".join(words[:-1]), words[-1]] if len(words) > 1 else words)


def task_name(criterion: str, held_out: str) -> str:
    """What a task holds out, in words.

    Examples
    --------
    >>> task_name("group", "17"), task_name("n_elements", ">4")
    ('group 17', 'more than 4 elements')
    """
    if criterion in ("element", "crystal_system"):
        return str(held_out)
    if criterion == "n_elements" and (match := _COUNTED.fullmatch(str(held_out))):
        return f"{_COMPARISONS[match[1]]} {match[2]} elements"
    if criterion == SPACE_GROUP:
        return f"space group {short_name(criterion, held_out)}"
    return f"{criterion_name(criterion).lower()} {held_out}"


def short_name(criterion: str, held_out: str) -> str:
    """Label of a task on the axis of its criterion; space groups get their symbol."""
    if criterion == SPACE_GROUP and (symbol := _space_group_symbol(str(held_out))):
        return f"{held_out} ({symbol})"
    if criterion == "n_elements" and (match := _COUNTED.fullmatch(str(held_out))):
        return f"{_COMPARISONS[match[1]]} {match[2]}"
    return str(held_out)


def criterion_name(criterion: str, plural: bool = False) -> str:
    """A criterion in words; one that a user wrote keeps its name."""
    known = COLUMNS.get(criterion)
    name = known.label if known else criterion.rpartition(":")[2].replace("_", " ")
    return name + "s" if plural and not name.startswith("Number") else name


def shorten(text: str, most: int = 32) -> str:
    """A name cut to what an axis has room for."""
    return text if len(text) <= most else f"{text[: most - 1]}…"


def task_key(criterion: str, held_out: str) -> str:
    """How a task is addressed, such as ``"element/F"``."""
    return f"{criterion}/{held_out}"


def in_order(tasks: pd.DataFrame) -> pd.DataFrame:
    """Tasks in the order of chemistry and symmetry: by Z, by number, lowest symmetry first."""
    places = {name: i for i, name in enumerate(criteria_in_order(tasks[CRITERION]))}
    keys = [
        (places[str(c)], *sort_key(str(c), h))
        for c, h in zip(tasks[CRITERION], tasks[HELD_OUT], strict=True)
    ]
    ranks = {key: i for i, key in enumerate(sorted(set(keys)))}
    order = pd.Series([ranks[key] for key in keys], index=tasks.index).sort_values(kind="stable")
    return tasks.loc[order.index]


def criteria_in_order(criteria: Iterable[object]) -> list[str]:
    """Distinct criteria: chemistry, symmetry, then others in the order they come."""
    found = list(dict.fromkeys(map(str, criteria)))
    return sorted(found, key=lambda c: _CRITERIA.index(c) if c in _CRITERIA else len(_CRITERIA))


def sort_key(criterion: str, held_out: str) -> tuple[float, float, str]:
    """Place of a task within its criterion."""
    text = str(held_out)
    if criterion == "element":
        return (0, NUMBERS.get(text, 999), text)
    if criterion in _ORDERED:
        return (0, _ORDERED[criterion].get(text, 999), text)
    if criterion == "n_elements" and (match := _COUNTED.fullmatch(text)):
        return (1 if match[1].startswith(">") else 0, float(match[2]), text)
    try:
        return (0, float(text), text)
    except ValueError:
        return (1, 0, text)


def plotly_text(text: object) -> str:
    """Text for a plotly figure, which reads a few HTML tags: nothing in it is markup."""
    return html.escape(str(text), quote=False)


_CRITERIA = "element period group n_elements crystal_system point_group space_group".split()
_ORDERED = {
    "point_group": {name: i for i, name in enumerate(POINT_GROUPS)},
    "crystal_system": {name: i for i, name in enumerate(CRYSTAL_SYSTEMS)},
}


@cache
def _space_group_symbol(number: str) -> str:
    """Short Hermann-Mauguin symbol of an international number, such as ``"Fm-3m"``."""
    import moyopy

    if not number.isdecimal() or not 1 <= int(number) <= 230:
        return ""
    return str(moyopy.SpaceGroupType(int(number)).hm_short).replace(" ", "").replace("_", "")


def _finite(value: Any) -> bool:
    try:
        return math.isfinite(float(value))
    except (TypeError, ValueError):
        return False
