"""What a training does beside its steps: checkpoints, a log, validation, previews, and an early end."""

import contextlib
import json
import logging
import math
import time
from collections.abc import Callable
from pathlib import Path

import keras
import numpy as np
from keras import ops

from vaekit import checkpoints, images
from vaekit.data import Batches
from vaekit.errors import UserError
from vaekit.game import backend_step

log = logging.getLogger(__name__)


class NonFiniteError(UserError, RuntimeError):
    """A loss or a term is NaN or infinite; names it and the checkpoint that was written."""

    exit_status = 1


def logged(run: Path, epochs: int) -> list[dict]:
    """The lines of a run's log, as far as so many epochs; without the log, or a line of it, less is known."""
    try:
        lines = (run / "log.jsonl").read_text("utf-8", errors="replace").splitlines()
    except OSError as error:
        log.warning("%s: cannot be read: how long the training took is not known", error.filename)
        return []
    found = []
    for line in lines:
        with contextlib.suppress(ValueError, TypeError, KeyError):  # cut short by a full disk
            table = {key: float(value) for key, value in json.loads(line).items()}
            if table["epoch"] <= epochs and table["seconds"] >= 0:
                found.append(table)
    return found


def idle(run: Path, epochs: int, monitor: str | None, mode: str) -> int:
    """How many of a run's epochs have passed since its best one, as its log has it."""
    lines = [line for line in logged(run, epochs) if monitor in line] if epochs else []
    if not lines:
        return 0
    best = (min if mode == "min" else max)(lines, key=lambda line: line[monitor])
    return epochs - int(best["epoch"])


class Validation(keras.callbacks.Callback):
    """Add to an epoch's means those of the same validation batches, as val_NAME: losses, terms, the app's figures.

    The averaged weights are swapped in. The training goes on with the noise that it would have drawn without.

    Args:
        measure: as vaekit.training.Task has it.
        data: the batches; they are kept.
    """

    def __init__(self, measure: Callable[[keras.Model, dict], dict[str, np.ndarray]], data: Batches):
        super().__init__()
        self.measure = measure
        self.batches = [data[step] for step in range(len(data))]

    def on_epoch_end(self, epoch, logs=None):
        """Callbacks behind this one see the figures too."""
        noise = ops.convert_to_numpy(self.model.seeds.state)
        with self.model.averages():
            losses = backend_step.evaluator(self.model)
            rows = [{**losses(batch), **self.measure(self.model, batch)} for batch in self.batches]
        self.model.seeds.state.assign(noise)
        for name in rows[0]:
            values = np.concatenate([np.atleast_1d(ops.convert_to_numpy(row[name])) for row in rows])
            logs[f"val_{name}"] = float(np.mean(values))


class Best(keras.callbacks.Callback):
    """Keep the whole state of the best epoch in best.weights.h5, and stop where none has been better for long.

    Args:
        run: the folder of the run.
        monitor: a figure of the log.
        mode: "min" or "max".
        patience: epochs without a better one after which the training ends; None for never.
        epochs: how many are done already; the log knows their figures.
    """

    def __init__(self, run: Path, monitor: str, mode: str, patience: int | None, epochs: int):
        super().__init__()
        self.run, self.monitor, self.sign, self.patience = run, monitor, 1.0 if mode == "min" else -1.0, patience
        done = logged(run, epochs) if epochs else []
        self.best = min((self.sign * line[monitor] for line in done if monitor in line), default=math.inf)
        self.idle = idle(run, epochs, monitor, mode)

    def on_epoch_end(self, epoch, logs=None):
        """Raise UserError where the figure is none of the log's."""
        if self.monitor not in logs:
            raise UserError(f"train.monitor: no figure is called {self.monitor}; there are {', '.join(sorted(logs))}")
        value = self.sign * float(logs[self.monitor])
        self.idle += 1
        if value < self.best:
            self.best, self.idle = value, 0
            checkpoints.save(self.model, self.run / checkpoints.BEST)
        if self.patience and self.idle >= self.patience:
            self.model.stop_training = True


class Checkpoints(keras.callbacks.Callback):
    """Write the whole state at the end of every epoch; keep the last few."""

    def __init__(self, run: Path, keep: int):
        super().__init__()
        self.run, self.keep = run, keep

    def on_epoch_end(self, epoch, logs=None):
        """`epoch` counts from 0; the file's number says how many epochs are done."""
        checkpoints.save(self.model, checkpoints.path(self.run, epoch + 1))
        checkpoints.prune(self.run, self.keep)


class Log(keras.callbacks.Callback):
    """Append every epoch's means to log.jsonl."""

    def __init__(self, run: Path):
        super().__init__()
        self.path = run / "log.jsonl"
        self.started = 0.0

    def on_epoch_begin(self, epoch, logs=None):
        """Start the clock."""
        self.started = time.monotonic()

    def on_epoch_end(self, epoch, logs=None):
        """One line an epoch."""
        seconds = round(time.monotonic() - self.started, 1)
        line = {"epoch": epoch + 1, "seconds": seconds, **{k: float(v) for k, v in (logs or {}).items()}}
        try:
            with self.path.open("a", encoding="utf-8") as file:
                print(json.dumps(line), file=file)
        except OSError as error:  # the card alone needs it
            log.warning("%s: cannot be written: %s", self.path, error.strerror)


class StopOnNonFinite(keras.callbacks.Callback):
    """Stop as soon as a loss or a term is not finite, and leave a checkpoint of that state to look at."""

    def __init__(self, run: Path):
        super().__init__()
        self.run = run

    def on_train_batch_end(self, batch, logs=None):
        """The means of an epoch stay non-finite once a step was; so none is missed."""
        bad = [name for name, value in logs.items() if not math.isfinite(float(value))]
        if bad:
            path = self.run / "non-finite.weights.h5"
            checkpoints.save(self.model, path)
            raise NonFiniteError(f"{', '.join(bad)} not finite at step {batch + 1} of this epoch; state kept in {path}")


class Preview(keras.callbacks.Callback):
    """Draw the same validation examples at the end of every epoch that is a power of two or ends ten."""

    def __init__(self, run: Path, preview: Callable[[keras.Model, dict], np.ndarray], batch: dict):
        super().__init__()
        self.run, self.preview, self.batch = run, preview, batch

    def on_epoch_end(self, epoch, logs=None):
        """previews/epoch-N.png, with averaged weights."""
        done = epoch + 1
        if done % 10 and done & (done - 1):
            return
        (self.run / "previews").mkdir(exist_ok=True)
        # Of several workers only the chief gets here, and all must go on with the same noise.
        noise = ops.convert_to_numpy(self.model.seeds.state)
        with self.model.averages():
            sheet = self.preview(self.model, self.batch)
        self.model.seeds.state.assign(noise)
        images.write(self.run / "previews" / f"epoch-{done:06d}.png", sheet, overwrite=True)
