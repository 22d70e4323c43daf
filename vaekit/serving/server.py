"""The server: Starlette round the contract, with limits on everything that a client decides."""

import asyncio
import contextlib
import os
import re
import signal
import socket
import sys
import threading
import time
from collections.abc import Callable, Coroutine, Mapping
from concurrent.futures import Future, ThreadPoolExecutor
from importlib import resources
from typing import Any, TypeVar

import msgspec
import uvicorn
from prometheus_client import CONTENT_TYPE_LATEST, CollectorRegistry, Counter, Gauge, Histogram, generate_latest
from starlette.applications import Starlette
from starlette.exceptions import HTTPException
from starlette.middleware.cors import CORSMiddleware
from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Mount, Route
from starlette.staticfiles import StaticFiles
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from vaekit import apps
from vaekit.errors import UserError
from vaekit.runtime import WorkCancelledError, cancellation, check_cancelled
from vaekit.serving import contract
from vaekit.serving.contract import RequestError
from vaekit.serving.models import Model
from vaekit.serving.protocol import impatient
from vaekit.serving.receiving import Limits, Place, Room, receive
from vaekit.serving.security import PAGE, Access, Guard, SecurityHeaders, error

Models = Mapping[str, Mapping[int, Model]]
"""Name -> version -> model."""
Labels = Mapping[str, Mapping[str, int]]
"""Name -> label -> version."""

LONGEST = 100
"""Characters of a name that a client gives to its request."""
LONG = 1_000_000
"""Pixels of a request above which it waits behind others of the kind, and no short one waits behind it."""
PREDICT = re.compile(r"/v1/models/([^/:]+)(?:/versions/(\d{1,19})|/labels/([^/:]+))?:predict", re.IGNORECASE)
PROGRESS = "X-Progress"
"""The header by which a client names its request, so that it can ask how much of it is done."""
STATUS = re.compile(r"/v1/models/([^/:]+)(?:/versions/(\d{1,19})|/labels/([^/:]+))?(/metadata)?", re.IGNORECASE)
LAST = 1.0
"""Seconds that the server waits, when it stops, for the tiles that are being worked on."""
T = TypeVar("T")


class ModelServer:
    """Answers requests in threads, turns away what is too much, and counts both.

    Args:
        models: what is served.
        labels: names of versions.
        limits: for clients.
    """

    def __init__(self, models: Models, labels: Labels, limits: Limits):
        self.models, self.labels, self.limits = models, labels, limits
        self.room = Room(limits)
        self.stopping = False
        self.progress: dict[str, float] = {}
        """The share that is done, by the name that a client has given to its request."""
        # Requests take turns at the cores, call by call (Batching). How many are begun bounds the memory.
        self.readers = ThreadPoolExecutor(2, "read")
        self.short = ThreadPoolExecutor(2 * limits.parallel, "short")
        self.long = ThreadPoolExecutor(limits.parallel, "long")
        self.pools = (self.readers, self.short, self.long)
        self.lock, self.running = threading.Lock(), 0
        self.registry = CollectorRegistry()
        self.requests = Counter("vaekit_requests", "Requests.", ["model", "status"], registry=self.registry)
        self.seconds = Histogram(
            "vaekit_request_seconds", "From a whole body to its answer.", ["model"], registry=self.registry
        )
        pending = Gauge("vaekit_pending_requests", "Requests received, waiting or under way.", registry=self.registry)
        pending.set_function(lambda: len(self.room.places))
        running = Gauge("vaekit_running_requests", "Requests under way.", registry=self.registry)
        running.set_function(lambda: self.running)

    def find(self, name: str, version: str | None = None, label: str | None = None) -> Model:
        """A model, the newest version where none is named.

        Raises:
            RequestError: there is none.
        """
        versions = self.models.get(name, {})
        if label is not None:
            if label not in self.labels.get(name, {}):
                raise RequestError(f"Unrecognized servable version label: {label}", 400 if versions else 404)
            chosen = self.labels[name][label]
        else:
            chosen = max(versions, default=0) if version is None else int(version)
        if chosen not in versions:
            what = f"Servable not found for request: {name}" + (f" version {version}" if version is not None else "")
            raise RequestError(what, 404)
        return versions[chosen]

    async def predict(self, request: Request) -> Response:
        """Answer a `:predict`."""
        found = PREDICT.fullmatch(request.scope["path"])
        if found is None:
            raise HTTPException(400)
        model = self.find(*found.groups())
        if self.stopping:
            raise RequestError("the server is stopping", 503)
        loop = asyncio.get_running_loop()
        place = self.room.enter()
        cancelled = threading.Event()
        work: Future | None = None
        named = request.headers.get(PROGRESS, "")[:LONGEST]

        def tell(share: float) -> None:
            with self.lock:
                if named in self.progress:
                    self.progress[named] = float(share)

        try:
            if named:
                self.progress[named] = 0.0
            body = await _unless(place, receive(request, place))
            with self.seconds.labels(model.name).time():
                late = RequestError(f"no answer within {self.limits.seconds:g} s", 504)
                timer = loop.call_later(self.limits.seconds, place.close, late)
                gone = asyncio.ensure_future(_watch(request, place))
                try:
                    work = self.readers.submit(self._run, cancelled, model.parse, body)
                    del body
                    asked, pixels = await _unless(place, asyncio.wrap_future(work))
                    pool = self.long if pixels > LONG else self.short
                    work = pool.submit(self._run, cancelled, _answer, model, asked, tell)
                    del asked
                    return Response(await _unless(place, asyncio.wrap_future(work)), media_type="application/json")
                finally:
                    timer.cancel()
                    gone.cancel()
        finally:
            cancelled.set()
            with self.lock:
                self.progress.pop(named, None)
            # A thread stops at the next tile: until then what it does has its place in the queue.
            if work is None or work.done():
                place.leave()
            else:
                work.add_done_callback(lambda _: _call_soon(loop, place.leave))

    def _run(self, cancelled: threading.Event, work: Callable[..., T], *arguments: Any) -> T:
        """Work, until `cancelled` stops it."""
        with self.lock:
            self.running += 1
        told = cancellation.set(cancelled)
        try:
            check_cancelled()
            return work(*arguments)
        finally:
            cancellation.reset(told)
            with self.lock:
                self.running -= 1

    def stop(self) -> None:
        """Take no more requests, and cancel what is not done in time."""
        self.stopping = True
        why = RequestError("the server is stopping", 503)
        for place in [place for place in self.room.places if place.receiving]:
            place.close(why)

        def cancel() -> None:
            for place in [*self.room.places]:
                place.close(why)

        asyncio.get_running_loop().call_later(self.limits.graceful, cancel)

    def close(self) -> bool:
        """Wait LAST seconds for the threads; whether they have ended."""
        for pool in self.pools:
            pool.shutdown(wait=False, cancel_futures=True)
        end = time.monotonic() + LAST
        while self.running and time.monotonic() < end:
            time.sleep(0.01)
        return not self.running


def _call_soon(loop: asyncio.AbstractEventLoop, function: Callable[[], None]) -> None:
    with contextlib.suppress(RuntimeError):  # the loop has ended
        loop.call_soon_threadsafe(function)


def _answer(model: Model, asked: contract.Request, progress: Callable[[float], object]) -> bytes:
    return contract.render(model.predict(asked, progress), rows=asked.rows)


async def _unless(place: Place, work: "Coroutine[Any, Any, T] | asyncio.Future[T]") -> T:
    """What work returns, unless the request is closed before."""
    task: asyncio.Future[T] = asyncio.ensure_future(work)
    try:
        ends: set[asyncio.Future[Any]] = {task, place.end}
        await asyncio.wait(ends, return_when=asyncio.FIRST_COMPLETED)
    except asyncio.CancelledError:
        task.cancel()
        raise
    if place.end.done():
        task.cancel()
        if task.done() and not task.cancelled():
            task.exception()
        raise place.end.result()
    try:
        return task.result()
    except WorkCancelledError:
        raise RequestError("cancelled", 503) from None


async def _watch(request: Request, place: Place) -> None:
    """Close a request whose client goes away; its body has been read."""
    while (await request.receive())["type"] != "http.disconnect":
        pass
    place.close(RequestError("the client went away", 499))


def create_app(model_server: ModelServer, access: Access | None = None) -> ASGIApp:
    """The web application: `/v1/models/...`, `/health`, `/monitoring/prometheus/metrics`, and a page at `/`."""
    access = access or Access()
    page = resources.files("vaekit.serving").joinpath("page", "index.html").read_text("utf-8")

    async def describe(request: Request) -> Response:
        found = STATUS.fullmatch(request.scope["path"])
        if found is None:
            raise HTTPException(400)
        name, version, label, metadata = found.groups()
        model = model_server.find(name, version, label)
        if metadata:
            return _json(model.metadata())
        every = version is None and label is None
        return _json(contract.status([*model_server.models[name]] if every else [model.version]))

    async def health(_: Request) -> Response:
        return _json({"status": "ok"})

    async def metrics(_: Request) -> Response:
        return Response(generate_latest(model_server.registry), media_type=CONTENT_TYPE_LATEST)

    async def index(_: Request) -> Response:
        return Response(page, media_type="text/html", headers={"Content-Security-Policy": PAGE})

    async def models(_: Request) -> Response:
        newest = [model_server.find(name) for name in model_server.models]
        newest.sort(key=lambda model: list(apps.found()).index(model.card["app"]))
        told = [
            {"name": each.name, "version": str(each.version), "terms": each.card.get("terms", "")} for each in newest
        ]
        return _json({"models": told})

    async def progress(request: Request) -> Response:
        return _json({"progress": model_server.progress.get(request.path_params["name"])})

    async def told(_: Request, why: Exception) -> Response:
        assert isinstance(why, RequestError)
        return error(str(why), why.status)

    async def unknown(request: Request, why: Exception) -> Response:
        assert isinstance(why, HTTPException)
        path = request.scope["path"]
        status = 400 if path.lower().startswith("/v1/") else why.status_code
        return error(f"Malformed request: {request.method} {path}", status)

    async def broken(_: Request, why: Exception) -> Response:
        return error("internal error", 500)

    app: ASGIApp = Starlette(
        routes=[
            Route("/v1/models", models),
            Route("/v1/{rest:path}", model_server.predict, methods=["POST"]),
            Route("/v1/{rest:path}", describe),
            Route("/health", health),
            Route("/monitoring/prometheus/metrics", metrics),
            Route("/progress/{name}", progress),
            Route("/", index),
            Mount("/page", StaticFiles(packages=[("vaekit.serving", "page")])),
        ],
        exception_handlers={RequestError: told, HTTPException: unknown, Exception: broken},
    )
    app = Guard(app, access)
    if access.origins:
        headers = ["Authorization", "Content-Type", "Content-Encoding"]
        app = CORSMiddleware(app, access.origins, allow_methods=["GET", "POST"], allow_headers=headers)
    return Counting(SecurityHeaders(app), model_server)


def _json(answer: dict) -> Response:
    return Response(msgspec.json.encode(answer), media_type="application/json")


class Counting:
    """Middleware: counts the requests of models by the status of their answers."""

    def __init__(self, app: ASGIApp, model_server: ModelServer):
        self.app, self.model_server = app, model_server

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """As ASGI has it."""
        path = scope["path"]
        if not path.lower().startswith("/v1/"):
            await self.app(scope, receive, send)
            return
        found = re.match(r"/v1/models/([^/:]+)", path, re.IGNORECASE)
        name = found[1] if found and found[1] in self.model_server.models else "none"
        status = 500

        async def counted(message: Message) -> None:
            nonlocal status
            if message["type"] == "http.response.start":
                status = message["status"]
            await send(message)

        try:
            await self.app(scope, receive, counted)
        finally:
            self.model_server.requests.labels(name, status).inc()


class _Server(uvicorn.Server):
    """Stops in order when it is told to for the first time, and at once the second time."""

    def __init__(self, config: uvicorn.Config, model_server: ModelServer):
        super().__init__(config)
        self.model_server = model_server

    def handle_exit(self, sig: int, frame: Any) -> None:
        """Of SIGINT and SIGTERM."""
        if self.should_exit:
            _end(128 + sig)
        self.should_exit = True

    async def shutdown(self, sockets: list[socket.socket] | None = None) -> None:
        """Stop listening, and end what is under way."""

        def abort() -> None:
            for connection in [*self.server_state.connections]:  # of clients that do not take their answers
                connection.transport.abort()

        self.model_server.stop()
        asyncio.get_running_loop().call_later(self.model_server.limits.graceful + 1.0, abort)
        await super().shutdown(sockets)


def _end(status: int) -> None:
    sys.stdout.flush()
    os._exit(status)


def serve(
    models: Models,
    limits: Limits,
    host: str,
    port: int,
    ready: Callable[[str], None],
    access: Access | None = None,
    labels: Labels | None = None,
) -> None:
    """Serve until told to stop (SIGINT, SIGTERM), give what was begun `limits.graceful` seconds, and cancel the rest.

    A second signal ends the process at once.

    Args:
        models: what.
        limits: for clients.
        host: an address of this machine.
        port: 0 for any that is free.
        ready: is told the address.
        access: who may ask.
        labels: names of versions.

    Raises:
        UserError: the port cannot be had.
    """
    try:
        listening = socket.create_server((host, port), family=socket.AF_INET6 if ":" in host else socket.AF_INET)
    except OSError as why:
        raise UserError(f"{host}:{port}: {why.strerror or why}") from None
    model_server = ModelServer(models, labels or {}, limits)
    config = uvicorn.Config(
        create_app(model_server, access),
        http=impatient(limits.receive),
        ws="none",
        lifespan="off",
        log_level="error",
        access_log=False,
        server_header=False,
        timeout_graceful_shutdown=int(limits.graceful) + 5,
    )
    server = _Server(config, model_server)
    with listening:
        name = f"[{host}]" if ":" in host else host
        for told in (signal.SIGINT, signal.SIGTERM):  # uvicorn takes them later, and gives them back
            signal.signal(told, server.handle_exit)
        ready(f"http://{name}:{listening.getsockname()[1]}")
        server.run(sockets=[listening])
    if not model_server.close():
        _end(0)  # every client has been told; a thread that works on its last tile is not waited for
