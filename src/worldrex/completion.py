"""`worldrex completion SHELL`: the script with which a shell completes the verbs, their flags and choices."""

import os
import re
import sys
from ast import literal_eval
from collections.abc import Callable, Mapping, Sequence
from contextlib import redirect_stdout, suppress
from functools import reduce
from importlib import import_module
from io import StringIO
from operator import or_
from typing import Annotated, Any

from worldrex import tasks

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
    for verb in verbs:
        named = tyro.conf.subcommand(name=verb, prefix_name=False)
        commands.append(Annotated[(import_module(f"worldrex.commands.{verb}").Command, named, *flags_of(verb))])
    printed = StringIO()
    with suppress(SystemExit), redirect_stdout(printed):
        tyro.cli(reduce(or_, commands), prog="worldrex", args=["--tyro-print-completion", arguments[0]])
    shown = {verb: _flags_in_help(verb, flags_of(verb)) for verb in verbs}
    print(_with_files(_completed(printed.getvalue(), verbs, shown), arguments[0]))
    return 0


def _flags_in_help(verb: str, markers: tuple[Any, ...]) -> set[str]:
    """A verb's flags, without those that are set by others: tyro's script has these, too."""
    import tyro

    printed, width = StringIO(), os.environ.get("COLUMNS")
    os.environ["COLUMNS"] = "1000"  # in a narrow terminal the help breaks long flags
    try:
        with suppress(SystemExit), redirect_stdout(printed):
            tyro.cli(import_module(f"worldrex.commands.{verb}").Command, args=["--help"], config=markers)
    finally:
        if width is None:
            del os.environ["COLUMNS"]
        else:
            os.environ["COLUMNS"] = width
    return set(re.findall(r"(?<![\w-])--?[a-z][\w.-]*", printed.getvalue()))


def _completed(script: str, verbs: Mapping[str, str], shown: Mapping[str, set[str]]) -> str:
    """What tyro cannot know: what each verb does in the place of its name, the names of tasks, and this verb itself."""
    head, line, rest = re.split(r"^COMPLETION_SPEC = (.*)$", script, maxsplit=1, flags=re.MULTILINE)
    known = literal_eval(line)
    for verb, what in verbs.items():
        known["subcommands"][verb]["description"] = what
        options = [option for option in known["subcommands"][verb]["options"] if shown[verb] & set(option["flags"])]
        known["subcommands"][verb]["options"] = options
        for option in options:
            # The shells take each line for a word to offer.
            option["description"] = option["description"].replace("\n", " ")
            if "--task" in option["flags"]:
                option |= {"type": "choice", "choices": list(tasks.names())}
    shells = {shell: _word(f"print {shell}'s script") for shell in SHELLS}
    known["subcommands"]["completion"] = _word("print a script that completes all these") | {"subcommands": shells}
    return f"{head}COMPLETION_SPEC = {known!r}{rest}"


def _word(description: str) -> dict[str, Any]:
    return {"description": description, "options": [], "subcommands": {}, "frontier_groups": []}


def _with_files(script: str, shell: str) -> str:
    """tyro knows no files in the place of logs and folders: where nothing else matches, the shell's own rule holds."""
    if shell == "bash":
        return f"{script}\ncomplete -o default -F _tyro_worldrex worldrex"
    return script.rstrip().removesuffix('_tyro_worldrex "$@"') + '_tyro_worldrex "$@" || _files'
