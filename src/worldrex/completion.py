"""`worldrex completion SHELL`: the script with which a shell completes the verbs, their flags and choices."""

import sys
from collections.abc import Callable, Mapping, Sequence
from contextlib import suppress
from functools import reduce
from importlib import import_module
from operator import or_
from typing import Annotated, Any

SHELLS = ("bash", "zsh")
USAGE = """usage: worldrex completion {bash,zsh}

Print the script with which the shell completes verbs, flags, choices and files. Once, for all new shells:

  bash   mkdir -p ~/.local/share/bash-completion/completions
         worldrex completion bash > ~/.local/share/bash-completion/completions/worldrex
  zsh    worldrex completion zsh > DIR/_worldrex, with DIR in $fpath before compinit is called"""


def main(arguments: Sequence[str], verbs: Mapping[str, str], flags_of: Callable[[str], tuple[Any, ...]]) -> int:
    """Print the script of a shell. Returns 0, or 2 for another shell.

    **Arguments:** `verbs`: what each does; `flags_of`: tyro's markers of a verb.
    """
    if list(arguments) in (["-h"], ["--help"]):
        print(USAGE)
        return 0
    if len(arguments) != 1 or arguments[0] not in SHELLS:
        came = " ".join(map(repr, arguments)) or "no shell"
        print(f"worldrex completion: {came} came; expected one of {', '.join(SHELLS)}.\n\n{USAGE}", file=sys.stderr)
        return 2
    import tyro

    commands = []
    for verb, what in verbs.items():
        named = tyro.conf.subcommand(name=verb, prefix_name=False, description=what)
        commands.append(Annotated[(import_module(f"worldrex.commands.{verb}").Command, named, *flags_of(verb))])
    with suppress(SystemExit):
        tyro.cli(reduce(or_, commands), prog="worldrex", args=["--tyro-print-completion", arguments[0]])
    if arguments[0] == "bash":
        # tyro knows no files in the place of logs and folders without a flag: where nothing matches, bash's own rule holds.
        print("complete -o default -F _tyro_worldrex worldrex")
    return 0
