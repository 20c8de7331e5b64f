"""The whole experiment as YAML: what a recipe may say, how it is read and written, the shipped recipes.

Never imports torch, so that a recipe can be checked anywhere; ``networks`` and ``train`` do what it says. Without the
extra ``train`` its import is an error that names it.
"""

from mien.errors import require

for _library in ("pydantic", "yaml"):
    require(_library, "train")
