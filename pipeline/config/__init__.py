"""The config file, validated; each error names the line and what to write."""

from pipeline.config.load import Config, load, parse

__all__ = ["Config", "load", "parse"]
