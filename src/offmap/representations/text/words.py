"""A description as LLM-Prop reads it: numbers as tokens, no words that say nothing.

Rubungo et al., "LLM-Prop: predicting physical and electronic properties of crystalline solids from
their text descriptions", arXiv 2310.14029, section 3: bond lengths become ``[NUM]``, bond angles
``[ANG]``, stop words go, and ``[CLS]`` stands in front. Number words (one, twelve) stay.
"""

from __future__ import annotations

import re

from offmap.elements import NUMBERS

CLS, NUM, ANG = "[CLS]", "[NUM]", "[ANG]"

_STOP_WORDS = frozenset(
    """
    a about above after again all also although am among an and any are as at be because been before
    being below between both but by can could did do does doing down during each either else for
    from further had has have having here how however if in into is it its itself just may might
    more moreover most must neither nor of off on once only onto or other others our out over
    own per rather same shall should since so some such than that the their them themselves then
    there these they this those through thus to together too under until up upon us very via was we
    were what when where which while who whom whose why will with within without would yet you your
    """.split()
)
"""The function words of English (articles, pronouns, prepositions, conjunctions, auxiliaries); the
authors' code joins the lists of github.com/igorbrigadir/stopwords, which are not copied here. "Not"
and "no" stay: octahedra that are not tilted are no tilted ones."""

_RANGE = r"\d+(?:\.\d+)?(?:\s*[-–]\s*\d+(?:\.\d+)?)?"
_LENGTH = re.compile(_RANGE + r"\s*(?:Å|Angstroms?\b)")
_ANGLE = re.compile(_RANGE + r"\s*(?:°|degrees?\b)")
_WORD = re.compile(r"(?<![\w\-\[])([A-Za-z]+)(?![\w\-(\]])")


def simplify(text: str) -> str:
    """What the encoder is given of a description, without ``[CLS]``.

    A capital letter may make a word an element: ``In``, ``As`` and the like go only in front of a
    word in small letters that follows them in the same sentence, other than a verb of the subject.

    Examples
    --------
    >>> simplify("In each Cl2 cluster, all Cl(1)-Cl(1) bond lengths are 2.03 Å.")
    'Cl2 cluster, Cl(1)-Cl(1) bond lengths [NUM].'
    >>> simplify("As crystallizes in the trigonal R-3m space group.")
    'As crystallizes trigonal R-3m space group.'
    """
    text = _ANGLE.sub(ANG, _LENGTH.sub(NUM, text))
    text = _WORD.sub(lambda match: _kept(match[0], text[match.end() :]), text)
    text = re.sub(r"\s+([,.;])", r"\1", " ".join(text.split()))
    return re.sub(r"^[,;\s]+", "", text)


def _kept(word: str, following: str) -> str:
    """The word, or nothing."""
    if word.lower() not in _STOP_WORDS:
        return word
    if word in NUMBERS:
        after = re.match(r"\s+([a-z]+)", following)
        return "" if after and after[1] in _STOP_WORDS - _VERBS else word
    return ""


_VERBS = frozenset("is are was were has have can may".split())
