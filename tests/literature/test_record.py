"""The file that keeps a board's cells when their runs are gone."""

from dataclasses import replace
from pathlib import Path

import pytest
import yaml

from mien.errors import DataError
from mien.literature import board, board_page, record, systems
from mien.literature.cell import Filled, Score, Source
from mien.literature.record import Record

SCORE = Score(35, 0.5, (0.4, 0.6), 0.45, 0.44)


def cells(tmp_path, runs="runs", changes=()) -> list[Filled]:
    """Two cells that have no runs."""
    given = [{"name": n, "recipe": "cnn", "run": n, "set": list(changes)} for n in ("a", "b")]
    row = {"number": 1, "system": "S", "does": "d", "published": [{"figure": "99", "data": "X"}], "cells": given}
    (tmp_path / "list.yaml").write_text(yaml.safe_dump({"rows": [row]}))
    return board.look(systems.read(tmp_path / "list.yaml"), Source(Path(runs), None, "t.parquet"))


def measured(cell: Filled, **more) -> Filled:
    done = replace(cell, state="finished", validation=SCORE, parameters=7, seconds=90.0, hardware="H, 1 thread")
    done = replace(done, epochs=(3, 4), milliseconds=1.5, protocol="official", remarks=("cut short",))
    return replace(done, **more)


def test_a_cell_is_as_it_was_when_its_run_was_there(tmp_path):
    first, other = cells(tmp_path)
    file = tmp_path / "record.json"
    file.write_bytes(record.read(file, "d").updated([measured(first, test=SCORE), other]).encoded())
    kept = record.read(file, "d")
    again, still = kept.filling(cells(tmp_path, runs="elsewhere"))
    assert again.recorded
    assert replace(again, recorded=False, path=first.path, command=first.command) == measured(first, test=SCORE)
    assert (still.state, still.recorded) == ("absent", False)
    assert kept.updated([again, still]) == kept
    (begun,) = kept.filling([replace(first, state="unfinished")])
    assert begun.validation == SCORE
    (damaged,) = kept.filling([replace(first, state="unreadable")])
    assert damaged.validation is None


def test_a_run_at_hand_replaces_what_is_kept_of_it(tmp_path):
    first, _ = cells(tmp_path)
    kept = Record(data="d").updated([measured(first)])
    better = measured(first, validation=replace(SCORE, top1=0.55), milliseconds=2.5)
    assert kept.filling([better]) == [better]
    assert kept.updated([better]).filling([first])[0].validation == better.validation
    same = kept.updated([measured(first, milliseconds=None)]).filling([first])[0]
    assert same.milliseconds == 1.5
    other = kept.updated([replace(better, milliseconds=None)]).filling([first])[0]
    assert (other.validation, other.milliseconds) == (better.validation, None)


def test_a_cell_that_asks_for_something_else_by_now_is_not_filled(tmp_path):
    kept = Record(data="d").updated([measured(cells(tmp_path)[0])])
    changed = cells(tmp_path, changes=["stages.*.epochs=2"])
    assert kept.filling(changed) == changed


@pytest.mark.parametrize(
    ("content", "words"),
    [
        ("", "no record"),
        ("[]", "no record"),
        ('{"data": "d", "cells": {"a": {"measured": {}}}}', "asked"),
        ('{"data": "e"}', "another"),
    ],
)
def test_what_is_no_record_of_this_table_is_refused(tmp_path, content, words):
    (tmp_path / "record.json").write_text(content)
    with pytest.raises(DataError, match=words):
        record.read(tmp_path / "record.json", "d")
    with pytest.raises(DataError, match="cannot read"):
        record.read(tmp_path, "d")


def test_the_page_says_what_was_timed_earlier(tmp_path):
    first, other = cells(tmp_path)
    kept = Record(data="d").updated([measured(first)]).filling([first, other])
    listed = systems.read(tmp_path / "list.yaml")
    page = board_page.markdown(board_page.Board(listed, kept, "t", "", "mien board"), None, tmp_path)
    assert "1 of 2 cells are filled" in page
    assert "| 1.50 † |" in page
    assert "† Timed for an earlier board" in page
    assert board_page.missing(kept) == ["mien train cnn --data t.parquet -o runs/b"]
