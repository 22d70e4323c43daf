"""Groups of options in verbs."""

import inspect
from typing import Annotated

import pytest
import typer
from typer.testing import CliRunner

from vaekit import options
from vaekit.verbs import Editing, Faces, Files, Work, grouped

SEPIA = Editing(bundle="sepia", max_pixels=9)
CALLS: list = []


@grouped
def verb(
    inputs: options.Inputs,
    *,
    depth: Annotated[int, typer.Option("--depth")] = 3,
    files: Files,
    faces: Faces,
    late: bool = False,
    work: Work,
    editing: Editing = SEPIA,
) -> None:
    """Make photos brown."""
    CALLS.append((inputs, depth, files, faces, late, work, editing))


@pytest.fixture
def run():
    app = typer.Typer()
    app.command()(verb)
    CALLS.clear()

    def run(*arguments):
        done = CliRunner().invoke(app, arguments)
        assert done.exit_code == 0, done.output
        return done

    return run


def test_options_stand_where_their_group_does(run):
    assert list(inspect.signature(verb).parameters) == [
        "inputs", "depth", "output", "overwrite", "skip_existing", "recursive", "face_model", "min_score", "aligned",
        "late", "jobs", "engine", "json", "runtime", "bundle", "max_pixels",
    ]  # fmt: skip
    told = run("--help").output
    places = [told.index(name) for name in ("--depth", "--output", "--face-model", "--late", "--jobs", "--runtime")]
    assert places == sorted(places)
    assert "Make photos brown." in told


def test_defaults_are_those_of_the_groups_default(run):
    run("a.png")
    (call,) = CALLS
    assert call == (["a.png"], 3, Files(), Faces(), False, Work(), SEPIA)


def test_what_is_given_comes_in_its_group(run):
    run("a.png", "b.png", "-o", "out", "-r", "--aligned", "--jobs", "2", "--json", "--bundle", "mine", "--late")
    ((inputs, depth, files, faces, late, work, editing),) = CALLS
    assert (inputs, depth, late) == (["a.png", "b.png"], 3, True)
    assert files == Files(output="out", recursive=True)
    assert (faces, work) == (Faces(aligned=True), Work(jobs=2, json=True))
    assert editing == Editing(bundle="mine", max_pixels=9)


def test_a_group_without_defaults_of_its_own_must_be_given_some():
    with pytest.raises(TypeError, match="bundle"):

        @grouped
        def other(editing: Editing) -> None:
            """Nothing."""
