"""Faces found in a picture and cut out of it: one file per detector, their framing, their quality.

``detectors`` builds one by name, ``base`` is what each returns. Knows no files, no video and no expressions.
"""
