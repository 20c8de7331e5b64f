"""A model file in the formats of other runtimes: a file for each, the gate that each passes, and their table."""

from __future__ import annotations

from collections.abc import Mapping
from types import MappingProxyType

from mien.export.formats.base import Format
from mien.export.formats.c import CSource
from mien.export.formats.coreml import CoreML
from mien.export.formats.litert import LiteRT
from mien.export.formats.ncnn import Ncnn
from mien.export.formats.openvino import OpenVINO
from mien.export.formats.ort import Ort

#: What ``mien export --format`` knows beside ``onnx``, in the order of the table.
FORMATS: Mapping[str, Format] = MappingProxyType(
    {one.name: one for one in (Ort(), OpenVINO(), LiteRT(), Ncnn(), CSource(), CoreML())}
)
