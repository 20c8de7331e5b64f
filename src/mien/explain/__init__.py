"""Where a model looks: class activation maps of a network, occlusion maps of any model file.

Draws its own maps; knows no run folders, and the page of a run is in :mod:`mien.report`.
"""
