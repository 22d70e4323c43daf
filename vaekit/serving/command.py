"""`vaekit serve`."""

from pathlib import Path
from typing import Annotated

import typer


def serve(
    names: Annotated[list[str] | None, typer.Argument(help="Bundles by name. [default: all]")] = None,
    models: Annotated[
        Path | None, typer.Option("--models", help="Folder of bundles. [default: $VAEKIT_MODELS and those installed]")
    ] = None,
    host: Annotated[str, typer.Option("--host", help="An address of this machine; 0.0.0.0 lets others in.")] = (
        "127.0.0.1"
    ),
    port: Annotated[int, typer.Option("--port", "-p", min=0, max=65535)] = 8501,
    jobs: Annotated[
        int | None, typer.Option("--jobs", "-j", min=1, help="Requests at the same time. [default: one a core]")
    ] = None,
    queue: Annotated[int, typer.Option("--queue", min=1, help="Requests under way or waiting; more get 503.")] = 64,
    timeout: Annotated[float, typer.Option("--timeout", min=0.1, help="Seconds for an answer; then 504.")] = 60.0,
    receive: Annotated[
        float, typer.Option("--receive-timeout", min=0.1, help="Seconds for headers, and for a body; then 408.")
    ] = 20.0,
    max_body: Annotated[int, typer.Option("--max-body", min=1, help="Bytes of a request; more get 413.")] = 64_000_000,
    max_pixels: Annotated[
        int, typer.Option("--max-pixels", min=1, help="Of a picture or its edit; more get 400.")
    ] = 50_000_000,
) -> None:
    """Serve bundles over HTTP, by the contract of TensorFlow Serving's REST API, and a page to try them at /.

    Examples:

      vaekit serve

      vaekit serve inpaint --port 9000 --host 0.0.0.0
    """
    from vaekit import bundle, workers
    from vaekit.errors import UserError
    from vaekit.serving.models import Model
    from vaekit.serving.server import Limits
    from vaekit.serving.server import serve as run

    found = bundle.versions([models] if models else bundle.folders())
    if missing := set(names or []) - found.keys():
        raise bundle.BundleError(f"no bundle {', '.join(sorted(missing))} in {models or 'any folder'}")
    if not found:
        raise UserError(f"{models or 'any folder'}: no bundles to serve")
    parallel = jobs or workers.cores()
    opened = {
        name: {each.version: Model(each, parallel, max_pixels) for each in bundles}
        for name, bundles in found.items()
        if not names or name in names
    }
    limits = Limits(body=max_body, receive=receive, seconds=timeout, queue=queue, parallel=parallel)

    def ready(address: str) -> None:
        what = ", ".join(f"{name} {version}" for name, versions in opened.items() for version in versions)
        print(f"vaekit: serving {what} at {address}", flush=True)

    run(opened, limits, host, port, ready)
