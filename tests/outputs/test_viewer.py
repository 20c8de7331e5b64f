import time

import numpy as np
import pytest

from mien.errors import MienError, PictureError
from mien.outputs import viewer


def test_the_worker_holds_the_newest_and_is_over_at_the_end():
    worker = viewer.Worker(lambda: iter(range(1000)))
    assert worker.take() is None
    worker.start()
    deadline = time.monotonic() + 5
    while not worker.over and time.monotonic() < deadline:
        time.sleep(0.001)
    assert worker.over
    assert worker.take() == 999
    assert worker.take() is None
    worker.check()


def test_closing_the_window_ends_and_closes_the_iterator():
    closed = []

    def items():
        try:
            while True:
                yield 1
        finally:
            closed.append(True)

    worker = viewer.Worker(items)
    worker.start()
    worker.stop()
    assert worker.over
    assert closed == [True]


def test_what_the_iterator_raises_is_raised_for_the_caller():
    def items():
        yield 1
        raise PictureError("damaged")

    worker = viewer.Worker(items)
    worker.start()
    worker.stop()
    with pytest.raises(PictureError, match="damaged"):
        worker.check()


def test_without_a_screen_it_is_said(monkeypatch):
    pytest.importorskip("tkinter", reason="this Python has no tkinter")
    monkeypatch.setenv("DISPLAY", ":987")
    with pytest.raises(MienError, match="no screen"):
        viewer.show("mien", lambda: iter([(np.zeros((4, 4, 3), np.uint8), "")]))


def test_control_c_within_a_callback_of_tk_is_raised_and_ends_the_window(monkeypatch):
    tkinter = pytest.importorskip("tkinter", reason="this Python has no tkinter")

    class Root:
        """A screen that exists nowhere; what it runs is wrapped as Tk does it."""

        def __init__(self, **_):
            self.waiting, self.destroyed = [], False

        def after(self, _, call):
            self.waiting.append(tkinter.CallWrapper(call, None, self))

        def mainloop(self):
            while self.waiting and not self.destroyed:
                self.waiting.pop(0)()

        def destroy(self):
            self.destroyed = True

        def _report_exception(self):
            import sys

            self.report_callback_exception(*sys.exc_info())

        def report_callback_exception(self, *_):
            raise AssertionError("printed, and gone on")

        def __getattr__(self, _):
            return lambda *_, **__: 1000

    def interrupted(_):
        raise KeyboardInterrupt

    monkeypatch.setattr(tkinter, "Tk", Root)
    monkeypatch.setattr(tkinter, "Label", lambda *_, **__: Root())
    monkeypatch.setattr(viewer.Worker, "take", interrupted)
    with pytest.raises(KeyboardInterrupt):
        viewer.show("mien", lambda: iter([(np.zeros((4, 4, 3), np.uint8), "")]))
