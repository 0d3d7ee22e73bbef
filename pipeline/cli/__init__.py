"""The command line: arguments, environment, clock and exit codes."""

COMPLETE_VARIABLE = "_MODELWATCH_COMPLETE"
"""The variable by which a shell asks for completions."""
