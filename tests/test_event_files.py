import struct
import sys
from contextlib import suppress
from pathlib import Path

import pytest

from worldrex.event_files import EventFiles
from worldrex.runs import RunError, open_run

pytest.importorskip("tensorboardX", reason="the extra tensorboard is not installed")

FIT = {
    "stage": "fit",
    "model": "erm",
    "phase": "penalized",
    "train_risk": 0.5,
    "holdout_risk": {"a/b <i>": 1.0, "c": 2.0},
}
CROSSVAL = {"stage": "crossval", "weight": 10.0, "train_risk": 0.25, "holdout_penalty": None}


def scalars(folder: Path) -> list[tuple[str, int, float]]:
    """Tag, step and value of every scalar, read as TensorBoard reads them: records with a length and two checksums."""
    from tensorboardX.proto.event_pb2 import Event

    found = []
    for path in sorted(folder.iterdir()):
        content = path.read_bytes()
        while content:
            (length,) = struct.unpack("<Q", content[:8])
            event = Event.FromString(content[12 : 12 + length])
            found += [(value.tag, event.step, value.simple_value) for value in event.summary.value]
            content = content[16 + length :]
    return found


def test_every_number_becomes_a_scalar(tmp_path: Path) -> None:
    mirror = EventFiles(tmp_path / "run" / "tensorboard")
    folder = open_run(tmp_path / "run", {"seed": 0}, command=["worldrex"], mirror=mirror)
    with folder.job("fit"):
        folder.log([{**FIT, "step": 500}, {**CROSSVAL, "step": 500}])
        assert len(scalars(tmp_path / "run" / "tensorboard")) == 4  # at once, for who watches
        folder.log([{**FIT, "step": 1000}])
    told = scalars(tmp_path / "run" / "tensorboard")
    assert [(step, value) for _, step, value in told] == [
        (500, 0.5), (500, 1.0), (500, 2.0), (500, 0.25), (1000, 0.5), (1000, 1.0), (1000, 2.0),
    ]  # fmt: skip
    tags = [tag for tag, *_ in told]
    assert tags[0] == "fit/erm/penalized/train_risk"
    assert tags[1].startswith("fit/erm/penalized/holdout_risk/a/b")
    assert tags[3].startswith("crossval/weight")


def test_a_resumed_run_tells_nothing_twice(tmp_path: Path) -> None:
    def begin() -> None:
        mirror = EventFiles(tmp_path / "run" / "tensorboard")
        folder = open_run(tmp_path / "run", {"seed": 0}, command=["worldrex"], mirror=mirror)
        with suppress(KeyboardInterrupt), folder.job("fit"):
            folder.forget_metrics("fit", after=500)
            folder.log([{**FIT, "step": step} for step in (1000, 1500)])
            raise KeyboardInterrupt

    folder = open_run(tmp_path / "run", {"seed": 0}, command=["worldrex"])
    folder.log([{**FIT, "step": 500}])
    begin()
    begin()
    steps = [step for tag, step, _ in scalars(tmp_path / "run" / "tensorboard") if tag.endswith("train_risk")]
    assert steps == [500, 1000, 1500]


def test_without_the_package_it_says_what_to_install(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "tensorboardX.event_file_writer", None)
    with pytest.raises(RunError, match=r"pip install 'worldrex\[tensorboard\]'"):
        EventFiles(tmp_path)


def test_what_cannot_be_written_is_told(tmp_path: Path) -> None:
    mirror = EventFiles(tmp_path / "a file" / "tensorboard")
    (tmp_path / "a file").write_text("")
    with pytest.raises(RunError, match=r"cannot write .*tensorboard"):
        mirror.write([{**FIT, "step": 1}])
