"""Starting weights of third parties, made ready for recipes: what they expect of their input written into the file.

    python benchmarks/starting_weights.py faceres_mobilenet.safetensors -o weights/faceres_mobilenet.safetensors

A recipe then starts from them by ``network.weights: {file: ...}``. Channel order, mean, scale and the measuring of
batch norm belong to the weights, so no recipe says them again. Files are known by their sha256.
"""

from __future__ import annotations

import hashlib
import json
from pathlib import Path

import recording
from safetensors.torch import load_file, save_file

from mien.expressions import BASIC_SEVEN

_CAFFE = {"mean": [m / 255 for m in (103.939, 116.779, 123.68)], "std": [1 / 255] * 3, "order": "bgr"}
_VGGFACE2 = (
    "HSE-FaceRes, trained on VGGFace2 identities (Apache-2.0 code and files; VGGFace2 was withdrawn in 2020, its terms"
    " are given as CC BY-SA 4.0 and as CC BY-NC 4.0)"
)
_FERPLUS = ("neutral", "happy", "surprise", "sad", "angry", "disgust", "fear", "contempt")
#: sha256 of a file to what it expects of its input and where it comes from.
KNOWN = {
    "48a24240d7bbd2724cf123d38b7def1b739e5ae1bdc07cd94a8f6408dcfc809c": _CAFFE
    | {"batch_norm": "folded", "lineage": _VGGFACE2},
    "0d8173b78cf1d1d9b42fd99e62faeeead14ed8c13000603068aac0e664ad830a": _CAFFE
    | {
        "batch_norm": "folded",
        "lineage": f"MobileNet at 128 px, trained on FER2013 and FER+ from {_VGGFACE2}",
        "labels": {"ferplus": _FERPLUS, "fer2013": BASIC_SEVEN},
    },
    "501c68a67f23ddf3692f1031fbd4dde1eea89eb06a754af5d78eb5a0be7af344": {
        "mean": [0.5] * 3,
        "std": [0.5] * 3,
        "lineage": "EfficientNet-lite0 of TensorFlow, trained on ImageNet-1k (Apache-2.0)",
    },
}


def main() -> None:
    parser = recording.parser(__doc__, record=False)
    parser.add_argument("file", type=Path)
    parser.add_argument("-o", "--output", type=Path, required=True)
    given = parser.parse_args()
    found = KNOWN.get(hashlib.sha256(given.file.read_bytes()).hexdigest())
    if found is None:
        parser.error(f"{given.file} is none of the files known by their sha256")
    weights = {
        name: value.float() if value.is_floating_point() else value for name, value in load_file(given.file).items()
    }
    given.output.parent.mkdir(parents=True, exist_ok=True)
    save_file(weights, given.output, metadata={"mien": json.dumps(found)})


if __name__ == "__main__":
    main()
