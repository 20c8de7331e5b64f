"""``python -m mien``: the ``mien`` command."""

from mien.cli import main

main()
