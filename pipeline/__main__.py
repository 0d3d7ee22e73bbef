"""The command `modelwatch`; `python -m pipeline` is the same."""

from __future__ import annotations

from pipeline.cli.app import main

if __name__ == "__main__":
    main()
