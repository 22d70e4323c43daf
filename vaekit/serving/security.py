"""Who may ask: by the names that the server is called by, the page that asks, and a token."""

import base64
import binascii
import hmac
import ipaddress
import re
import socket
from collections.abc import Sequence
from dataclasses import dataclass

import msgspec
from starlette.datastructures import Headers, MutableHeaders
from starlette.responses import Response
from starlette.types import ASGIApp, Message, Receive, Scope, Send

OPEN = ("/health",)
"""Paths that need no token."""
CLOSED = "default-src 'none'; frame-ancestors 'none'; base-uri 'none'; form-action 'none'"
PAGE = f"{CLOSED}; script-src 'self'; style-src 'self'; connect-src 'self'; img-src 'self' blob: data:"
"""The Content-Security-Policy of the page: its own files and the pictures it makes, and nothing of another server."""


@dataclass(frozen=True)
class Access:
    """Who may ask.

    Attributes:
        hosts: names, beside this machine's own, that the server may be called by; "*" is any. IP addresses are
            always taken: only a name can be pointed at another address afterwards (DNS rebinding).
        origins: pages of other servers, as https://example.org, that may ask; "*" is all.
        token: what clients must show, as a bearer token or as the password of HTTP's basic authentication; None is
            nothing.
    """

    hosts: Sequence[str] = ()
    origins: Sequence[str] = ()
    token: str | None = None

    def refusal(self, headers: Headers, path: str) -> tuple[str, int] | None:
        """What a request is told that may not be answered, and the status."""
        host = headers.get("host", "")
        if not self._is_known(host):
            return f"this server is not called {host[:100]!r}: see --allow-host", 403
        origin = headers.get("origin")
        if origin is not None and not self._is_welcome(origin.lower(), host.lower()):
            return f"pages of {origin[:100]!r} may not ask this server: see --allow-origin", 403
        if self.token is not None and path not in OPEN and not _shows(headers.get("authorization", ""), self.token):
            return "a token is needed", 401
        return None

    def _is_welcome(self, origin: str, host: str) -> bool:
        own = origin in (f"http://{host}", f"https://{host}")
        return own or "*" in self.origins or origin in map(str.lower, self.origins)

    def _is_known(self, host: str) -> bool:
        name = re.sub(r":\d+$", "", host).lower().rstrip(".")
        own = {"localhost", socket.gethostname().lower(), *(name.lower() for name in self.hosts)}
        return "*" in self.hosts or name in own or name.endswith(".localhost") or _is_address(name)


def _is_address(name: str) -> bool:
    try:
        ipaddress.ip_address(name[1:-1] if name.startswith("[") and name.endswith("]") else name)
    except ValueError:
        return False
    return True


def _shows(authorization: str, token: str) -> bool:
    scheme, _, value = authorization.partition(" ")
    if scheme.lower() == "basic":
        try:
            value = base64.b64decode(value).decode().partition(":")[2]
        except (binascii.Error, UnicodeDecodeError):
            return False
    return scheme.lower() in ("bearer", "basic") and hmac.compare_digest(value.strip().encode(), token.encode())


def error(message: str, status: int) -> Response:
    """The answer to a request that is not answered otherwise."""
    headers = {}
    if status == 503:
        headers["Retry-After"] = "1"
    if status == 401:  # a browser then asks for it, and the page can go on
        headers["WWW-Authenticate"] = 'Basic realm="vaekit: the token is the password", charset="UTF-8"'
    return Response(msgspec.json.encode({"error": message}), status, headers, media_type="application/json")


class Guard:
    """Middleware: refuses whom `access` does not let in."""

    def __init__(self, app: ASGIApp, access: Access):
        self.app, self.access = app, access

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """As ASGI has it."""
        refused = self.access.refusal(Headers(scope=scope), scope["path"])
        await (self.app if refused is None else error(*refused))(scope, receive, send)


class SecurityHeaders:
    """Middleware: tells browsers to make nothing of an answer but what it says it is."""

    def __init__(self, app: ASGIApp):
        self.app = app

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """As ASGI has it."""

        async def with_headers(message: Message) -> None:
            if message["type"] == "http.response.start":
                headers = MutableHeaders(scope=message)
                headers.setdefault("Content-Security-Policy", CLOSED)
                headers["X-Content-Type-Options"] = "nosniff"
                headers["Referrer-Policy"] = "no-referrer"
                headers["Cache-Control"] = "no-cache"  # the files of a page that has been updated belong together
            await send(message)

        await self.app(scope, receive, with_headers)
