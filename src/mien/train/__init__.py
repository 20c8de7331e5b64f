"""Recipes into trained networks: ``recipe`` says what, ``run`` does it, a run folder keeps everything.

The only part of mien, with ``export``, that needs torch.
"""
