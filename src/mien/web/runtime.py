"""ONNX Runtime Web: fetched from the npm registry at one version, checked, cached, unpacked.

Nothing of it is in the repository or the wheel.
"""

from __future__ import annotations

import base64
import hashlib
import tarfile
from collections.abc import Mapping

from mien.download import Asset, fetch
from mien.errors import DownloadError

VERSION = "1.30.0"
PACKAGE = Asset(
    name=f"onnxruntime-web-{VERSION}.tgz",
    url=f"https://registry.npmjs.org/onnxruntime-web/-/onnxruntime-web-{VERSION}.tgz",
    sha256="d2228df7e4616bc3348bf504ee888f3bec43789a273f0a63f3e68d203ce3bf71",
    size=33_106_585,
)
#: What the npm registry states for this version (``npm view onnxruntime-web@1.30.0 dist.integrity``).
INTEGRITY = "sha512-q0y+JrrtukXSzsBWEMccVfqX25LRmosXHF+CaRJmg8pZClzcV7svNc4rKY3jL02Vb7QmRMDs1SigqR4CXAfKYQ=="

#: The only files of it that a page needs: WebAssembly on the processor, without WebGPU and WebGL.
FILES = ("ort.wasm.bundle.min.mjs", "ort-wasm-simd-threaded.wasm")


def files() -> Mapping[str, bytes]:
    """The runtime's files by name, fetched first where they are not in the cache.

    Raises:
        DownloadError: the package is not cached and cannot be fetched, or is not the one the registry states.
    """
    path = fetch(PACKAGE)
    try:
        with path.open("rb") as file:
            digest = hashlib.file_digest(file, "sha512").digest()
        if f"sha512-{base64.b64encode(digest).decode()}" != INTEGRITY:
            raise DownloadError(f"{path} is not the package that the npm registry states: delete it and try again")
        with tarfile.open(path) as archive:
            return {name: _member(archive, f"package/dist/{name}") for name in FILES}
    except (OSError, tarfile.TarError, KeyError) as error:
        raise DownloadError(f"cannot read {path}: {error}; delete it and try again") from error


def _member(archive: tarfile.TarFile, name: str) -> bytes:
    file = archive.extractfile(name)
    if file is None:
        raise KeyError(f"{name} is no file")
    return file.read()
