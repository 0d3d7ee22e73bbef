"""The config file: read and validated; every mistake is named with its line and its cure."""

from pipeline.config.load import Config, load, parse

__all__ = ["Config", "load", "parse"]
