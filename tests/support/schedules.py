"""The files in `cron/` for a tree in /opt/modelwatch; run this module to write them again.

cd tests && python -m support.schedules
"""

from __future__ import annotations

from collections.abc import Mapping

from pipeline.cli.schedule import KINDS, Place, schedule_files
from support import ROOT

CRON = ROOT / "cron"

PLACE = Place("/opt/modelwatch/cron/modelwatch", "/opt/modelwatch/data", "/opt/modelwatch")


def examples() -> Mapping[str, str]:
    """Return the files by their names: those that `modelwatch schedule` writes without a config."""
    return {name: text for kind in KINDS for name, text in schedule_files(kind, PLACE).items()}


if __name__ == "__main__":
    for name, text in examples().items():
        (CRON / name).write_text(text, "utf-8")
