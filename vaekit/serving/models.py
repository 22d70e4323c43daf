"""Bundles, opened to be served."""

from collections.abc import Callable, Mapping
from typing import Any

import numpy as np

import vaekit
from vaekit import apps, images
from vaekit.bundle import Bundle
from vaekit.errors import UserError
from vaekit.remote import RemoteError
from vaekit.runtime import RuntimeName, WorkCancelledError, check_cancelled
from vaekit.serving import contract
from vaekit.serving.batching import Batching
from vaekit.serving.calls import Job
from vaekit.serving.contract import Column, Request, RequestError, Signature, Spec

MOST_PLAIN = 512 * 512
"""Pixels of a call of the bare network: unlike an editor it does not work tile by tile."""


class Model:
    """One version of a bundle.

    Args:
        bundle: it.
        runtime: as vaekit.runtime.open_network.
        parallel: calls of the network at the same time, a core each.
        max_pixels: of the pictures of a request, and of their edits.
        max_items: of a request.

    Raises:
        BundleError: it is damaged, or no editor is its.
    """

    def __init__(self, bundle: Bundle, runtime: RuntimeName, parallel: int, max_pixels: int, max_items: int):
        self.name, self.version = bundle.name, bundle.version
        self.max_pixels, self.max_items = max_pixels, max_items
        self.editor = vaekit.load(str(bundle.path), runtime=runtime, threads=1)
        self.editor.network = Batching(self.editor.network, parallel)
        self.card = bundle.card
        self.calls = apps.serving(self.card["app"])(self.editor)
        self.signatures = {
            **{name: call.signature for name, call in self.calls.items()},
            **{
                name: Signature(
                    {key: Spec("DT_FLOAT", tuple(s or -1 for s in shape)) for key, shape in inputs.items()},
                    {"image": Spec("DT_FLOAT", (-1, -1, -1, -1))},
                )
                for name, inputs in self.editor.network.inputs.items()
            },
        }

    def parse(self, body: bytes | bytearray) -> tuple[Request, int]:
        """Read the body of a request; also tell of how many pixels it is, before any picture is decoded.

        Raises:
            RequestError: it cannot be answered, or is of too many items or pixels; the message says what and why.
        """
        request = contract.parse(body, self.signatures, self.max_items)
        return request, self._edited_pixels(request) if request.signature in self.calls else _plain(request)

    def predict(self, request: Request, progress: Callable[[float], object]) -> Column:
        """Answer a request, item by item.

        Args:
            request: from parse.
            progress: is told the share that is done, from 0 to 1.

        Raises:
            RequestError: an item cannot be answered; the message says which and why.
            WorkCancelledError: as vaekit.runtime.check_cancelled.
        """
        if request.signature in self.calls:
            return [self._answer(request, number, progress) for number in range(request.count)]
        if not request.count:
            return np.zeros((0,), np.float32)
        try:
            return self.editor.network(request.signature, **request.columns)
        except WorkCancelledError:
            raise
        except RemoteError as error:
            raise RequestError(str(error), 503) from None
        except Exception as error:  # ONNX Runtime's exceptions share no base class
            raise RequestError(str(error).splitlines()[0]) from None

    def metadata(self) -> dict:
        """The answer to a metadata request."""
        return contract.metadata(self.name, self.version, self.signatures)

    def _edited_pixels(self, request: Request) -> int:
        specs = self.signatures[request.signature].inputs
        total = 0
        for number in range(request.count):
            item = _item(request, number)
            times = 1
            for key, spec in specs.items():
                if spec.enlarges:
                    times *= int(item[key]) ** 2
            most = 0
            for key, spec in specs.items():
                if spec.dtype == "DT_STRING":
                    width, height = _told(request, number, images.size, item[key], name=key)
                    if width * height * times > self.max_pixels:
                        limit = self.max_pixels // times
                        raise RequestError(
                            f"{request.where(number)}: {key}: {width}x{height} is more than the limit of {limit} pixels"
                        )
                    most = max(most, width * height * times)
            total += most
        if total > self.max_pixels:
            raise RequestError(f"{total} pixels in all are more than the limit of {self.max_pixels} in a request")
        return total

    def _answer(self, request: Request, number: int, progress: Callable[[float], object]) -> Any:
        check_cancelled()
        job = Job(self.max_pixels, lambda share: progress((number + share) / request.count))
        try:
            return _told(request, number, self.calls[request.signature].answer, job, **_item(request, number))
        except MemoryError:
            raise RequestError("not enough memory", 429) from None


def _item(request: Request, number: int) -> Mapping[str, Any]:
    return {name: column[number] for name, column in request.columns.items()}


def _told(request: Request, number: int, function, *arguments, **named) -> Any:
    """What a function returns; what it finds wrong with an item is told with its number."""
    try:
        return function(*arguments, **named)
    except RemoteError as error:
        raise RequestError(str(error), 503) from None
    except (UserError, RequestError) as error:
        raise RequestError(f"{request.where(number)}: {error}") from None


def _plain(request: Request) -> int:
    """Pixels of a call of the bare network."""
    pixels = max(
        (
            int(np.prod(column.shape[:3]))
            for column in request.columns.values()
            if isinstance(column, np.ndarray) and column.ndim == 4
        ),
        default=0,
    )
    if pixels > MOST_PLAIN:
        raise RequestError(f"{pixels} pixels are more than the limit of {MOST_PLAIN} for {request.signature}")
    return pixels
