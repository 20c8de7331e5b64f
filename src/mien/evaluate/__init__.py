"""Predictions tables, and everything that is a function of one: figures, intervals, calibration.

Needs numpy, pyarrow and scikit-learn; never torch.
"""
