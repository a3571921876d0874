"""Each recipe of docs/data.md is run as the page has it: its commands, its Python, and what the page says is printed."""

import csv
import shlex
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from tests import pages, recipes
from tests.data.test_label import controlled
from tests.program import TINY, Program, Words
from worldrex.data import agreement, load
from worldrex.dynamics import load_model

PAGE = recipes.recipes()
SHORT = [*TINY, "--penalty", "none", "--warmup-steps", "0"]
# What the commands of each recipe print beside what the page shows.
SAID = {
    "A robot fleet (LeRobot)": [
        "1,500 records in 30 episodes by 3 behaviors",
        "arm_2 500 10",
        "ada 200 4",
        "ben 150 3",
        "stack the cups 250 5",
    ],
    "D4RL files": ["1,500 records in 30 episodes by 3 behaviors", "hopper-expert 500 10"],
    "Minari": ["1,500 records in 30 episodes by 3 behaviors", "arm/expert-v0 500 10", "behavior 0 200 4"],
    "NPZ, and NeoRL's logs": ["500 records in 10 episodes by 3 behaviors", "Pipeline-val.npz: NPZ"],
    "A flat NPY matrix": ["500 records in 10 episodes by 3 behaviors", "3 obs components, 2 action components"],
}


def one_line(text: str) -> str:
    return " ".join(text.split())


def commands(block: str) -> list[list[str]]:
    """The words of each command, with the files that a pattern stands for in the place of it."""
    found = []
    for line in block.replace("\\\n", " ").splitlines():
        words = shlex.split(line, comments=True)
        files = [sorted(map(str, Path().glob(word))) if "*" in word and "(" not in word else [word] for word in words]
        if words:
            found.append([word for named in files for word in named])
    return found


class Reader:
    """Someone who follows a recipe: runs each block in the folder that the test stands in, and compares what is said."""

    def __init__(self, call: Callable[..., Words], program: Program, printed: Callable[[], str]) -> None:
        self.call, self.program, self.printed = call, program, printed
        self.said = ""
        self.names: dict[str, Any] = {}
        self.told: list[str] = []
        self.ran: list[str] = []

    def follow(self, blocks: list[pages.Block]) -> None:
        for language, content in blocks:
            match language:
                case "sh":
                    self.said = "".join(self.run(words) for words in commands(content))
                    self.told.append(self.said)
                case "python":
                    exec(compile(content, "docs/data.md", "exec"), self.names)
                    self.said = self.printed()
                case "text" if not self.ran and not self.names:
                    assert [path for path in content.split() if not Path(path).exists()] == []
                    continue
                case "text":
                    for part in content.split("...\n"):
                        assert one_line(part) in one_line(self.said)
                case "csv":
                    assert [path for path in Path().rglob("*.csv") if path.read_text().startswith(content)]
                case _:
                    pytest.fail(f"a block in {language}")

    def run(self, words: list[str]) -> str:
        """What a command prints; it must end well. Trainings are cut short: `fit` trains for a moment, `run` not at all."""
        assert words[0] == "worldrex"
        verb = words[1]
        self.ran.append(verb)
        if verb == "run":
            # Its flags and its logs are read, and its folder is made.
            code, out, err = self.call(*words[1:], "--out", f"run-{len(self.ran)}")
            assert code == 130, err
            return out
        code, out, err = self.program(*words[1:], *SHORT) if verb == "fit" else self.call(*words[1:])
        assert (code, err) == (0, ""), err
        return out


@pytest.fixture
def follow(
    call: Callable[..., Words],
    program: Program,
    capsys: pytest.CaptureFixture[str],
    monkeypatch: pytest.MonkeyPatch,
    tmp_path: Path,
) -> Callable[[str], Reader]:
    """Follow a recipe in a folder that holds what it is for, and nothing else."""

    def interrupt(*_: object) -> None:
        raise KeyboardInterrupt

    def run(heading: str) -> Reader:
        recipes.LOGS[heading](tmp_path)
        reader = Reader(call, program, lambda: capsys.readouterr().out)
        reader.follow(PAGE[heading])
        return reader

    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("MINARI_DATASETS_PATH", "datasets")
    monkeypatch.setattr("worldrex.pipeline._describe", interrupt)
    return run


def test_the_page_has_the_recipes_that_are_tested() -> None:
    assert list(PAGE) == list(recipes.LOGS)


@pytest.mark.parametrize(("heading", "said"), SAID.items(), ids=list(SAID))
def test_a_recipe_on_the_command_line(follow: Callable[[str], Reader], heading: str, said: list[str]) -> None:
    told = one_line("".join(follow(heading).told))
    assert [line for line in said if line not in told] == [], told


def test_other_names_and_data_frames(follow: Callable[[str], Reader]) -> None:
    logs = follow("A data frame").names["logs"]
    assert (len(logs), logs.obs.shape[1], logs.action.shape[1]) == (500, 3, 2)
    data = recipes.one_behavior(0)
    np.testing.assert_array_equal(logs.next_obs, data.next_obs)
    np.testing.assert_array_equal(logs.terminated, data.terminated)


def test_other_names_of_a_csv_export(follow: Callable[[str], Reader]) -> None:
    follow("A controller's CSV export")
    logs, data = load("plant.parquet"), recipes.one_behavior(0)
    assert logs.behavior_names == ("manual", "mpc", "pid")
    kept = slice(0, 49)  # the first episode, without the record that has no next observation
    np.testing.assert_array_equal(logs.obs[kept], data.obs[kept])
    np.testing.assert_array_equal(logs.action[kept], data.action[kept])
    np.testing.assert_array_equal(logs.reward[kept], -data.reward[kept])


def test_lists_of_several_logs_name_behaviors_of_all(follow: Callable[[str], Reader]) -> None:
    follow("A list for each of several logs")
    logs = load("monday-named.parquet", "tuesday-named.parquet")
    assert logs.behavior_names == ("a", "b", "c")
    true = [controlled(episodes=10, seed=seed).behavior for seed in range(2)]
    np.testing.assert_array_equal(logs.behavior, np.concatenate(true))


def test_labels_of_several_logs_are_numbered_through(follow: Callable[[str], Reader]) -> None:
    follow("Logs that do not say who acted")
    logs = load("labeled.parquet")
    true = np.concatenate([controlled(episodes=10, seed=seed).behavior for seed in range(2)])
    assert agreement(logs.behavior.astype(np.int64), true.astype(np.int64)) == 1
    with open("labeled.csv", encoding="utf-8") as file:
        rows = list(csv.DictReader(file))
    assert [int(row["episode"]) for row in rows] == list(range(60)) == np.unique(logs.episode).tolist()
    assert [row["behavior"] for row in rows] == [logs.behavior_names[who] for who in logs.behavior[::30]]


def test_a_log_that_lies_on_disk_is_its_parts_and_trains_a_model(follow: Callable[[str], Reader]) -> None:
    reader, parts = follow("Logs beyond memory"), [f"part-{number}.parquet" for number in range(4)]
    logs = load("converted")
    assert logs.behavior_names == ("pid", "mpc", "manual")
    assert logs.checksum() == load(*parts).checksum()
    assert load_model("fitted").obs_dims == 3
    assert reader.names["records"] == len(reader.names["logs"]) == 1000
