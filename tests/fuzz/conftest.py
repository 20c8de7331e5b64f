"""The program of this folder and its modules are imported by their names, as they are when it is run."""

import sys
from pathlib import Path

sys.path.insert(0, str(Path(__file__).parent))
