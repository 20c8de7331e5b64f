"""Data sets in, one table out.

``table`` is the canonical form: the importers (``fer2013``, ``folder``) write it, all that follows reads it.
"""
