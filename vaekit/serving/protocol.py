"""uvicorn's protocol with limits on how long a connection may keep the server waiting, and on headers."""

import asyncio

from uvicorn.protocols.http.httptools_impl import HttpToolsProtocol

HEAD = 65_536
"""Bytes of a request's line and headers, and of what is neither body nor header: chunks' sizes, trailers."""


def impatient(seconds: float) -> type[HttpToolsProtocol]:
    """A protocol that closes a connection whose client is slower than `seconds`.

    uvicorn by itself waits for ever for the headers of a request, for the rest of a body that has been answered
    already, and for a client to take its answer; and it takes headers of any size.
    """

    class HeaderTimeoutProtocol(HttpToolsProtocol):
        _patience: asyncio.TimerHandle | None = None
        _fed = _in_body = 0

        def connection_made(self, transport):
            super().connection_made(transport)
            self._expect(self.transport.close)

        def data_received(self, data):
            self._fed += len(data)
            super().data_received(data)
            if self._fed - 2 * self._in_body > HEAD and not self.transport.is_closing():
                self.send_400_response("The headers are too long.")

        def on_message_begin(self):
            self._fed = self._in_body = 0
            self._expect(self.transport.close)
            super().on_message_begin()

        def on_body(self, body):
            self._in_body += len(body)
            super().on_body(body)

        def on_headers_complete(self):
            self._stop_waiting()
            super().on_headers_complete()

        def on_response_complete(self):
            if self.cycle.more_body:
                self._expect(self.transport.close)
            super().on_response_complete()

        def on_message_complete(self):
            if self.cycle.response_complete:
                self._stop_waiting()
            super().on_message_complete()

        def pause_writing(self):
            super().pause_writing()
            self._watch(self.transport.get_write_buffer_size())

        def resume_writing(self):
            self._stop_waiting()
            super().resume_writing()

        def connection_lost(self, exc):
            self._stop_waiting()
            super().connection_lost(exc)

        def _watch(self, left):
            """Close when none of what is left to send has been taken until the next look."""

            def look():
                now = self.transport.get_write_buffer_size()
                if now < left:
                    self._watch(now)
                else:
                    self.transport.abort()

            self._expect(look)

        def _expect(self, otherwise):
            self._stop_waiting()
            self._patience = self.loop.call_later(seconds, otherwise)

        def _stop_waiting(self):
            if self._patience is not None:
                self._patience.cancel()
                self._patience = None

    return HeaderTimeoutProtocol
