"""Networks to be trained: backbones, heads, starting weights, test-time views.

Builds what a recipe names; trains nothing and reads no data sets.
"""

import os

# timm brings Hugging Face's client, which would tell its maker what is installed; read when it is first imported.
os.environ.setdefault("HF_HUB_DISABLE_TELEMETRY", "1")
