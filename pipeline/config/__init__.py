"""The config file: read, validated, and every mistake in it named with its line and its cure."""

from pipeline.config.config import Config, load, parse
from pipeline.config.keys import is_name

__all__ = ["Config", "is_name", "load", "parse"]
