"""The ``mien`` command, also as ``python -m mien``.

Here is what may happen before and after the command line itself: Ctrl-C, and libraries that find no memory.
"""

from __future__ import annotations

import signal
import sys


def run() -> None:
    """Load the command line and run it; it exits by itself."""
    try:
        from mien.cli import main

        main()
    except KeyboardInterrupt:
        sys.exit(130)
    except ModuleNotFoundError:
        raise
    except (ImportError, MemoryError) as error:
        said = str(error).partition("\n")[0][:200]
        print(f"mien: not enough memory, or a damaged library ({said}): see ulimit -v", file=sys.stderr)
        sys.exit(2)
    finally:
        signal.signal(
            signal.SIGINT, signal.SIG_DFL
        )  # while Python closes, Ctrl-C would be told as an ignored exception


if __name__ == "__main__":
    run()
