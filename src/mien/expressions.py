"""The expressions, their orders, and the spellings that data sets use for them.

Owns every list of label names in mien. Refuses to know where labels come from (``data``) and what scores
them (``models``).
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from difflib import get_close_matches
from types import MappingProxyType

from mien.errors import LabelError, shown

#: The basic seven in FER2013's order (Goodfellow et al. 2013): label 0 is angry, 6 is neutral.
BASIC_SEVEN: tuple[str, ...] = ("angry", "disgust", "fear", "happy", "sad", "surprise", "neutral")

#: FER+ (Barsoum et al. 2016) knows an eighth expression; mien puts it last, so that the first seven agree.
BASIC_EIGHT: tuple[str, ...] = (*BASIC_SEVEN, "contempt")

#: The named label sets: what an output of a model file or a head of a network is trained and scored on.
LABEL_SETS: Mapping[str, tuple[str, ...]] = MappingProxyType({"fer2013": BASIC_SEVEN, "ferplus": BASIC_EIGHT})

#: The label set of the answer that is fused from both: the basic seven, true where most of FER+'s voters saw it.
FUSED = "expressions"

#: The vote columns of ``fer2013new.csv`` in its order: ten annotators a picture. NF: not a face.
FERPLUS_VOTES: tuple[str, ...] = (
    "neutral",
    "happiness",
    "surprise",
    "sadness",
    "anger",
    "disgust",
    "fear",
    "contempt",
    "unknown",
    "NF",
)

_SPELLINGS: Mapping[str, tuple[str, ...]] = MappingProxyType(
    {
        "angry": ("anger", "angry", "an"),
        "disgust": ("disgust", "disgusted", "di"),
        "fear": ("fear", "fearful", "afraid", "scared", "fe", "af"),
        "happy": ("happy", "happiness", "happily", "joy", "ha"),
        "sad": ("sad", "sadness", "sadly", "sa"),
        "surprise": ("surprise", "surprised", "su"),
        "neutral": ("neutral", "neutrality", "ne"),
        "contempt": ("contempt", "contemptuous", "co"),
    }
)
_EXPRESSION_OF = {spelling: name for name, spellings in _SPELLINGS.items() for spelling in spellings}


def canonical(name: str) -> str:
    """Return mien's spelling of an expression's name.

    Case, digits and punctuation around the word do not matter, so ``"3_Happiness"`` and ``"HAPPY"`` are the
    same expression.

    Raises:
        LabelError: the name is no usual spelling of one of the eight expressions.

    >>> canonical("Anger"), canonical("03-sadness")
    ('angry', 'sad')
    """
    word = re.sub(r"[^a-z]+", "", name.lower())
    if word in _EXPRESSION_OF:
        return _EXPRESSION_OF[word]
    # Slips of the pen alone: "Angst" is no misspelled anger but fear, in another language.
    near = get_close_matches(word, _EXPRESSION_OF, n=1, cutoff=0.75)
    hint = f"; did you mean {_EXPRESSION_OF[near[0]]!r}?" if near else ""
    raise LabelError(f"'{shown(name)}' is not an expression mien knows ({', '.join(BASIC_EIGHT)}){hint}")
