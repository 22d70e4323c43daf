"""Places in the queue, and the bodies of those who have one: bounded in number, bytes, JSON values and time."""

import asyncio
import contextlib
import zlib
from collections.abc import AsyncGenerator
from dataclasses import dataclass, field

from starlette.requests import ClientDisconnect, Request

from vaekit.serving.contract import MOST_VALUES, RequestError

RATE = 100_000
"""Bytes a second: a body's time grows by a second with every so many that have come."""
PATIENCE = 1.0
"""Seconds after which a body that comes more slowly than RATE loses its place to another one, if none is free."""
FREE = 1_000_000
"""Bytes of a body that every place has room for; what is longer shares `Limits.buffer`."""
PIECE = 1_000_000
"""Bytes that are inflated at once."""


@dataclass(frozen=True)
class Limits:
    """What clients may ask for.

    Attributes:
        body: bytes of a request, inflated.
        buffer: bytes of all requests that are being answered or wait for it, beyond FREE of each.
        receive: seconds in which its headers, and then its body, must come in; the body has more as it grows.
        seconds: for its answer.
        queue: requests that are being received or answered, or wait for it; one more is turned away.
        parallel: calls of a network at the same time, a core each.
        graceful: seconds in which requests under way may be finished when the server is told to stop.
    """

    body: int = 64_000_000
    buffer: int = 256_000_000
    receive: float = 20.0
    seconds: float = 3600.0
    queue: int = 64
    parallel: int = 2
    graceful: float = 3.0


@dataclass(eq=False)
class Place:
    """One request's place in the queue.

    Attributes:
        end: is given a RequestError when the request is not to be answered any more.
    """

    room: "Room"
    began: float
    end: "asyncio.Future[RequestError]"
    size: int = 0
    receiving: bool = True

    def grow(self, count: int) -> None:
        """Take room for more bytes.

        Raises:
            RequestError: there is none.
        """
        shared = max(self.size + count - FREE, 0) - max(self.size - FREE, 0)
        if self.room.shared + shared > self.room.limits.buffer:
            raise RequestError("too many large requests at once: try again", 503)
        self.room.shared += shared
        self.size += count

    def close(self, why: RequestError) -> None:
        """Tell the request that it is not to be answered any more."""
        if not self.end.done():
            self.end.set_result(why)

    def leave(self) -> None:
        """Give the place back."""
        self.close(RequestError("answered"))
        self.room.places.discard(self)
        self.room.shared -= max(self.size - FREE, 0)
        self.size = 0


@dataclass
class Room:
    """The places there are."""

    limits: Limits
    places: set[Place] = field(default_factory=set)
    shared: int = 0

    def enter(self) -> Place:
        """Take a place.

        Raises:
            RequestError: there is none.
        """
        loop = asyncio.get_running_loop()
        if len(self.places) >= self.limits.queue and not self._make_way(loop.time()):
            raise RequestError("the queue is full: try again", 503)
        place = Place(self, loop.time(), loop.create_future())
        self.places.add(place)
        return place

    def _make_way(self, now: float) -> bool:
        """Turn out whose body comes most slowly, so that slow clients do not keep others away."""
        rates = {
            place: place.size / (now - place.began)
            for place in self.places
            if place.receiving and now - place.began > PATIENCE
        }
        slowest = min(rates, key=rates.__getitem__, default=None)
        if slowest is None or rates[slowest] > RATE:
            return False
        slowest.close(RequestError("the body came too slowly, and others wait", 408))
        slowest.leave()
        return True


async def receive(request: Request, place: Place) -> bytearray:
    """The whole body, inflated if it is gzip.

    Raises:
        RequestError: it is too long or of too many values, too long in coming, or there is no room for it.
    """
    limits = place.room.limits
    length = request.headers.get("content-length", "")
    if length.isdecimal() and int(length[:20]) > limits.body:
        raise _too_long(limits)
    body, values = bytearray(), 0
    try:
        async with (
            contextlib.aclosing(_inflated(request)) as pieces,
            asyncio.timeout_at(place.began + limits.receive) as timeout,
        ):
            async for piece in pieces:
                if len(body) + len(piece) > limits.body:
                    raise _too_long(limits)
                # Each value but a list's or an object's first comes after a comma.
                values += piece.count(b",") + piece.count(b"[") + piece.count(b"{")
                if values > MOST_VALUES:
                    raise RequestError(f"the body has more than {MOST_VALUES} JSON values", 413)
                place.grow(len(piece))
                body += piece
                timeout.reschedule(place.began + limits.receive + len(body) / RATE)
    except TimeoutError:
        raise RequestError(f"the body did not come within {limits.receive:g} s", 408) from None
    except ClientDisconnect:
        raise RequestError("the client went away", 499) from None
    place.receiving = False
    return body


def _too_long(limits: Limits) -> RequestError:
    return RequestError(f"the body is longer than {limits.body} bytes", 413)


async def _inflated(request: Request) -> AsyncGenerator[bytes]:
    coding = request.headers.get("content-encoding", "identity").strip().lower()
    if coding in ("", "identity"):
        async for piece in request.stream():
            yield piece
        return
    if coding not in ("gzip", "x-gzip"):
        raise RequestError(f"Content-Encoding {coding[:40]} is not supported, only gzip", 415)
    inflate = zlib.decompressobj(wbits=31)
    try:
        async for data in request.stream():
            left = data
            while left and not inflate.eof:
                yield inflate.decompress(left, PIECE)
                left = inflate.unconsumed_tail
                await asyncio.sleep(0)  # others have their turn: a little may become much
    except zlib.error as error:
        raise RequestError(f"the body is not gzip: {error}") from None
    if not inflate.eof:
        raise RequestError("the body is cut short: its gzip stream has no end")
