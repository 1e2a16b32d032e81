"""Names as parts of paths that any file system takes, and that can be read back."""

from __future__ import annotations

import hashlib
import re
from urllib.parse import quote

from offmap.elements import NUMBERS

# File systems take names of 255 bytes; temporary files have somewhat longer ones than their target.
_LONGEST = 200

_NOT_ON_WINDOWS = re.compile(r"(con|prn|aux|nul|com\d|lpt\d)(\..*)?", re.IGNORECASE)
_LETTERS = re.compile(r"%[0-9A-F]{2}|[A-Za-z]+")
_SYMBOLS = {symbol.lower() for symbol, number in NUMBERS.items() if number <= 103}


def slug(value: object, one_case: bool = True) -> str:
    """A path part that any file system takes and that can be read back (percent-encoded).

    With ``one_case``, two names never share a folder, not even where ``Co`` and ``CO`` are the same
    file: element symbols keep their capitals and other words are expected in small letters; a
    letter that is otherwise is encoded. Only a long name cannot be read back: its end gives way to
    a digest.

    Examples
    --------
    >>> [slug(name) for name in ("Co", "CO", "Li-Fe-O", "m-3m", "formation_energy", "a/b")]
    ['Co', 'C%4F', 'Li-Fe-O', 'm-3m', 'formation_energy', 'a%2Fb']
    """
    text = quote(str(value), safe="+-, ()@", errors="surrogatepass")
    if one_case:
        words = [word for word in _LETTERS.findall(text) if not word.startswith("%")]
        symbols = all(word.lower() in _SYMBOLS for word in words)
        text = _LETTERS.sub(lambda match: _one_case(match[0], symbols), text)
    # A dot or underscore in front would hide the folder from table readers; at the end, Windows
    # drops dots and spaces.
    text = re.sub(r"^[._ ]|[. ]$", lambda m: _encoded(m[0]), text) or "%"
    if _NOT_ON_WINDOWS.fullmatch(text):
        text = _encoded(text[0]) + text[1:]
    if len(text) > _LONGEST:
        digest = hashlib.blake2b(text.encode(), digest_size=16).hexdigest()
        text = f"{text[: _LONGEST - 40]}%%{digest}"
    return text


def _one_case(word: str, symbols: bool) -> str:
    """The word with every letter encoded that is not in the case expected of it."""
    if word.startswith("%"):
        return word
    expected = word.capitalize() if symbols else word.lower()
    return "".join(
        letter if letter == usual else _encoded(letter)
        for letter, usual in zip(word, expected, strict=True)
    )


def _encoded(letter: str) -> str:
    return f"%{ord(letter):02X}"
