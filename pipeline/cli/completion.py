"""Completion in a shell: the command `completion`, and the answers to a shell that asks."""

from __future__ import annotations

import io
import os
import sys
from contextlib import redirect_stderr, suppress

import click
from click.shell_completion import (
    BashComplete,
    FishComplete,
    ShellComplete,
    ZshComplete,
    split_arg_string,
)

from pipeline.cli import COMPLETE_VARIABLE

_PROGRAM = "modelwatch"


class _Bash(BashComplete):
    """Completion for bash, which splits words at colons too: the ids of models have them.

    See COMP_WORDBREAKS in https://www.gnu.org/software/bash/manual/html_node/Bash-Variables.html.
    """

    source_template = """\
%(complete_func)s() {
    local IFS=$'\\n' kind value
    COMPREPLY=()
    while IFS=, read -r kind value; do
        case $kind in
        dir) compopt -o dirnames ;;
        file) compopt -o default ;;
        plain) COMPREPLY+=("$value") ;;
        esac
    done < <(COMP_LINE=${COMP_LINE:0:COMP_POINT} %(complete_var)s=bash_complete "$1" 2>/dev/null)
}
complete -o nosort -F %(complete_func)s %(prog_name)s
"""

    def source(self) -> str:
        """Return the script."""
        return self.source_template % self.source_vars()

    def get_completion_args(self) -> tuple[list[str], str]:
        """Return the words before the one that is typed, and what there is of it."""
        line = os.environ["COMP_LINE"]
        _, *words = split_arg_string(line) or [""]
        return (words, "") if line[-1:].isspace() or not words else (words[:-1], words[-1])

    def complete(self) -> str:
        """Return the completions; bash has the part before the last colon already."""
        args, incomplete = self.get_completion_args()
        typed = incomplete.rpartition("=")[2] if incomplete.startswith("--") else incomplete
        known = len(typed.rpartition(":")[0]) + 1 if ":" in typed else 0
        items = self.get_completions(args, incomplete)
        return "\n".join(f"{item.type},{str(item.value)[known:]}" for item in items)


_SHELLS: dict[str, type[ShellComplete]] = {"bash": _Bash, "zsh": ZshComplete, "fish": FishComplete}


@click.command()
@click.argument("shell", type=click.Choice(list(_SHELLS)))
def completion(*, shell: str) -> None:
    """Print the completion script of a shell; its start-up file evaluates it.

    \b
    bash  eval "$(modelwatch completion bash)"           in ~/.bashrc
    zsh   eval "$(modelwatch completion zsh)"            in ~/.zshrc, after compinit
    fish  modelwatch completion fish | source            in ~/.config/fish/config.fish

    It completes commands, options, the names of models, scopes, gateways and destinations, and the kinds of
    schedules. It reads the config and the database of the home that is typed, and writes nothing.
    """  # noqa: D301 - click keeps the lines of a paragraph that begins with this character
    program = click.get_current_context().find_root().command
    click.echo(_SHELLS[shell](program, {}, _PROGRAM, COMPLETE_VARIABLE).source())


def complete(instruction: str, program: click.Command) -> None:
    """Answer a shell, by click's instruction such as `bash_complete`; without an answer, print nothing.

    See https://click.palletsprojects.com/en/stable/shell-completion/.
    """
    shell = _SHELLS.get(instruction.partition("_")[0])
    # A message would be in the line that is typed.
    with redirect_stderr(io.StringIO()), suppress(Exception):
        if shell:
            sys.stdout.write(f"{shell(program, {}, _PROGRAM, COMPLETE_VARIABLE).complete()}\n")
