"""`vaekit serve`."""

import re
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Annotated

import typer

from vaekit import options


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
        int | None,
        typer.Option("--jobs", "-j", min=1, help="Calls of a network at the same time. [default: one a core]"),
    ] = None,
    queue: Annotated[int, typer.Option("--queue", min=1, help="Requests under way or waiting; more get 503.")] = 64,
    timeout: Annotated[float, typer.Option("--timeout", min=0.1, help="Seconds for an answer; then 504.")] = 3600.0,
    receive: Annotated[
        float,
        typer.Option(
            "--receive-timeout", min=0.1, help="Seconds for headers, and for a body's first 100 kB; then 408."
        ),
    ] = 20.0,
    graceful: Annotated[
        float, typer.Option("--graceful-timeout", min=0.0, help="Seconds to finish requests in when told to stop.")
    ] = 3.0,
    max_body: Annotated[int, typer.Option("--max-body", min=1, help="Bytes of a request; more get 413.")] = 64_000_000,
    max_items: Annotated[int, typer.Option("--max-items", min=1, help="Pictures of a request; more get 400.")] = 64,
    max_pixels: Annotated[
        int, typer.Option("--max-pixels", min=1, help="Of a request's pictures or their edits; more get 400.")
    ] = 50_000_000,
    allow_host: Annotated[
        list[str] | None,
        typer.Option("--allow-host", help="A name this server is called by, beside this machine's own; * is any."),
    ] = None,
    allow_origin: Annotated[
        list[str] | None,
        typer.Option("--allow-origin", help="Another site whose pages may ask (CORS): https://example.org; * is all."),
    ] = None,
    token: Annotated[
        str | None,
        typer.Option(
            "--token", envvar="VAEKIT_TOKEN", show_default=False, help="What clients must show. [default: none]"
        ),
    ] = None,
    label: Annotated[
        list[str] | None, typer.Option("--label", help="A name of a version: inpaint:stable=2, for .../labels/stable.")
    ] = None,
    runtime: options.RuntimeOption = "onnx",
) -> None:
    """Serve bundles over HTTP, by the contract of TensorFlow Serving's REST API, and a page to try them at /.

    Examples:

      vaekit serve

      vaekit serve inpaint --port 9000 --host 0.0.0.0

      vaekit serve --runtime grpc://gpu-box:8500
    """
    from vaekit import bundle, workers
    from vaekit.errors import UserError
    from vaekit.serving.models import Model
    from vaekit.serving.receiving import Limits
    from vaekit.serving.security import Access
    from vaekit.serving.server import serve as run

    found = bundle.versions([models] if models else bundle.folders())
    if missing := set(names or []) - found.keys():
        raise bundle.BundleError(f"no bundle {', '.join(sorted(missing))} in {models or 'any folder'}")
    if not found:
        raise UserError(f"{models or 'any folder'}: no bundles to serve")
    parallel = jobs or workers.cores()
    opened = {
        name: {each.version: Model(each, runtime, parallel, max_pixels, max_items) for each in bundles}
        for name, bundles in found.items()
        if not names or name in names
    }
    labels = _labels(label or [], opened)
    limits = Limits(
        body=max_body,
        buffer=max(4 * max_body, 64_000_000),
        receive=receive,
        seconds=timeout,
        queue=queue,
        parallel=parallel,
        graceful=graceful,
    )

    def ready(address: str) -> None:
        what = ", ".join(f"{name} {version}" for name, versions in opened.items() for version in versions)
        print(f"vaekit: serving {what} at {address}", flush=True)

    hosts = [*(allow_host or []), host]
    run(opened, limits, host, port, ready, Access(hosts, allow_origin or [], token or None), labels)


def _labels(told: Sequence[str], models: Mapping[str, Mapping[int, object]]) -> dict[str, dict[str, int]]:
    """NAME:LABEL=VERSION, by name and label."""
    from vaekit.errors import UserError

    labels: dict[str, dict[str, int]] = {}
    for each in told:
        found = re.fullmatch(r"([^/:=]+):([^/:=]+)=(\d{1,19})", each)
        if found is None:
            raise UserError(f"--label {each}: expected NAME:LABEL=VERSION, as in inpaint:stable=2")
        name, label, version = found[1], found[2], int(found[3])
        if version not in models.get(name, {}):
            raise UserError(f"--label {each}: {name} {version} is not served")
        labels.setdefault(name, {})[label] = version
    return labels
