"""Fixtures of the tests of the config."""

import pytest

from pipeline.config import load
from pipeline.errors import ConfigError


@pytest.fixture
def written(tmp_path):
    """Return a function that writes a config and loads it."""

    def written(text, **files):
        for name, content in files.items():
            (tmp_path / f"{name}.csv").write_text(content, "utf-8")
        path = tmp_path / "modelwatch.toml"
        path.write_text(text, "utf-8")
        return load(path)

    return written


@pytest.fixture
def rejected(written):
    """Return a function that loads an invalid config and returns the message, without its directory."""

    def rejected(text, **files):
        with pytest.raises(ConfigError) as caught:
            written(text, **files)
        assert caught.value.exit_code == 78
        return caught.value.message.replace(f"{caught.value.where.rpartition('/')[0]}/", "")

    return rejected
