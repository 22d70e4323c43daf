"""Bundles, opened to be served."""

from types import ModuleType

import numpy as np

import vaekit
from vaekit import images
from vaekit.apps import serving
from vaekit.bundle import Bundle
from vaekit.errors import UserError
from vaekit.serving import contract
from vaekit.serving.batching import Batching
from vaekit.serving.contract import Column, Request, RequestError, Signature, Spec


class Model:
    """One version of a bundle.

    Args:
        bundle: it.
        parallel: pictures that are worked on at the same time, a core each.
        max_pixels: of a picture, and of its edit.

    Raises:
        BundleError: it is damaged, or no editor is its.
    """

    def __init__(self, bundle: Bundle, parallel: int, max_pixels: int):
        self.name, self.version, self.max_pixels = bundle.name, bundle.version, max_pixels
        self.editor = vaekit.load(str(bundle.path), threads=1)
        self.editor.network = Batching(self.editor.network, parallel)
        self.app: ModuleType = serving(bundle.card["app"])
        self.signatures = {
            "serving_default": Signature(self.app.inputs(self.editor), {"image_bytes": Spec("DT_STRING")}),
            **{
                name: Signature(
                    {key: Spec("DT_FLOAT", tuple(s or -1 for s in shape)) for key, shape in inputs.items()},
                    {"image": Spec("DT_FLOAT", (-1, -1, -1, -1))},
                )
                for name, inputs in self.editor.network.inputs.items()
            },
        }

    def predict(self, request: Request) -> Column:
        """Answer a request.

        Raises:
            RequestError: an item cannot be answered; the message says which and why.
        """
        if request.signature == "serving_default":
            return [self._edit(request, number) for number in range(request.count)]
        if not request.count:
            return np.zeros((0,), np.float32)
        try:
            return self.editor.network(request.signature, **request.columns)
        except Exception as error:  # ONNX Runtime's exceptions share no base class
            raise RequestError(str(error).splitlines()[0]) from None

    def metadata(self) -> dict:
        """The answer to a metadata request."""
        return contract.metadata(self.name, self.version, self.signatures)

    def _edit(self, request: Request, number: int) -> bytes:
        values = {name: column[number] for name, column in request.columns.items()}
        try:
            return images.encode(self.app.answer(self.editor, self.max_pixels, **values), ".png")
        except (UserError, RequestError) as error:
            where = f"instances[{number}]" if request.rows else f"item {number}"
            raise RequestError(f"{where}: {error}") from None
        except MemoryError:
            raise RequestError("not enough memory", 429) from None
