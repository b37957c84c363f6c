"""Python's garbage collector, out of the way while a function starts."""

from __future__ import annotations

import gc
import os
from collections.abc import Iterator
from contextlib import contextmanager

# Lambda sets this, and gives a function a process of its own. Elsewhere others have objects here, too.
_ALONE = "LAMBDA_TASK_ROOT" in os.environ


@contextmanager
def paused() -> Iterator[None]:
    """Within the block nothing is collected; on Lambda, what is there at its end never will be looked at.

    What a start makes stays for good: each search for garbage goes through more of it, and finds none.
    """
    if not gc.isenabled():
        yield
        return
    gc.disable()
    try:
        yield
    finally:
        if _ALONE:
            gc.freeze()
        gc.enable()
