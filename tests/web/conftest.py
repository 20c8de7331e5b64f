"""Fixtures: the package's functions under Node."""

import shutil

import pytest

from support.node import Node


@pytest.fixture(scope="session")
def node() -> Node:
    program = shutil.which("node")
    if program is None:
        pytest.skip("node is not installed")
    return Node(program)
