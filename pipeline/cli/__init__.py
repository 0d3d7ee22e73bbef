"""The command line: arguments, environment, clock and exit codes."""
