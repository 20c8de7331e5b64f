"""Trained networks into model files: ``graph`` builds, ``gates`` refuses, ``package`` does the whole."""
