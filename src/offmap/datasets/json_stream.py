"""Rows of a JSON file of any size, one after the other, in little memory.

Read are a list of objects, a table ``{"columns": [...], "data": [[...], ...]}`` (pandas, matbench),
``{"data": [{...}, ...]}`` (OPTIMADE), an object of columns, and an object of objects by id.
"""

from __future__ import annotations

import codecs
import json
import math
from collections.abc import Iterator, Mapping, Sequence
from typing import IO, Any, NoReturn

from offmap.errors import DataError

Row = dict[str, Any]

MAX_VALUE = 512 * 2**20
"""Most characters that one value (a row) may have."""

_CHUNK = 2**20
_NOTES = frozenset(("meta", "links", "schema", "included", "errors", "provenance"))
_SPACE = " \t\r\n"
_COLUMN_NAMES = frozenset(
    ("material_id", "jid", "id", "formula", "structure", "atoms", "cif", "composition")
)


def encoding(head: bytes) -> str:
    """Encoding of a text file from its first bytes: its BOM, else UTF-8, else Latin-1."""
    for bom, name in (
        (codecs.BOM_UTF8, "utf-8-sig"),
        (codecs.BOM_UTF32_LE, "utf-32"),
        (codecs.BOM_UTF16_LE, "utf-16"),
        (codecs.BOM_UTF16_BE, "utf-16"),
    ):
        if head.startswith(bom):
            return name
    try:
        codecs.getincrementaldecoder("utf-8")().decode(head)
    except UnicodeDecodeError:
        return "latin-1"
    return "utf-8"


def loads(text: str) -> Any:
    """A JSON value; NaN is taken, and whole numbers beyond any use become infinity.

    Raises
    ------
    ValueError
        If it is not JSON; also for values nested too deeply.
    """
    try:
        return json.loads(text)
    except json.JSONDecodeError:
        raise
    except ValueError:  # an integer of thousands of digits
        return json.loads(text, parse_int=_int)
    except RecursionError as error:
        raise ValueError("nested too deeply") from error


def _int(digits: str) -> int | float:
    return int(digits) if len(digits) < 300 else math.inf


class _Text:
    """A window on the text of a stream that decodes one JSON value at a time."""

    def __init__(self, file: IO[bytes], where: str) -> None:
        head = file.read(_CHUNK)
        self._file, self._where = file, where
        self._decode = codecs.getincrementaldecoder(encoding(head))(errors="replace").decode
        self._text, self._at, self._ended = self._decode(head), 0, False
        self._before = 0  # characters dropped in front of the window
        self._decoder = json.JSONDecoder()
        self._lenient = json.JSONDecoder(parse_int=_int)
        self.rows = 0

    def _more(self, at_least: int = _CHUNK) -> bool:
        data = self._file.read(max(at_least, _CHUNK))
        self._ended = not data
        self._before += self._at
        self._text = self._text[self._at :] + self._decode(data, not data)
        self._at = 0
        return not self._ended

    def peek(self) -> str:
        """The next character that is not white space; empty at the end."""
        while True:
            while self._at < len(self._text) and self._text[self._at] in _SPACE:
                self._at += 1
            if self._at < len(self._text):
                return self._text[self._at]
            if not self._more():
                return ""

    def take(self, *expected: str) -> str:
        """Step over the next character, which must be one of ``expected``."""
        found = self.peek()
        if found not in expected or not found:
            wanted = " or ".join(repr(c) for c in expected)
            self.fail(f"expected {wanted}, found {found!r}" if found else "it ends too early")
        self._at += 1
        return found

    def value(self) -> Any:
        """Decode the next value."""
        self.peek()
        decoder = self._decoder
        while True:
            try:
                value, end = decoder.raw_decode(self._text, self._at)
            except json.JSONDecodeError as error:
                # An error at the edge of the window may only mean that the value goes on.
                near_end = error.pos >= len(self._text) - 16 or error.msg.startswith("Untermin")
                if self._ended or not near_end:
                    self.fail("it ends too early" if near_end else error.msg.lower())
                if len(self._text) - self._at > MAX_VALUE:
                    self.fail(f"one value has more than {MAX_VALUE:,} characters")
                self._more(len(self._text) - self._at)
            except RecursionError:
                self.fail("a value is nested too deeply")
            except ValueError:  # an integer of thousands of digits
                decoder = self._lenient
            else:
                if end < len(self._text) or self._ended:
                    self._at = end
                    return value
                self._more()  # a number at the edge may have further digits

    def fail(self, why: str) -> NoReturn:
        at = self._before + self._at
        raise DataError(
            f"{self._where} is not valid JSON: {why} (after {self.rows:,} rows, "
            f"near character {at:,}). If it was downloaded, it may be cut short: fetch it again."
        )


def rows(file: IO[bytes], where: str) -> Iterator[Row]:
    """The rows of a JSON file.

    Parameters
    ----------
    file
        Opened for reading bytes.
    where
        What to call it in messages.

    Raises
    ------
    DataError
        If it is not valid JSON, or holds no table.
    """
    text = _Text(file, where)
    first = text.peek()
    if first == "[":
        yield from (_row(value, (), text) for value in _elements(text))
    elif first == "{":
        yield from _members(text)
    else:
        text.fail(f"it starts with {first!r}" if first else "it is empty")
    if text.peek():
        text.fail("there is something after its end")


def _elements(text: _Text) -> Iterator[Any]:
    text.take("[")
    if text.peek() == "]":
        text.take("]")
        return
    while True:
        yield text.value()
        text.rows += 1
        if text.take(",", "]") == "]":
            return


def _row(value: Any, columns: Sequence[str], text: _Text) -> Row:
    if isinstance(value, dict):
        # OPTIMADE keeps what is of interest one level down.
        attributes = value.pop("attributes", None)
        return {**value, **attributes} if isinstance(attributes, dict) else value
    if isinstance(value, list) and columns:
        return dict(zip(columns, value, strict=False))
    text.fail(f"a row is {str(value)[:40]!r}, not an object")


def _members(text: _Text) -> Iterator[Row]:
    """Rows of a JSON object, whichever of the known layouts it has."""
    found: dict[str, Any] = {}
    text.take("{")
    while text.peek() != "}":
        key = text.value()
        text.take(":")
        if key == "data" and text.peek() == "[":
            names = [str(c) for c in found.get("columns", ())]
            index = found.get("index") or ()
            for i, value in enumerate(_elements(text)):
                row = _row(value, names, text)
                yield {"index": index[i], **row} if i < len(index) else row
        else:
            value = text.value()
            if _is_record(key, value):
                text.rows += 1
                yield {"id": key, **value}
            else:
                found[key] = value
        if text.peek() != "}":
            text.take(",", "}")
    text.take("}")
    if not text.rows:
        yield from _from_columns(found, text)


def _is_record(key: str, value: Any) -> bool:
    """Whether ``"mp-1": {...}`` is a material, rather than a column or a note."""
    if not isinstance(value, dict) or key in _COLUMN_NAMES or key in _NOTES:
        return False
    return not all(str(k).isdecimal() for k in value)


def _from_columns(found: Mapping[str, Any], text: _Text) -> Iterator[Row]:
    columns = {k: v for k, v in found.items() if isinstance(v, (dict, list)) and k not in _NOTES}
    if not columns:
        text.fail(f"it holds no table, only the keys {', '.join(found) or '(none)'}")
    if all(isinstance(v, list) for v in columns.values()):
        for i in range(max(len(v) for v in columns.values())):
            yield {k: v[i] for k, v in columns.items() if i < len(v)}
        return
    objects = {k: v for k, v in columns.items() if isinstance(v, dict)}
    for key in dict.fromkeys(key for v in objects.values() for key in v):
        yield {"index": key, **{k: v[key] for k, v in objects.items() if key in v}}
