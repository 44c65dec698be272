"""Makes Gradio's objects inside an event loop, as they expect.

Made without one, each of Gradio's locks opens an event loop of its own and never closes it.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from typing import TypeVar

Made = TypeVar("Made")


def within_a_loop(make: Callable[[], Made]) -> Made:
    """Return ``make()``, called in the running event loop, or in one for the purpose."""
    try:
        asyncio.get_running_loop()
    except RuntimeError:
        async def made() -> Made:
            return make()

        with asyncio.Runner() as runner:
            return runner.run(made())
    return make()
