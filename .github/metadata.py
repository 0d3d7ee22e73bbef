"""The address of the repository in the metadata of a release, and in the links of its README.

The tree does not know where it is published. A release is built with `MODELWATCH_REPOSITORY` set to that
address, as `https://git.example/team/modelwatch`; any other build has no such links.
"""

from __future__ import annotations

import os
import re
from pathlib import Path
from typing import Any

from hatchling.metadata.plugin.interface import MetadataHookInterface

_LINK = re.compile(r"(!?)\[([^\]]*)\]\((?![a-z]+:|#)([^)]+)\)")


class Repository(MetadataHookInterface):
    """Sets `readme` and `urls`, which `pyproject.toml` declares as dynamic."""

    def update(self, metadata: dict[str, Any]) -> None:
        """Set the addresses of the project and the README, with absolute links if the address is known."""
        address = os.environ.get("MODELWATCH_REPOSITORY", "").rstrip("/")
        text = (Path(self.root) / "README.md").read_text("utf-8")
        if address:
            text = absolute(text, address, f"v{metadata['version']}")
            metadata["urls"] = {
                "Homepage": address,
                "Changelog": f"{address}/blob/main/CHANGELOG.md",
                "Security": f"{address}/blob/main/.github/SECURITY.md",
            }
        metadata["readme"] = {"content-type": "text/markdown", "text": text}


def absolute(text: str, address: str, tag: str) -> str:
    """Return Markdown whose relative links and pictures lead to the files of a tag."""

    def link(found: re.Match[str]) -> str:
        is_picture, words, path = found.groups()
        return f"{is_picture}[{words}]({address}/{'raw' if is_picture else 'blob'}/{tag}/{path})"

    return _LINK.sub(link, text)
