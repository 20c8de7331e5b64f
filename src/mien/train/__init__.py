"""Recipes into trained networks: ``recipe`` says what, ``run`` does it, a run folder keeps everything.

The only part of mien, with ``export``, that needs torch.
"""

import os

# timm brings Hugging Face's client, which would tell its maker what is installed; read when it is first imported.
os.environ.setdefault("HF_HUB_DISABLE_TELEMETRY", "1")
