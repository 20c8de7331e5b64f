"""The recipe of the tiny network that is trained once for the tests of export."""

from mien.recipes import loader

SPEC = loader.parse(
    """
name: tiny
description: for tests
heads: [{label_set: ferplus}, {label_set: fer2013}]
network: {stem: [4], widths: [8, 16], depths: [1, 1], dropout: 0.1}
precision: 32-true
stages: [{epochs: 2, learning_rate: 0.05, batch_size: 20}]
"""
)
