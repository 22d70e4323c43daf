"""Run a bundle's network on a server that keeps TensorFlow Serving's interface, by REST or gRPC."""

import functools
import re
from collections.abc import Callable
from typing import TypeVar

import numpy as np

from vaekit.bundle import Bundle
from vaekit.errors import UserError, missing_package
from vaekit.remote.transport import AwayError, RefusedError, Shapes, Transport
from vaekit.runtime import check_cancelled

ADDRESS = re.compile(r"(?:tensorflow-serving:)?((https?|grpc)://[^/\s]+)(/\S*)?")
"""What an address looks like; only REST has a path, as behind a proxy."""
ATTEMPTS = 6
"""How often a request is sent in all, where the server is away or busy."""
FIRST, LONGEST = 0.25, 8.0
"""Seconds: a random wait of up to the first before the second attempt, twice that before the next, and so on."""

T = TypeVar("T")


class RemoteError(UserError):
    """The server is away, or refuses; the message is one line that begins with its address."""

    exit_status = 1


class Remote:
    """The network of a bundle (vaekit.runtime.Network), served under the bundle's name and version.

    May be called from several threads at once. Nothing is sent before the first call.

    Args:
        bundle: whose network is asked for.
        address: http://HOST:PORT, https://... or grpc://HOST:PORT; `tensorflow-serving:` may stand before it.

    Raises:
        UserError: that is no address.
        MissingPackageError: a package that the address needs is not installed.
    """

    def __init__(self, bundle: Bundle, address: str):
        found = ADDRESS.fullmatch(address)
        if found is None or (found[2] == "grpc" and (found[3] or "/") != "/"):
            raise UserError(f"{address}: expected http://HOST:PORT, https://HOST:PORT or grpc://HOST:PORT")
        self.address = found[1] + (found[3] or "").rstrip("/")
        self._away = False
        try:
            import tenacity

            self._tenacity = tenacity
            self._transport = _connected(self.address, bundle)
        except ModuleNotFoundError as error:
            raise missing_package(error) or error from None

    @functools.cached_property
    def inputs(self) -> Shapes:
        """As the server tells them.

        Raises:
            RemoteError: it is away, or does not serve the bundle.
        """
        return self._asked(self._transport.inputs)

    def check(self) -> None:
        """See whether the server has the bundle, once and without waiting.

        Raises:
            RemoteError: it is away, or has not.
        """
        self._asked(self._transport.inputs, 1)

    def __call__(self, signature: str = "tensor", /, **inputs: np.ndarray) -> np.ndarray:
        """Run one of the bundle's signatures there.

        Raises:
            RemoteError: the server is away, or refuses.
            WorkCancelledError: as vaekit.runtime.check_cancelled.
        """
        check_cancelled()
        given = {name: np.ascontiguousarray(value, np.float32) for name, value in inputs.items()}
        return self._asked(lambda: self._transport.predict(signature, given))

    def _asked(self, ask: Callable[[], T], attempts: int | None = None) -> T:
        # Where it has been waited for in vain, the next picture of a folder does not wait for it again.
        attempts = attempts or (1 if self._away else ATTEMPTS)
        retrying = self._tenacity.Retrying(
            stop=self._tenacity.stop_after_attempt(attempts),
            wait=self._tenacity.wait_random_exponential(FIRST, LONGEST),
            retry=self._tenacity.retry_if_exception_type(AwayError),
            before_sleep=lambda _: check_cancelled(),
            reraise=True,
        )
        try:
            answer = retrying(ask)
        except AwayError as error:
            self._away = True
            times = "1 attempt" if attempts == 1 else f"{attempts} attempts"
            raise RemoteError(f"{self.address}: no answer in {times}: {error}") from None
        except RefusedError as error:
            raise RemoteError(f"{self.address}: {error}") from None
        self._away = False
        return answer


def _connected(address: str, bundle: Bundle) -> Transport:
    if address.startswith("grpc://"):
        from vaekit.remote.rpc import Grpc

        return Grpc(address.removeprefix("grpc://"), bundle.name, bundle.version)
    from vaekit.remote.rest import Rest

    return Rest(address, bundle.name, bundle.version)
