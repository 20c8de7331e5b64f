"""Classical pipelines: features of a picture, their reduction, a classifier; recipes of ``kind: classical``.

``schema`` says what such a recipe may say, ``features`` turns pictures into numbers, ``pipeline`` is what scikit-learn
fits to them, ``run`` searches and writes the run folder, ``rebuilt`` makes a torch module of what ONNX can express,
``fitted`` answers for runs that it cannot.
"""
