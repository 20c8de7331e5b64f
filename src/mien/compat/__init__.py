"""What PyPI's ``fer`` and ``deepface`` offer for expressions, under their names and in their shapes.

For programs that were written for one of them: :mod:`mien.compat.fer` and :mod:`mien.compat.deepface` take the
arguments and give the dicts that such a program knows, so that it moves over by changing one import. The shapes are
those of fer 25.10.3 and deepface 0.0.103. ``docs/moving-over.md`` shows both and says what differs.

What is promised is the shape: names, keys, their order, ranges, types. What is not: the same numbers, as another
network reads another crop; the same boxes, as other detectors find them; and anything beyond expressions, as
identity, age, gender, race, spoofing and videos. New programs should use :class:`mien.Recognizer`, which says
more: all eight expressions, every output of the model, what detector and model it was.
"""
