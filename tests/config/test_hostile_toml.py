"""Configs that no person wrote: each is an error of the config in one line."""

import pytest

from pipeline.config.load import parse
from pipeline.errors import ConfigError

MANY = 100_000


@pytest.mark.parametrize(
    ("text", "words"),
    [
        (f"x = {'[' * MANY}", "nested too deeply"),
        (f"x = {'{a=' * MANY}", "nested too deeply"),
        (f"x = {'1' * MANY}", "a number has too many digits"),
        (f"x = -{'9' * MANY}", "a number has too many digits"),
        (f"x = {'[' * 50}{'1' * 5000}{']' * 50}", "a number has too many digits"),
        (f"{'.'.join(['a'] * MANY)} = 1", "nested too deeply"),
    ],
    ids=range(6),
)
def test_a_hostile_config_is_a_config_error(tmp_path, text, words):
    with pytest.raises(ConfigError, match=words):
        parse(text, tmp_path / "modelwatch.toml")
