"""Options that the editing commands share."""

import os
from enum import StrEnum
from pathlib import Path
from typing import Annotated

import typer


def path(text: str) -> Path:
    """A path as users write it: ~ is the home folder."""
    return Path(os.path.expanduser(text))


class Engine(StrEnum):
    """What a folder is edited by."""

    PROCESSES = "processes"
    RAY = "ray"


class Strategy(StrEnum):
    """How several devices share a training."""

    MIRRORED = "mirrored"
    MULTIWORKER = "multiworker"
    JAX = "jax"


Inputs = Annotated[list[str], typer.Argument(help="Files, folders or globs; - is standard input.", show_default=False)]
Output = Annotated[
    str | None,
    typer.Option(
        "--output",
        "-o",
        help="A file for one input, else a folder; - is standard output, as PNG. [default: beside the input]",
    ),
]
OneFile = Annotated[Path, typer.Option("--output", "-o", parser=path, help="The picture to write.", show_default=False)]
Overwrite = Annotated[bool, typer.Option("--overwrite", help="Replace files that are there already.")]
SkipExisting = Annotated[
    bool, typer.Option("--skip-existing", help="Leave inputs alone whose outputs are there: go on where it ended.")
]
Jobs = Annotated[
    int | None, typer.Option("--jobs", "-j", min=1, help="Processes. [default: one a core]", show_default=False)
]
EngineOption = Annotated[
    Engine, typer.Option("--engine", help="Processes of this machine, or Ray Data (vaekit[ray]; RAY_ADDRESS).")
]
Recursive = Annotated[bool, typer.Option("--recursive", "-r", help="Look into a folder's folders too, links as well.")]
Json = Annotated[bool, typer.Option("--json", help="Print what was done as one JSON object.")]
RuntimeOption = Annotated[
    str,
    typer.Option(
        "--runtime",
        help="What runs the network: onnx, tensorflow, or a server: tensorflow-serving:http://HOST:8501, "
        "grpc://HOST:8500.",
    ),
]
MaxPixels = Annotated[int, typer.Option("--max-pixels", min=1, help="Refuse larger pictures, before decoding them.")]
FaceModel = Annotated[
    Path | None, typer.Option("--face-model", help="A YuNet file (.onnx) to find faces with; without it, MTCNN.")
]
MinScore = Annotated[
    float | None,
    typer.Option(
        "--min-score",
        min=0,
        max=1,
        help="Edit no face of which the finder is less sure. [default: 0.9]",
        show_default=False,
    ),
]
Aligned = Annotated[bool, typer.Option("--aligned", help="The pictures are aligned faces already: find none.")]
Bundle = Annotated[str, typer.Option("--bundle", help="A bundle's name, or the path of its folder (./NAME).")]

MAX_PIXELS = 175_000_000
"""vaekit.images.DEFAULT_MAX_PIXELS, without importing what it needs."""
