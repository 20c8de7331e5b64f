"""A window that shows pictures as they come, by tkinter: OpenCV's headless build has none.

Owns the window and who runs in which thread: the caller's thread works, Tk's loop runs in the main one. Refuses to know
what is shown.
"""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterator
from typing import Any

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from mien.errors import MienError

#: What is shown: RGB uint8 (H, W, 3), and a line of text below it.
Sight = tuple[NDArray[np.uint8], str]

_POLL = 15  # milliseconds between looks for something new to show
_MARGIN = 120  # pixels of the screen left for the window's frame and the line below the picture


def show(title: str, sights: Callable[[], Iterator[Sight]]) -> None:
    """Show what an iterator yields until it ends or the window is closed (Escape and Q close it too).

    Args:
        title: of the window.
        sights: makes the iterator; it is run in a thread of its own and closed with the window.

    Raises:
        MienError: there is no tkinter or no screen; or whatever the iterator raised, or Ctrl-C.
    """
    tkinter = _tkinter()
    try:
        root = tkinter.Tk(className="mien")
    except tkinter.TclError as error:
        raise MienError(f"there is no screen to open a window on: {error}") from error
    failed: list[BaseException] = []

    def fail(_: object, error: BaseException, __: object) -> None:
        failed.append(error)
        root.destroy()

    # Else tkinter prints a traceback and goes on with a window that shows nothing new: of Ctrl-C, too.
    root.report_callback_exception = fail
    root.title(title)
    pane, line = tkinter.Label(root, background="black"), tkinter.Label(root, anchor="w")
    pane.pack(fill="both", expand=True)
    line.pack(fill="x")
    worker = Worker(sights)
    room = (root.winfo_screenwidth(), root.winfo_screenheight() - _MARGIN)

    def poll() -> None:
        sight = worker.take()
        if sight is not None:
            pixels, text = sight
            photo = _photo(pixels, room)
            pane.configure(image=photo)
            pane.photo = photo  # Tk keeps no reference, and what nobody holds is not shown
            line.configure(text=text)
        if worker.over:
            root.destroy()
        else:
            root.after(_POLL, poll)

    def leave(_: object = None) -> None:
        root.destroy()

    for key in ("<Escape>", "q", "Q"):
        root.bind(key, leave)
    root.protocol("WM_DELETE_WINDOW", leave)
    root.after(_POLL, poll)
    worker.start()
    try:
        root.mainloop()
    finally:
        worker.stop()
    if failed:
        raise failed[0]
    worker.check()


class Worker:
    """Runs an iterator in a thread and holds its newest item.

    Attributes:
        over: the iterator has ended, or raised.
    """

    def __init__(self, items: Callable[[], Iterator[Any]]) -> None:
        self.over = False
        self._items = items
        self._newest: Any = None
        self._stopped = threading.Event()
        self._error: BaseException | None = None
        self._thread = threading.Thread(target=self._run, daemon=True, name="mien-work")

    def start(self) -> None:
        """Begin."""
        self._thread.start()

    def take(self) -> Any:
        """The newest item that was not taken yet, or None."""
        newest, self._newest = self._newest, None
        return newest

    def stop(self) -> None:
        """End after the present item, and wait for that."""
        self._stopped.set()
        if self._thread.ident is not None:
            self._thread.join(timeout=10)

    def check(self) -> None:
        """Raise what the iterator raised."""
        if self._error is not None:
            raise self._error

    def _run(self) -> None:
        items = self._items()
        try:
            for item in items:
                self._newest = item
                if self._stopped.is_set():
                    break
        except BaseException as error:  # raised again in the main thread
            self._error = error
        finally:
            close = getattr(items, "close", None)
            if close:
                close()
            self.over = True


def _tkinter() -> Any:
    try:
        import tkinter
    except ImportError as error:
        raise MienError(
            "this Python has no tkinter, which the window needs: install python3-tk (Debian, Ubuntu), python-tk"
            " (Homebrew), or a Python from python.org"
        ) from error
    return tkinter


def _photo(pixels: NDArray[np.uint8], room: tuple[int, int]) -> Any:
    from PIL import ImageTk

    image = Image.fromarray(pixels)
    image.thumbnail(room)
    return ImageTk.PhotoImage(image)
