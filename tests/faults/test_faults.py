"""A few of the cases that ``make faults`` runs by the hundred, and that a wrong end is seen."""

import sys

import judge
import pytest
from commands import COMMANDS
from judge import Ended

import faults

pytestmark = pytest.mark.skipif(sys.platform != "linux", reason="signals, sessions and small disks as here are Linux's")
NAMED = {command.name: command for command in COMMANDS}


@pytest.mark.slow
def test_a_few_commands_end_as_they_should(tmp_path):
    campaign = faults.Campaign(tmp_path, 1, cold=True)
    for fault in ("kill", "full", "two"):
        verdict = campaign.case(NAMED["predict parquet"], fault)
        assert not verdict.wrong, fault


CLEAN = {"t.csv": 3, "job/a.json": "dict"}
OPTIONS = "--output --resume"


@pytest.mark.parametrize(
    ("ended", "fault", "told"),
    [
        (Ended(0, "", "", [], {"t.csv": 3}), "full", "success, and job/a.json is not there"),
        (Ended(0, "", "", [], {"t.csv": 2, "job/a.json": "dict"}), "full", "t.csv: 2 instead of 3"),
        (Ended(1, "", "mien: cannot write: No space left on device", [], {}), "full", "the older t.csv is lost"),
        (Ended(1, "", "Traceback (most recent call last):", [], CLEAN), "full", "printed: Traceback"),
        (Ended(2, "", "mien: cannot write: error 5", [], CLEAN), "full", "does not say why"),
        (Ended(2, "", "mien: No space left: see --other", [], CLEAN), "full", "advises --other"),
        (
            Ended(2, "", "mien: No space left", [], CLEAN | {".t-ab.partial.csv": None}),
            "full",
            "left: .t-ab.partial.csv",
        ),
        (Ended(1, "", "mien: a\nmien: b", [], CLEAN), "int", "2 messages"),
        (Ended(15, "", "", [], CLEAN), "term", "exit code 15"),
        (Ended(143, "", "", ["raylet"], CLEAN), "term", "still running: raylet"),
        (Ended(-9, "", "", [], CLEAN | {"t.csv": ValueError("t.csv is damaged")}), "kill", "t.csv is damaged"),
    ],
)
def test_a_wrong_end_is_seen(ended, fault, told):
    wrong = judge.faulty(ended, fault, CLEAN, older=True, grows=False, options=OPTIONS)
    assert any(told in one for one in wrong), wrong


def test_a_right_end_is_right():
    kept = Ended(2, "", "mien: cannot write x: No space left on device; go on with --resume", [], dict(CLEAN))
    assert judge.faulty(kept, "full", CLEAN, older=True, grows=False, options=OPTIONS) == []


def test_cases_are_drawn_by_the_seed_and_by_words():
    assert faults.chosen(50, 3, None) == faults.chosen(50, 3, None) != faults.chosen(50, 4, None)
    assert [fault for _, fault in faults.chosen(9, 0, "batch kill")] == ["kill"]


def test_a_file_that_is_cut_off_is_no_whole_one(tmp_path):
    (tmp_path / "a.csv").write_text("a,b\n1,2\n1")
    (tmp_path / "b.json").write_text("[1")
    (tmp_path / "c.html").write_text("<html>")
    (tmp_path / "d.png").write_bytes((faults.materials.TESTS.parent / "docs" / "astronaut.jpg").read_bytes()[:9000])
    assert all(isinstance(found, Exception) for found in judge.contents(tmp_path).values())
