"""Trained networks into model files: ``graph`` builds, ``gates`` refuses, ``package`` does the whole."""

import mien.networks  # noqa: F401  before timm: with the telemetry of Hugging Face's client off
