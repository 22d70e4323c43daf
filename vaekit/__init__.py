"""vaekit: the VAE-GAN family in Keras, and the image editors made of it."""

__version__ = "0.1.0"


def load(bundle: str, runtime: str = "onnx", threads: int = 0):
    """Open a bundle for use from Python: `vaekit.load("inpaint")(image, mask)`.

    Args:
        bundle: its name, or the path of its folder.
        runtime: "onnx", or "tensorflow" for the SavedModel.
        threads: threads of one network call, 0 for all cores.

    Returns:
        The editor of its app, vaekit.apps.APP.editor.Editor.

    Raises:
        vaekit.bundle.BundleError: it is missing or damaged.
    """
    from vaekit.apps import editor
    from vaekit.bundle import find

    return editor(find(bundle).card.get("app"))(bundle, runtime=runtime, threads=threads)


def __getattr__(name: str):
    """`edit`, `frontalize`, `inpaint` and `superres` of vaekit.api, imported when they are asked for."""
    if name in ("edit", "frontalize", "inpaint", "superres"):
        from vaekit import api

        return getattr(api, name)
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
