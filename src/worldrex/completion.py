"""`worldrex completion SHELL`: the script with which a shell completes the verbs, their flags and choices."""

import sys
from collections.abc import Callable, Mapping, Sequence
from contextlib import redirect_stdout, suppress
from functools import reduce
from importlib import import_module
from io import StringIO
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
    printed = StringIO()
    with suppress(SystemExit), redirect_stdout(printed):
        tyro.cli(reduce(or_, commands), prog="worldrex", args=["--tyro-print-completion", arguments[0]])
    print(_with_files(_described(printed.getvalue(), verbs), arguments[0]))
    return 0


def _described(script: str, verbs: Mapping[str, str]) -> str:
    """What each verb does in the place of its name, which is all that tyro says of it."""
    for verb, what in verbs.items():
        script = script.replace(f"{verb!r}: {{'description': {verb!r}", f"{verb!r}: {{'description': {what!r}")
    return script


def _with_files(script: str, shell: str) -> str:
    """tyro knows no files in the place of logs and folders: where nothing else matches, the shell's own rule holds."""
    if shell == "bash":
        return f"{script}\ncomplete -o default -F _tyro_worldrex worldrex"
    return script.rstrip().removesuffix('_tyro_worldrex "$@"') + '_tyro_worldrex "$@" || _files'
