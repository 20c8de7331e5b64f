import pytest

from mien.errors import LabelError
from mien.expressions import BASIC_EIGHT, BASIC_SEVEN, FERPLUS_VOTES, canonical


def test_the_orders_are_those_of_the_data_sets():
    assert BASIC_SEVEN == ("angry", "disgust", "fear", "happy", "sad", "surprise", "neutral")
    assert BASIC_EIGHT[:7] == BASIC_SEVEN
    assert FERPLUS_VOTES[0] == "neutral"
    assert FERPLUS_VOTES[-1] == "NF"


@pytest.mark.parametrize(
    ("spelling", "name"),
    [
        ("anger", "angry"),
        ("Happiness", "happy"),
        ("1_surprised", "surprise"),
        ("NEUTRAL", "neutral"),
        ("Fearful", "fear"),
    ],
)
def test_usual_spellings_are_one_expression(spelling, name):
    assert canonical(spelling) == name


@pytest.mark.parametrize("word", ["", "3", "bored", "hapy"])
def test_other_words_are_refused(word):
    with pytest.raises(LabelError):
        canonical(word)


def test_a_near_miss_gets_a_hint():
    with pytest.raises(LabelError, match="did you mean 'happy'"):
        canonical("hapy")
