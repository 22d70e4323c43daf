"""README and docs: their command lines parse, their links lead somewhere, README's Python runs."""

import json
import re
import shlex
import shutil
import tempfile
import tomllib
from pathlib import Path

import numpy as np
import pytest
import typer.main
import yaml

from vaekit import cli, images

ROOT = Path(__file__).parents[1]
PAGES = sorted(
    [ROOT / "README.md", ROOT / "CONTRIBUTING.md", *(ROOT / "docs").glob("*.md"), *(ROOT / "apps").glob("*/README.md")]
)
FENCE = re.compile(r"^```(\w*)\n(.*?)^```$", re.MULTILINE | re.DOTALL)


def blocks(page: Path, language: str) -> list[str]:
    """The fenced blocks of a page in a language, "" for none."""
    return [text for found, text in FENCE.findall(page.read_text("utf-8")) if found == language]


def command_lines(page: Path) -> list[list[str]]:
    """The arguments of every `vaekit` command line in a page's blocks without a language."""
    lines = [line for block in blocks(page, "") for line in block.replace("\\\n", " ").splitlines()]
    words = [shlex.split(line, comments=True) for line in lines]
    commands = []
    for line in words:
        if "vaekit" in line:
            arguments = line[line.index("vaekit") + 1 :]
            commands.append(arguments[: arguments.index("&&")] if "&&" in arguments else arguments)
    return commands


def parse(arguments: list[str]) -> None:
    """Parse a command line without running it; raises what typer raises for a wrong one."""
    command, context = typer.main.get_command(cli.app), None
    while hasattr(command, "resolve_command"):  # a group
        context = command.make_context("vaekit", list(arguments), parent=context)
        rest = [*context._protected_args, *context.args]
        _, command, arguments = command.resolve_command(context, rest)
    command.make_context(command.name, list(arguments), parent=context)


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.name)
def test_command_lines_parse(page):
    for arguments in command_lines(page):
        parse(arguments)


def test_an_unknown_option_would_be_found():
    with pytest.raises(Exception, match="No such option"):
        parse(["inpaint", "photo.png", "--mask", "m.png", "--nothing"])


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.name)
def test_links_lead_to_files(page):
    links = re.findall(r"\]\(([^)#:]+)(?:#[^)]*)?\)", page.read_text("utf-8"))
    missing = [link for link in links if not (page.parent / link).exists()]
    assert not missing


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.name)
def test_extras_that_are_named_exist(page):
    extras = tomllib.loads((ROOT / "pyproject.toml").read_text("utf-8"))["project"]["optional-dependencies"]
    named = re.findall(r"(?:vaekit|\.)\[([a-z,]+)\]", page.read_text("utf-8"))
    assert {extra for names in named for extra in names.split(",")} <= set(extras)


def test_compose_and_kubernetes_fit_the_repository_and_the_command_line():
    compose, cluster = blocks(ROOT / "docs" / "deploying.md", "yaml")
    services = yaml.safe_load(compose)["services"]
    found = {(each["kind"], each["metadata"]["name"]): each["spec"] for each in yaml.safe_load_all(cluster)}
    pods = {name: spec["template"]["spec"] for (kind, name), spec in found.items() if kind == "Deployment"}
    containers = {name: pod["containers"][0] for name, pod in pods.items()}
    for arguments in (services["networks"]["command"], containers["networks"]["args"]):
        files = [value for option in arguments for _, _, value in [option.partition("=")] if value]
        assert files and all((ROOT / "saved_models" / Path(file).relative_to("/models")).is_file() for file in files)
    for command in (shlex.split(services["gateway"]["command"]), containers["gateway"]["command"]):
        parse(command[1:])
        assert command[command.index("--runtime") + 1] == "grpc://networks:8500"
    extras = re.findall(r"'/vaekit\[(.*)\]'", services["gateway"]["build"]["dockerfile_inline"])
    assert extras == ["serve,remote"]
    for (kind, name), spec in found.items():
        if kind == "Service":
            assert spec["selector"] == found["Deployment", name]["template"]["metadata"]["labels"]
            opened = {port["containerPort"] for port in containers[name]["ports"]}
            assert {port.get("targetPort", port["port"]) for port in spec["ports"]} <= opened
        else:
            assert spec["selector"]["matchLabels"] == spec["template"]["metadata"]["labels"]
            volumes = {volume["name"] for volume in pods[name].get("volumes", [])}
            assert {mount["name"] for mount in containers[name].get("volumeMounts", [])} == volumes


def test_python_of_the_readme_runs(bundles, tmp_path, monkeypatch):
    monkeypatch.setenv("VAEKIT_MODELS", str(bundles))
    monkeypatch.chdir(tmp_path)
    for name in ("photo.jpg", "portrait.jpg"):
        shutil.copy(ROOT / "docs" / "images" / "sources" / "astronaut.jpg", name)
    mask = np.zeros((512, 512, 3), np.uint8)
    mask[300:310, 200:260] = 255
    images.write("mask.png", mask)
    (block,) = blocks(ROOT / "README.md", "python")
    exec(compile(block, "README.md", "exec"), {})
    assert images.read("large.png").pixels.shape == (1024, 1024, 3)
    assert images.read("repaired.png").pixels.shape == images.read("smiling.png").pixels.shape == (512, 512, 3)


def test_the_tutorial_runs(monkeypatch, tmp_path):
    """Every cell of the notebook, of fewer faces."""
    tutorial = json.loads((ROOT / "docs" / "tutorial.ipynb").read_text("utf-8"))
    cells = ["".join(cell["source"]) for cell in tutorial["cells"] if cell["cell_type"] == "code"]
    monkeypatch.setattr(tempfile, "tempdir", str(tmp_path))
    names: dict = {}
    exec(cells[0], names)
    assert (names["COUNT"] > 100, names["EPOCHS"] > 10) == (True, True)
    names |= {"COUNT": 32, "EPOCHS": 1}
    for cell in cells[1:]:
        exec(compile(cell, "tutorial.ipynb", "exec"), names)
    assert names["images"].shape == (32, 32, 32, 3)
    assert {"sample", "encode"} <= set(names["served"])
