"""What a command prints: lines for people and one JSON object for machines, whatever names hold and streams take."""

import contextlib
import json
import sys
from typing import Any

from vaekit.errors import UserError


class OutputError(UserError):
    """Standard output takes no more."""

    exit_status = 1


def plain(text: str) -> str:
    """The text in one line: line breaks, control characters and bytes that are no text are shown as escapes."""
    return "".join(c if c.isprintable() else c.encode("unicode_escape").decode() for c in text)


def say(text: str) -> None:
    """Print one line on standard output; raises OutputError where it is full."""
    _print(plain(text))


def say_json(value: Any, *, indent: int | None = None) -> None:
    """Print a value as JSON on standard output, with escapes for what its encoding lacks; raises OutputError."""
    text = json.dumps(value, ensure_ascii=False, indent=indent)
    try:
        text.encode(getattr(sys.stdout, "encoding", None) or "utf-8")
    except UnicodeEncodeError:
        text = json.dumps(value, indent=indent)
    _print(text)


def _print(text: str) -> None:
    try:
        print(text, flush=True)
    except BrokenPipeError:  # whoever read has enough, which is no fault
        raise
    except OSError as error:
        raise OutputError(f"standard output: {(error.strerror or str(error)).lower()}") from None


def warn(text: str) -> None:
    """Print one line on standard error; where that takes no more, there is nobody to tell."""
    with contextlib.suppress(OSError):
        print(plain(f"vaekit: {text}"), file=sys.stderr, flush=True)
