"""Parsing and validation of the config file; each error names the line and what to write."""

from pipeline.config.gateways import name_clashes
from pipeline.config.load import NO_GATEWAY, Config, load, named_files, parse, schema_line

__all__ = ["NO_GATEWAY", "Config", "load", "name_clashes", "named_files", "parse", "schema_line"]
