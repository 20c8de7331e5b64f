"""Faces followed from frame to frame, and their probabilities smoothed over time.

Knows no files and no networks, and recognizes nobody: a track ends with its clip.
"""
