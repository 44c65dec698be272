"""A line between client and server that counts what passes, and that can be cut: a network as it really is."""

from __future__ import annotations

import asyncio
import threading


class Gate:
    """Forwards TCP to a port of this machine from a thread of its own.

    Attributes:
        address: where a client finds it.
        sent_bytes: from client to server so far.
        cut_at: when set, every connection is cut once `sent_bytes` passes it, once.
        cut_then: what `cut_at` becomes after each cut.
    """

    def __init__(self, port: int) -> None:
        self.port, self.sent_bytes, self.cuts = port, 0, 0
        self.cut_at: int | None = None
        self.cut_then: list[int] = []
        self._open: set[asyncio.StreamWriter] = set()
        self._loop = asyncio.new_event_loop()
        self._server = self._loop.run_until_complete(asyncio.start_server(self._join, "127.0.0.1", 0))
        self.address = f"http://127.0.0.1:{self._server.sockets[0].getsockname()[1]}"
        self._thread = threading.Thread(target=self._loop.run_forever, daemon=True)
        self._thread.start()

    def close(self) -> None:
        """Cut what is open and stop."""
        self._loop.call_soon_threadsafe(self._stop)
        self._thread.join(10)
        self._loop.close()

    def _stop(self) -> None:
        self._cut()
        self._server.close()
        self._loop.call_later(0.2, self._loop.stop)

    def _cut(self) -> None:
        for writer in list(self._open):
            writer.transport.abort()

    async def _join(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        try:
            behind_reader, behind_writer = await asyncio.open_connection("127.0.0.1", self.port)
        except OSError:
            writer.transport.abort()
            return
        pair = {writer, behind_writer}
        self._open |= pair
        try:
            up, down = self._forward(reader, behind_writer, True), self._forward(behind_reader, writer, False)
            await asyncio.gather(up, down)
        finally:
            self._open -= pair

    async def _forward(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter, up: bool) -> None:
        try:
            while block := await reader.read(65536):
                if up:
                    self.sent_bytes += len(block)
                if self.cut_at is not None and self.sent_bytes > self.cut_at:
                    self.cut_at = self.cut_then.pop(0) if self.cut_then else None
                    self.cuts += 1
                    self._cut()
                    return
                writer.write(block)
                await writer.drain()
        except OSError:
            pass  # the other side has hung up
        finally:
            writer.close()
