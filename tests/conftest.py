import os
import signal
import subprocess
import sys
from pathlib import Path

import pytest
from filelock import FileLock

from vaekit import apps

os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")
# Tests run side by side, and their pictures are tiny: more threads than one wait for each other.
for threads in ("TF_NUM_INTRAOP_THREADS", "TF_NUM_INTEROP_THREADS"):
    os.environ.setdefault(threads, "1")
# Most of what XLA does here is to compile: unoptimized, that takes a third of the time.
os.environ.setdefault(
    "XLA_FLAGS",
    "--xla_backend_optimization_level=0 --xla_llvm_disable_expensive_passes=true --xla_cpu_use_fusion_emitters=false",
)

MAKE_BUNDLES = """
import sys
from pathlib import Path
import keras
from vaekit import apps
from vaekit.export import export
for name in sys.argv[2:]:
    keras.utils.set_random_seed(3)
    model = apps.found()[name].load("testing").small()
    card = {"app": name, "title": "for tests", "recipe": {"train": {"image_size": [64, 64]}}}
    export(apps.exportable(name)(model, card), name, Path(sys.argv[1]))
"""


@pytest.fixture(scope="session")
def bundles(tmp_path_factory, worker_id) -> Path:
    """A folder with a bundle of every app: small networks with random weights; made once for all workers."""
    base = tmp_path_factory.getbasetemp()
    folder = (base if worker_id == "master" else base.parent) / "bundles"
    environment = {**os.environ, "KERAS_BACKEND": "tensorflow"}
    with FileLock(f"{folder}.lock"):
        if not folder.exists():
            partial = tmp_path_factory.mktemp("partial")
            # In two processes: meanwhile the other worker waits.
            with (partial.parent / "make.log").open("w") as log:
                makes = [
                    subprocess.Popen(
                        [sys.executable, "-c", MAKE_BUNDLES, str(partial), *names],
                        env=environment, stdout=log, stderr=log,
                    )
                    for names in (apps.names("testing")[::2], apps.names("testing")[1::2])
                ]  # fmt: skip
                assert [make.wait() for make in makes] == [0, 0], log.name
            partial.rename(folder)
    return folder


@pytest.fixture(scope="module")
def server(bundles):
    """The address of a server of the small bundles."""
    command = [sys.executable, "-m", "vaekit", "serve", "--models", str(bundles), "--port", "0", "--jobs", "2"]
    limits = ["--max-body", "3000000", "--max-pixels", "1000000"]
    with subprocess.Popen([*command, *limits], stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True) as process:
        yield process.stdout.readline().split()[-1]
        process.send_signal(signal.SIGTERM)
        assert (*process.communicate(), process.returncode) == ("", "", 0)


@pytest.fixture
def vaekit_here(tmp_path, monkeypatch, capsys):
    """Run the command line in this process, for verbs that import a backend: that takes a new process seconds."""
    from vaekit import cli

    def run(*arguments, folder=tmp_path) -> subprocess.CompletedProcess:
        monkeypatch.chdir(folder)
        monkeypatch.setattr(sys, "argv", ["vaekit", *map(str, arguments)])
        try:
            status = cli.main()
        except SystemExit as end:
            status = end.code
        return subprocess.CompletedProcess(arguments, status or 0, *capsys.readouterr())

    return run


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
