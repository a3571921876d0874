import io
import re
import subprocess
import sys
from collections.abc import Callable
from dataclasses import replace
from itertools import pairwise
from pathlib import Path

import numpy as np
import pytest

from tests.dynamics.made_up import model_that_sees
from tests.program import TINY, Program, Words, strict_json
from worldrex import cli
from worldrex.cli import VERBS, main
from worldrex.data import load
from worldrex.dynamics import Features


@pytest.mark.parametrize("verb", VERBS)
def test_each_verb_tells_its_flags(call: Callable[..., Words], verb: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("COLUMNS", "80")
    code, out, err = call(verb, "--help")
    assert (code, err) == (0, "")
    assert out.startswith(f"usage: worldrex {verb} ")
    assert "(default: )" not in out
    assert "{None}" not in out
    assert ".seed " not in out
    # Every flag has a line of explanation: no flag is followed by the next one.
    heads = [line for line in out.splitlines() if re.match(r"\W*(--\w|FILE|DIR)", line)]
    assert len(heads) >= 3
    words = re.sub(r"[│|]|-{3,}", " ", out).split("options", 1)[1].split()
    assert not [flag for flag, after in pairwise(words) if flag.startswith("--") and after.startswith("--")]


def test_help_names_every_verb_and_the_version(call: Callable[..., Words]) -> None:
    code, out, _ = call("--help")
    assert code == 0
    assert all(f"  {verb} " in out for verb in VERBS)
    assert max(map(len, out.splitlines())) <= 80
    code, out, _ = call("--version")
    assert (code, out.split()[0]) == (0, "worldrex")


def test_the_installed_program() -> None:
    path = Path(sys.executable).with_name("worldrex")
    done = subprocess.run([path, "runn"], capture_output=True, text=True, check=False)
    assert (done.returncode, done.stdout) == (2, "")
    assert done.stderr.startswith("worldrex: there is no verb 'runn'. Did you mean 'run'?")


@pytest.mark.parametrize(
    "code",
    [
        "import worldrex",
        "from worldrex.cli import main; main(['--help'])",
        "from worldrex.cli import main; main(['fti'])",
    ],
)
def test_nothing_is_imported_before_it_is_needed(code: str) -> None:
    code += "; import sys; sys.exit(sorted({'jax', 'numpy', 'tyro', 'rich', 'pyarrow'} & set(sys.modules)) or 0)"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=False)
    assert (done.returncode, "Traceback" in done.stderr) == (0, False), done.stderr


def test_describe_does_not_wait_for_jax(logs: dict[str, Path]) -> None:
    code = (
        "import sys; from worldrex.cli import main; code = main(sys.argv[1:]); "
        "assert not {'jax', 'optax', 'altair'} & set(sys.modules), 'imported'; sys.exit(code)"
    )
    command = [sys.executable, "-c", code, "describe", str(logs["logged"])]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    assert (done.returncode, done.stderr) == (0, "")
    assert "800 records in 20 episodes by 4 behaviors" in done.stdout


def test_json_is_all_of_stdout(call: Callable[..., Words], logs: dict[str, Path], tmp_path: Path) -> None:
    code, out, err = call("describe", logs["logged"], "--json")
    assert code == 0
    assert strict_json(out)["records"] == 800
    assert "800 records" in err
    written = tmp_path / "x.parquet"
    code, out, _ = call("collect", "--steps-per-behavior", "60", "--behaviors", "unlogged", "--out", written, "--json")
    assert code == 0
    assert strict_json(out)["records"] == 180
    assert load(written).num_behaviors == 3


def test_a_fault_of_worldrex_shows_where(call: Callable[..., Words], monkeypatch: pytest.MonkeyPatch) -> None:
    def fail(*_: object) -> int:
        raise ZeroDivisionError("by nothing")

    monkeypatch.setattr(cli, "_run", fail)
    code, out, err = call("run")
    assert (code, out) == (1, "")
    assert "Traceback" in err
    assert err.endswith("worldrex run: a fault of worldrex itself, not of your input; please report the lines above.\n")


def test_ctrl_c_says_what_is_left(call: Callable[..., Words], monkeypatch: pytest.MonkeyPatch) -> None:
    def interrupt(*_: object) -> int:
        raise KeyboardInterrupt("runs/x is unfinished.")

    monkeypatch.setattr(cli, "_run", interrupt)
    assert call("run") == (130, "", "worldrex run: interrupted. runs/x is unfinished.\n")


def test_a_terminal_without_greek_letters(monkeypatch: pytest.MonkeyPatch) -> None:
    stdout = io.TextIOWrapper(io.BytesIO(), encoding="ascii")
    monkeypatch.setattr(sys, "stdout", stdout)
    monkeypatch.setattr(cli, "_run", lambda *_: print("ω \udcff") or 0)
    assert main(["run"]) == 0
    stdout.flush()
    assert stdout.buffer.getvalue() == b"\\u03c9 \\udcff\n"  # pyright: ignore[reportAttributeAccessIssue]


def test_a_reader_that_has_seen_enough(logs: dict[str, Path]) -> None:
    command = f"'{sys.executable}' -m worldrex.cli describe '{logs['logged']}' --json | head -c 1"
    command = command.replace("-m worldrex.cli", '-c "import sys; from worldrex.cli import main; sys.exit(main())"')
    done = subprocess.run(["bash", "-o", "pipefail", "-c", command], capture_output=True, text=True, check=False)
    assert "Traceback" not in done.stderr
    assert "BrokenPipe" not in done.stderr
    assert done.returncode == 0


def test_a_log_is_not_collected_under_the_name_of_another_format(call: Callable[..., Words], tmp_path: Path) -> None:
    code, out, err = call("collect", "--steps-per-behavior", "60", "--out", tmp_path / "log.csv")
    assert (code, out) == (2, "")
    assert "log.csv is not the name of a Parquet file, which collect writes: say .parquet." in " ".join(err.split())
    assert not list(tmp_path.iterdir())


@pytest.mark.parametrize("words", ["--help", "--version", "completion bash"])
def test_an_answer_that_cannot_be_written_is_one_line(words: str) -> None:
    if not Path("/dev/full").exists():
        pytest.skip("this system has no /dev/full")
    command = f"'{sys.executable}' -c 'import sys; from worldrex.cli import main; sys.exit(main())' {words} > /dev/full"
    done = subprocess.run(["bash", "-c", command], capture_output=True, text=True, check=False)
    assert "No space left on device" in done.stderr
    assert "Traceback" not in done.stderr
    assert "Exception" not in done.stderr
    assert done.returncode == 2


def test_a_model_that_sees_angles_and_the_past_is_scored(
    call: Callable[..., Words], logs: dict[str, Path], tmp_path: Path
) -> None:
    model_that_sees(Features(history=2, angles=(0,)), 3, 1).save(tmp_path)
    code, text, err = call("score", tmp_path, logs["unlogged"])
    assert (code, err) == (0, "")
    assert text.count("random torques") == 2


def test_fit_score_and_report(
    program: Program, call: Callable[..., Words], logs: dict[str, Path], tmp_path: Path
) -> None:
    out = tmp_path / "fitted"
    code, text, err = program("fit", logs["logged"], *TINY, "--penalty", "none", "--out", out, "--json")
    assert (code, "Traceback" in err) == (0, False), err
    assert set(strict_json(text)) == {"format", "kind", "seed", "penalty", "weight", "holdout_risk"}
    assert strict_json((out / "status.json").read_text()) == {"state": "finished", "stage": "fit"}
    code, text, err = call("score", out, logs["unlogged"], "--json")
    assert code == 0, err
    behaviors = strict_json(text)["behaviors"]
    assert list(behaviors) == list(load(logs["unlogged"]).behavior_names)
    assert all(0 < entry["model"] < 100 for entry in behaviors.values())
    assert all(0 < entry["diagnostics"]["model"]["crps"]["value"] < 10 for entry in behaviors.values())
    assert "50/90/95 % covers" in err
    assert "error after steps" in err
    code, text, err = call("report", out, "--out", tmp_path / "page.html")
    assert (code, text, err) == (0, f"wrote    {tmp_path / 'page.html'}\n", "")
    assert "</html>" in (tmp_path / "page.html").read_text()
    data = load(logs["unlogged"])
    replace(data, action=np.repeat(data.action, 2, axis=1)).save(tmp_path / "wide.parquet")
    code, _, err = call("score", out, tmp_path / "wide.parquet")
    assert code == 2
    assert "obs and action are 3 and 2 wide, the model's 3 and 1" in err


def test_ctrl_c_is_not_lost_in_a_hook_whose_exceptions_are_ignored() -> None:
    program = """
import gc, os, signal, sys, time
from dataclasses import dataclass
from types import SimpleNamespace
from worldrex import cli

@dataclass
class Command:
    json: bool = False

def _xla_gc_callback(*_):
    if armed:
        armed.clear()
        os.kill(os.getpid(), signal.SIGINT)

def work(*_):
    gc.callbacks.append(_xla_gc_callback)
    gc.collect()
    for _ in range(1000):
        time.sleep(0.01)

armed = [True]
cli.import_module = lambda name: SimpleNamespace(Command=Command, main=work)
sys.argv = ["worldrex", "fit"]
cli.main()
"""
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, timeout=60, check=False)
    assert done.returncode == 130
    assert done.stderr.startswith("worldrex fit: interrupted.")


def test_ctrl_c_while_modules_are_imported_ends_at_once() -> None:
    program = """
import os, signal, sys, time
from worldrex import cli

def imported(name):
    try:
        os.kill(os.getpid(), signal.SIGINT)
        time.sleep(10)
    except KeyboardInterrupt:
        print("raised in the midst of an import")

cli.import_module = imported
sys.argv = ["worldrex", "fit"]
cli.main()
"""
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, timeout=60, check=False)
    assert (done.returncode, done.stdout, done.stderr) == (130, "", "worldrex fit: interrupted.\n")
