"""Recipes into trained networks: ``run`` is the loop, and stages, losses, augmentation and search are its parts.

Leaves a run folder (:mod:`mien.runs`); selects on validation only and writes no model file.
"""
