"""The static site: page, package, model, detector, runtime and service worker in one folder.

Any web server can offer it; it makes no request but for its own files. The service worker holds the sha256 of each.
"""

from __future__ import annotations

import base64
import glob
import hashlib
import json
import shutil
from importlib import resources
from pathlib import Path

from mien import files as mien_files
from mien import models
from mien.detection.yunet import YUNET
from mien.download import fetch
from mien.errors import MienError, shown
from mien.web import icons, runtime

#: The model that is put in where none is named: the smallest.
MODEL = "fast"

#: The npm package: plain files.
PACKAGE_FOLDER = Path(str(resources.files("mien.web")))
# First line of the service worker, by which a folder is known as one of ours.
_MARK = "// Written by mien app."

_LICENSES = """mien, its page and its models: Apache-2.0, https://www.apache.org/licenses/LICENSE-2.0

vendor/: ONNX Runtime Web {version}, Copyright (c) Microsoft Corporation, MIT License, below.
What it is built from: https://github.com/microsoft/onnxruntime/blob/v{version}/ThirdPartyNotices.txt

models/{detector}: YuNet, Copyright (c) 2020 Shiqi Yu, MIT License, below.

MIT License

Permission is hereby granted, free of charge, to any person obtaining a copy of this software and associated
documentation files (the "Software"), to deal in the Software without restriction, including without limitation the
rights to use, copy, modify, merge, publish, distribute, sublicense, and/or sell copies of the Software, and to permit
persons to whom the Software is furnished to do so, subject to the following conditions:

The above copyright notice and this permission notice shall be included in all copies or substantial portions of the
Software.

THE SOFTWARE IS PROVIDED "AS IS", WITHOUT WARRANTY OF ANY KIND, EXPRESS OR IMPLIED, INCLUDING BUT NOT LIMITED TO THE
WARRANTIES OF MERCHANTABILITY, FITNESS FOR A PARTICULAR PURPOSE AND NONINFRINGEMENT. IN NO EVENT SHALL THE AUTHORS OR
COPYRIGHT HOLDERS BE LIABLE FOR ANY CLAIM, DAMAGES OR OTHER LIABILITY, WHETHER IN AN ACTION OF CONTRACT, TORT OR
OTHERWISE, ARISING FROM, OUT OF OR IN CONNECTION WITH THE SOFTWARE OR THE USE OR OTHER DEALINGS IN THE SOFTWARE.
"""


def content(model: str | Path = MODEL) -> dict[str, bytes]:
    """Every file of the site: path relative to its root, to bytes. The same input gives the same bytes.

    Args:
        model: an installed model's name, or the path of a model file.

    Raises:
        ModelError: there is no such model, or its card does not say how faces of YuNet are framed.
        DownloadError: the runtime or YuNet's file is not cached and cannot be fetched.
    """
    path = models.find(model)
    card = models.read_card(path)
    if "yunet" not in card.framing:
        raise models.ModelError(f"the model '{shown(card.name)}' does not say how to frame a face that YuNet finds")
    name = f"{path.stem}.onnx"
    files = {file.name: file.read_bytes() for file in sorted((PACKAGE_FOLDER / "page").iterdir()) if file.is_file()}
    files["icons/icon.svg"] = files.pop("icon.svg")
    files |= {f"icons/{icon}": data for icon, data in icons.all_icons().items()}
    files |= {f"mien/lib/{file.name}": file.read_bytes() for file in sorted((PACKAGE_FOLDER / "lib").glob("*.js"))}
    files["mien/index.js"] = (PACKAGE_FOLDER / "index.js").read_bytes()
    files |= {f"models/{name}": path.read_bytes(), f"models/{YUNET.name}": fetch(YUNET).read_bytes()}
    files |= {f"vendor/{file}": data for file, data in runtime.files().items()}
    files["licenses.txt"] = _LICENSES.format(version=runtime.VERSION, detector=YUNET.name).encode()
    where = f'<html lang="en" data-model="models/{name}" data-detector="models/{YUNET.name}">'
    files["index.html"] = files["index.html"].replace(b'<html lang="en">', where.encode())
    files["sw.js"] = _service_worker(files)
    return files


def build(folder: Path, model: str | Path = MODEL) -> dict[str, bytes]:
    """Write the site, whole or not at all; an earlier one in the folder is replaced.

    Returns:
        What was written, as :func:`content`.

    Raises:
        MienError: the folder holds something else, or cannot be written; and as :func:`content`.
    """
    with mien_files.alone(folder):
        return _build(folder, model)


def _build(folder: Path, model: str | Path) -> dict[str, bytes]:
    _put_back(folder)
    if folder.exists() and not (_is_site(folder) or (folder.is_dir() and not any(folder.iterdir()))):
        raise MienError(f"{folder} holds something else than an app of mien: name an empty or a new folder")
    files = content(model)
    try:
        with mien_files.scratch(folder) as partial:
            new, old = partial / "new", partial / "old"
            for path, data in files.items():
                (new / path).parent.mkdir(parents=True, exist_ok=True)
                (new / path).write_bytes(data)
            if folder.exists():
                shutil.move(folder, old)
            shutil.move(new, folder)
    except OSError as error:
        raise MienError(f"cannot write {folder}: {error.strerror or error}") from error
    return files


def _put_back(folder: Path) -> None:
    """The earlier site, where a process was killed between taking it away and putting the new one in its place."""
    if not folder.exists():
        for old in folder.parent.glob(f".{glob.escape(folder.name[:40])}-*/old"):
            if _is_site(old):
                shutil.move(old, folder)
                return


def _is_site(folder: Path) -> bool:
    try:
        return (folder / "sw.js").read_text(encoding="utf-8").startswith(_MARK)
    except (OSError, UnicodeDecodeError):
        return False


def _service_worker(files: dict[str, bytes]) -> bytes:
    """The service worker with the list of all other files."""
    listed = [[path, len(data), _integrity(data)] for path, data in sorted(files.items()) if path != "sw.js"]
    version = hashlib.sha256(json.dumps(listed).encode() + files["sw.js"]).hexdigest()[:16]
    head = f"{_MARK}\nconst VERSION = {json.dumps(version)};\nconst FILES = {json.dumps(listed, indent=1)};\n"
    return head.encode() + files["sw.js"]


def _integrity(data: bytes) -> str:
    return f"sha256-{base64.b64encode(hashlib.sha256(data).digest()).decode()}"
