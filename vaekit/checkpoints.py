"""A run's checkpoints: written whole or not at all, and read from the newest one that is whole."""

import contextlib
import io
import logging
import os
import re
import time
from collections.abc import Iterator
from pathlib import Path

import keras
from filelock import FileLock, Timeout

from vaekit.errors import UserError
from vaekit.images.reading import reason

ATTEMPTS = 6
"""To give a file its name while Windows keeps it for a process that has it open; the pauses are 3 s in all."""

BEST = "best.weights.h5"
"""The state of the best epoch so far, in the run's folder."""

_NAME = re.compile(r"epoch-([0-9]+)\.weights\.h5")

log = logging.getLogger(__name__)


class CheckpointError(UserError):
    """A checkpoint that cannot be written or read, or a run that another training is at work in."""

    exit_status = 1


def path(run: Path, epochs: int) -> Path:
    """The checkpoint of so many epochs."""
    return run / "checkpoints" / f"epoch-{epochs:06d}.weights.h5"


def folder(run: Path) -> Path:
    """A run's folder, where the run may be named by its best.weights.h5."""
    return run.parent if run.name == BEST else run


def found(run: Path) -> list[Path]:
    """A run's checkpoints, oldest first."""
    there = (run / "checkpoints").glob("epoch-*.weights.h5")
    return sorted((file for file in there if _NAME.fullmatch(file.name)), key=_epochs)


def _epochs(checkpoint: Path) -> int:
    match = _NAME.fullmatch(checkpoint.name)
    assert match is not None
    return int(match[1])


def load_newest(model: keras.Model, run: Path) -> int:
    """Load the newest checkpoint that can be read; those passed over are told in a warning.

    Returns:
        How many epochs it stands for.

    Raises:
        CheckpointError: none can be read.
    """
    there = found(run)
    for place in reversed(range(len(there))):
        try:
            model.load_weights(there[place])
        except Exception as error:  # HDF5 and Keras raise whatever a damaged file makes them trip over
            message = f"{there[place]}: cannot be read: {reason(error)}"
            if not place:
                raise CheckpointError(f"{message}; the run has no other checkpoint left") from None
            log.warning("%s: %s is taken instead", message, there[place - 1].name)
        else:
            return _epochs(there[place])
    raise CheckpointError(f"{run}: no checkpoint in it")


def load(model: keras.Model, path: Path) -> None:
    """Load one file.

    Raises:
        CheckpointError: it is missing or cannot be read.
    """
    try:
        model.load_weights(path)
    except Exception as error:  # as in load_newest
        raise CheckpointError(f"{path}: cannot be read: {reason(error)}") from None


def save(model: keras.Model, target: Path) -> None:
    """Write weights, optimizer slots, schedules and random states to one file, atomically.

    Raises:
        CheckpointError: as `write` does.
    """
    # What model.save_weights does, but in memory: where a disk is full, HDF5 ends the process.
    from keras.src.saving import saving_lib

    file = io.BytesIO()
    store = saving_lib.H5IOStore(file, mode="w")
    saving_lib._save_state(model, weights_store=store, assets_store=None, inner_path="", visited_saveables=set())
    store.close()
    write(target, file.getbuffer())


def write(target: Path, data: bytes | memoryview) -> None:
    """Write a file of a run whole or not at all, and onto the disk; what was there stays until then.

    Where Windows does not let go of a file that another process has open, that is told in a warning and the file
    stays as it was.

    Raises:
        CheckpointError: the disk is full, or the folder cannot be written to.
    """
    partial = target.with_name(f".partial-{target.name}")
    try:
        target.parent.mkdir(parents=True, exist_ok=True)
        with partial.open("wb") as file:
            file.write(data)
            file.flush()
            os.fsync(file.fileno())
    except OSError as error:
        with contextlib.suppress(OSError):
            partial.unlink()
        raise CheckpointError(f"{target}: cannot be written: {reason(error)}; what was there before stays") from None
    for attempt in range(ATTEMPTS):
        try:
            os.replace(partial, target)
            break
        except PermissionError as error:
            if attempt == ATTEMPTS - 1:
                log.warning("%s: not written: %s", target, reason(error))
                return
            time.sleep(0.1 * 2**attempt)
    if os.name != "nt":
        folder = os.open(target.parent, os.O_RDONLY)
        try:
            os.fsync(folder)
        finally:
            os.close(folder)


def prune(run: Path, keep: int) -> None:
    """Remove all checkpoints but the newest `keep`; one that another process has open is left for the next time."""
    for old in found(run)[:-keep]:
        try:
            old.unlink(missing_ok=True)
        except OSError as error:
            log.warning("%s: not removed: %s", old, reason(error))


@contextlib.contextmanager
def lock(run: Path) -> Iterator[None]:
    """Make a run's folder, and keep other trainings out of it until the context is left or the process ends.

    Raises:
        CheckpointError: another training has it, or it cannot be made.
    """
    try:
        run.mkdir(parents=True, exist_ok=True)
        guard = FileLock(run / ".lock")
        guard.acquire(timeout=0)
    except Timeout:
        raise CheckpointError(f"{run}: another training is at work in this folder; name another one") from None
    except (OSError, NotImplementedError) as error:
        raise CheckpointError(f"{run}: cannot be written to: {reason(error)}") from None
    try:
        yield
    finally:
        guard.release()
