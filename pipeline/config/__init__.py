"""The config file: read, validated, and every mistake in it named with its line and its cure."""

from pipeline.config.config import Config, load, parse

__all__ = ["Config", "load", "parse"]
