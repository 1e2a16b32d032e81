"""How what an analysis returns shows itself in a notebook."""

from __future__ import annotations

from collections.abc import Mapping
from html import escape
from typing import Any

import pandas as pd

_ROWS = 10


def tables_html(found: Mapping[str, Any]) -> str:
    """Tables by name as HTML: the first rows of each, and how many there are; no empty ones.

    Parameters
    ----------
    found
        Names to tables, such as ``vars(result)``; what is no table is passed over.
    """
    parts = []
    for name, frame in found.items():
        if isinstance(frame, pd.DataFrame) and len(frame):
            told = f"<b>{escape(name)}</b>: {len(frame):,} rows, {frame.shape[1]} columns"
            first = frame.head(_ROWS)
            shown = first.to_html(index=False, float_format=_three_digits, na_rep="–", max_cols=12)
            parts.append(f"<p>{told}</p>\n{shown}")
    return "\n".join(parts)


def _three_digits(value: float) -> str:
    return f"{value:.3g}"
