import os
import subprocess
import sys
from pathlib import Path

import pytest

os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")

MAKE_BUNDLE = """
import sys
from pathlib import Path
import keras, numpy as np
from vaekit.apps.inpaint.exporting import exportable
from vaekit.apps.inpaint.training import Inpainter
from vaekit.export import export
keras.utils.set_random_seed(3)
model = Inpainter(latent_dim=4, widths=(8, 8, 8, 8))
# Untrained it would answer with the pull-push fill, whatever z is.
rng = np.random.default_rng(0)
for variable in model.generator.trainable_variables:
    if variable.ndim > 1:
        variable.assign(rng.normal(0, 0.2, variable.shape))
export(exportable(model, {"app": "inpaint", "title": "for tests"}), "inpaint", Path(sys.argv[1]))
"""


@pytest.fixture(scope="session")
def bundles(tmp_path_factory) -> Path:
    """A folder with one bundle, `inpaint`: a small network with random weights."""
    folder = tmp_path_factory.mktemp("bundles")
    environment = {**os.environ, "KERAS_BACKEND": "tensorflow"}
    subprocess.run([sys.executable, "-c", MAKE_BUNDLE, str(folder)], check=True, env=environment, capture_output=True)
    return folder


@pytest.fixture
def vaekit(bundles, tmp_path):
    """Run the command line in a process of its own, in an empty folder; never a traceback."""

    def run(*arguments, models=bundles) -> subprocess.CompletedProcess:
        environment = {**os.environ, "VAEKIT_MODELS": str(models), "COLUMNS": "200", "PYTHONIOENCODING": "utf-8"}
        command = [sys.executable, "-m", "vaekit", *map(str, arguments)]
        done = subprocess.run(
            command, cwd=tmp_path, env=environment, check=False, capture_output=True, encoding="utf-8"
        )
        assert "Traceback" not in done.stderr, done.stderr
        return done

    return run
