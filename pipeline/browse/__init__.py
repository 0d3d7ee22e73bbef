"""The database in a browser: how Datasette is told to show it, started, and given a copy to hand out."""

from pipeline.browse.configuring import configuration
from pipeline.browse.publishing import publish
from pipeline.browse.serving import Address, command, major, serve

__all__ = ["Address", "command", "configuration", "major", "publish", "serve"]
