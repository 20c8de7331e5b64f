"""Fixtures of the service: an application in this process, the portrait as it is sent."""

import io

import numpy as np
import pytest
from PIL import Image
from starlette.testclient import TestClient

from mien.serve.app import create_app
from mien.serve.settings import Settings


@pytest.fixture(scope="session")
def app():
    """Viola-Jones, which needs no download."""
    return create_app(Settings(detector="haar", models=("default", "fast")))


@pytest.fixture(scope="session")
def client(app):
    with TestClient(app, base_url="http://localhost") as one:
        yield one


@pytest.fixture
def jpeg(portrait):
    return portrait.read_bytes()


@pytest.fixture(scope="session")
def small():
    """A picture of 60 x 48 pixels, PNG."""
    out = io.BytesIO()
    Image.fromarray(np.random.default_rng(0).integers(0, 255, (48, 60, 3), dtype=np.uint8)).save(out, "PNG")
    return out.getvalue()
