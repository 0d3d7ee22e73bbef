"""The database in a browser: how Datasette is configured, started, and given a copy to publish."""

from pipeline.browse.datasette import Address, command, configuration, major, serve
from pipeline.browse.publish import publish

__all__ = ["Address", "command", "configuration", "major", "publish", "serve"]
