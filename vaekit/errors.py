"""What is the user's to put right: told in one line, without a traceback."""


class UserError(Exception):
    """The message is one line; `exit_status` is what the command line ends with."""

    exit_status = 2
