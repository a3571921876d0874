"""`worldrex <verb>`: finds the verb, reads its flags (tyro), runs it and turns errors into messages and exit codes."""

import _thread
import io
import json
import os
import signal
import sys
import threading
import traceback
from collections.abc import Sequence
from difflib import get_close_matches
from importlib import import_module
from types import FrameType
from typing import Any

from worldrex.runs import RunError, plain

VERBS = {
    "run": "everything below on a task or on your logs, in order, to a report",
    "collect": "run a task's behaviors and log them",
    "convert": "write logs beyond memory as one that is used on disk",
    "describe": "what is in a log: columns, behaviors, episodes, ranges, problems",
    "label": "infer the behaviors of a log that does not name them",
    "crossval": "leave one behavior out and choose the penalty's weight",
    "fit": "fit one world model",
    "optimize": "learn a policy inside a model",
    "score": "a model's risk under each behavior of a log",
    "evaluate": "a policy's return in reality, and its model's promise",
    "watch": "how a running job stands, live",
    "report": "run folders as one HTML page",
}
USER_ERRORS = {
    "worldrex.data": ("DataError",),
    "worldrex.tasks": ("TaskError",),
    "worldrex.risk": ("RiskError",),
    "worldrex.dynamics": ("ModelError", "TrainingError"),
    "worldrex.policy": ("PolicyError",),
    "worldrex.evaluation": ("EvaluationError",),
    "worldrex.report": ("ReportError",),
}
FAILED, USAGE, INTERRUPTED = 1, 2, 130
SAYINGS = ("-h", "--help", "--version")


def main(arguments: Sequence[str] | None = None) -> int:
    """Run one verb. Returns 0, 2 for bad input or usage, 1 for a failure of worldrex itself, 130 for Ctrl-C."""
    for stream in (sys.stdout, sys.stderr):
        if isinstance(stream, io.TextIOWrapper):
            # A name from a file that this terminal's encoding lacks is no reason to stop.
            stream.reconfigure(errors="backslashreplace")
    verb, *rest = [*(sys.argv[1:] if arguments is None else arguments)] or ["--help"]
    if verb not in (*VERBS, "completion", *SAYINGS):
        close = get_close_matches(verb, (*VERBS, "completion"), n=1)
        hint = f" Did you mean {close[0]!r}?" if close else ""
        print(f"worldrex: there is no verb {verb!r}.{hint}\n\n{_help()}", file=sys.stderr)
        return USAGE
    if arguments is None and signal.getsignal(signal.SIGINT) is signal.default_int_handler:
        signal.signal(signal.SIGINT, _leave)
    try:
        return _say(verb) if verb in SAYINGS else _run(verb, rest)
    except KeyboardInterrupt as interrupt:
        _complain(f"worldrex {verb}: interrupted. {interrupt}".rstrip())
        if arguments is None:
            # XLA's threads may still be at work; taking the interpreter down under them ends in a crash.
            os._exit(INTERRUPTED)
        return INTERRUPTED
    except SystemExit as usage:
        # tyro's, after it has printed the help or what is wrong with a flag.
        return usage.code if isinstance(usage.code, int) else USAGE
    except BrokenPipeError:
        # The reader (head, less) has seen enough; keep the interpreter from complaining at its end.
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        return 0
    except Exception as error:
        if isinstance(error, (RunError, OSError, *_user_errors())):
            _complain(f"worldrex {verb}: {error}")
            return USAGE
        traceback.print_exc()
        _complain(f"worldrex {verb}: a fault of worldrex itself, not of your input; please report the lines above.")
        return FAILED


def _run(verb: str, rest: list[str]) -> int:
    if verb == "completion":
        from worldrex import completion

        return completion.main(rest, VERBS, _markers)
    _use_all_cores()
    import tyro

    from worldrex.terminal import Terminal

    module = import_module(f"worldrex.commands.{verb}")
    if signal.getsignal(signal.SIGINT) is _leave:
        signal.signal(signal.SIGINT, _interrupt)
    command = tyro.cli(
        module.Command, args=rest, prog=f"worldrex {verb}", description=module.Command.__doc__, config=_markers(verb)
    )
    try:
        result = module.main(command, Terminal(stderr=command.json))
    except ValueError as error:
        if command.json and getattr(error, "told", None) is not None:
            _tell(error.told)  # pyright: ignore[reportAttributeAccessIssue]
        raise
    if command.json:
        _tell(result)
    return 0


def _say(what: str) -> int:
    if what == "--version":
        import worldrex

        print(f"worldrex {worldrex.__version__}", flush=True)
    else:
        print(_help(), flush=True)
    return 0


def _markers(verb: str) -> tuple[Any, ...]:
    """How tyro makes flags of a verb's dataclass: `run` alone has groups of flags of the same names."""
    import tyro

    return (tyro.conf.FlagCreatePairsOff, *(() if verb == "run" else (tyro.conf.OmitArgPrefixes,)))


def _tell(result: object) -> None:
    print(json.dumps(plain(result), indent=1, allow_nan=False), flush=True)


def _leave(number: int, frame: FrameType | None) -> None:
    """Ctrl-C while modules are imported: an exception would abort one of C++ with a page of its own, and nothing has begun."""
    os.write(2, f"worldrex {' '.join(sys.argv[1:2])}: interrupted.\n".encode(errors="replace"))
    os._exit(INTERRUPTED)


def _interrupt(number: int, frame: FrameType | None) -> None:
    """Ctrl-C, as Python has it; but what JAX's hook of the garbage collector raises is lost: there, once more soon."""
    if frame is not None and frame.f_code.co_name == "_xla_gc_callback":
        again = threading.Timer(0.05, _thread.interrupt_main)
        again.daemon = True
        again.start()
    else:
        signal.default_int_handler(number, frame)


def _complain(message: str) -> None:
    from worldrex.terminal import Terminal  # rich takes longer to import than all that --help needs

    Terminal(stderr=True).say(message, indent=0)


def _use_all_cores() -> None:
    """One simulated JAX device per core: a sweep's networks then train side by side, each on its own core.

    Measured at 2 cores, batch 256 and 2 x 64 units: about twice the throughput of two threads sharing each product.
    """
    cores = len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1
    os.environ.setdefault("JAX_NUM_CPU_DEVICES", str(cores))


def _user_errors() -> tuple[type[BaseException], ...]:
    """The errors that speak to the user, of the rooms that were imported."""
    rooms = [(sys.modules[room], names) for room, names in USER_ERRORS.items() if room in sys.modules]
    return tuple(getattr(room, name) for room, names in rooms for name in names)


def _help() -> str:
    verbs = "\n".join(f"  {verb:<10}{what}" for verb, what in VERBS.items())
    return (
        "usage: worldrex VERB [flags]\n\nWorld models that hold under policies that nobody logged.\n\n"
        f"{verbs}\n\n`worldrex VERB --help` tells a verb's flags. Start with `worldrex run`.\n"
        "`worldrex completion bash` (or zsh) prints a script that completes them."
    )
