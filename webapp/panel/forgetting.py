"""What Gradio remembers of an answered event, given back.

For each answer that changes a part of the page, Gradio makes that part anew, and keeps it in its session: a menu of two
hundred classes a page turn, some hundred kilobytes, for as long as the process lives. Nothing of it is ever looked at.
"""

from __future__ import annotations

from copy import copy

import gradio as gr
from gradio.state_holder import SessionState

from webapp.panel.guard import Application, Receive, Scope, Send


class Forgetting:
    """ASGI middleware around Gradio's application.

    It needs no lock: Gradio looks up and makes its sessions in the event loop's thread alone, as this does.

    Args:
        app: Gradio's.
        blocks: its page.
    """

    def __init__(self, app: Application, blocks: gr.Blocks) -> None:
        self._application = app
        self._blocks = blocks

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Pass one request on; then forget."""
        try:
            await self._application(scope, receive, send)
        finally:
            for session in self._blocks.state_holder.session_data.values():
                if len(session.blocks_config.blocks) > len(self._blocks.blocks):
                    self._forget(session)

    def _forget(self, session: SessionState) -> None:
        """Put the page's own parts back; an event that is being answered keeps those that it has in hand."""
        session.blocks_config = copy(self._blocks.default_config)
        session.config_values = {number: config for number, config in session.config_values.items()
                                 if number in self._blocks.blocks}
