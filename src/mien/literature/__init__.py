"""The systems of the literature on one board: the list, a run for each cell, the page, the plot, the record.

The list is ``systems.yaml``. Trains nothing: a cell that no run fills shows the command that would.
"""
