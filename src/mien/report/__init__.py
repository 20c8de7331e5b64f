"""What was measured, shown: the page of a run, the comparison of runs, the page of a model, sheets of faces.

``evidence`` reads a run folder and has its splits scored, ``page`` turns that into one HTML file, ``plots`` and
``sheet`` draw, ``views``, ``spread`` and ``comparison`` answer one question each. Every figure comes from a
predictions table, from the history or from the run's own record; nothing here trains, selects or fits on test.
"""
