"""`python -m vaekit`."""

from vaekit.cli import main

if __name__ == "__main__":  # not in the processes that a folder is edited in
    main()
