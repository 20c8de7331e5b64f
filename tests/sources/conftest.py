import pytest

from support.web_server import running


@pytest.fixture
def server(monkeypatch):
    monkeypatch.delenv("MIEN_OFFLINE", raising=False)
    with running() as one:
        yield one
