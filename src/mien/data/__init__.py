"""Data sets in, one table out.

``table`` is the canonical form: the importers write it (``fer2013``, ``folder``, ``parquet``, and one for the originals
of each further data set: ``ckplus``, ``jaffe``, ``kdef``, ``rafdb``, ``affectnet``), all that follows reads it.
"""
