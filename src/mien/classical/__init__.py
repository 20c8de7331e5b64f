"""Recipes of ``kind: classical``: handcrafted or network features, their reduction, a scikit-learn classifier.

``features`` turns pictures into numbers, ``pipeline`` is what scikit-learn fits to them, ``fit`` searches and writes
the run folder, ``to_torch`` makes a module of what ONNX can express, ``fitted`` answers for what it cannot.
What such a recipe may say is in :mod:`mien.recipes.classical_schema`.
"""
