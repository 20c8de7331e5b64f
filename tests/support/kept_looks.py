"""A ledger for tests that score the made test faces: it keeps nothing."""

import os
from pathlib import Path

from mien.evaluate.ledger import Ledger

LOOK = Ledger(Path(os.devnull), "a test of mien")
OPTIONS = ("--ledger", os.devnull, "--why", "a test of mien")
