import re
from pathlib import Path

import numpy as np
import pytest

from tests.data.logs import make_log
from worldrex.data import DataError, LoadOptions, load
from worldrex.data.transitions import COLUMNS


def written(path: Path, **changed: np.ndarray) -> Path:
    """Four episodes of 10 steps without labels."""
    data = make_log(behaviors=1, episodes=4, steps=10)
    columns = {name: getattr(data, name) for name in COLUMNS if name != "behavior"} | changed
    np.savez(path, allow_pickle=False, **columns)
    return path


def listed(path: Path, text: str) -> LoadOptions:
    path.write_text(text, encoding="utf-8")
    return LoadOptions(behaviors=path)


@pytest.mark.parametrize(
    ("pattern", "names"),
    [(r"run-(\w+)-\d+", ("fast", "slow")), ("fast|slow", ("fast", "slow")), (r"(?P<who>f|s)", ("f", "s"))],
)
def test_a_pattern_on_the_names_of_files(pattern: str, names: tuple[str, ...], tmp_path: Path):
    paths = [written(tmp_path / f"run-{name}.npz") for name in ("fast-1", "slow-1", "fast-2")]
    data = load(*paths, options=LoadOptions(behavior_pattern=pattern))
    assert data.behavior_names == names
    np.testing.assert_array_equal(data.behavior[::40], [0, 1, 0])


def test_a_pattern_on_the_folders_of_files_of_one_name(tmp_path: Path):
    paths = []
    for folder in ("monday", "tuesday"):
        (tmp_path / folder).mkdir()
        paths.append(written(tmp_path / folder / "log.npz"))
    assert load(*paths, options=LoadOptions(behavior_pattern=r"^(\w{3})")).behavior_names == ("mon", "tue")


@pytest.mark.parametrize(
    ("pattern", "message"),
    [
        ("run-(", r"behavior_pattern 'run-\(' is not a regular expression: .*Give one such as"),
        ("crawl", "'crawl' is not found in the name 'run-fast-1'.*widen the pattern"),
        ("run(-x)?", "finds nothing of the name 'run-fast-1'"),
    ],
)
def test_patterns_that_find_nothing(pattern: str, message: str, tmp_path: Path):
    path = written(tmp_path / "run-fast-1.npz")
    with pytest.raises(DataError, match=message):
        load(path, options=LoadOptions(behavior_pattern=pattern))


@pytest.mark.parametrize(
    ("episode", "keys"),
    [
        (None, ["0", "1", "2", "3"]),
        (np.repeat([7, 70, 700, 2**40], 10), ["7", "070", "700.0", str(2**40)]),
        (np.repeat(["a", "b", "c", "d"], 10), ["a", "b", "c", "d"]),
    ],
)
def test_a_list_of_episodes(episode: np.ndarray | None, keys: list[str], tmp_path: Path):
    path = written(tmp_path / "log.npz", **({} if episode is None else {"episode": episode}))
    rows = "".join(f"{key},{name},x\n" for key, name in zip(keys, ["slow", "fast", "slow", "fast"], strict=True))
    data = load(path, options=listed(tmp_path / "who.csv", "\ufeffepisode,behavior,note\n" + rows + "99,nobody,x\n"))
    assert data.behavior_names == ("fast", "slow")
    np.testing.assert_array_equal(data.behavior[::10], [1, 0, 1, 0])


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("episode,behavior\n0,a\n3,b\n", "has no behavior for 2 episodes of .*: 1, 2. .*a row for every episode"),
        ("episode,behavior\n0,a\n0,b\n", "gives episode 0 to 'a' and to 'b'"),
        ("episode,behavior\n0,a\n1\n", "a row without episode or behavior at line 3"),
        ("episode,policy\n0,a\n", "needs the columns episode and behavior; there came 'episode', 'policy'"),
        ("", "there came an empty file"),
        ("episode,behavior\n0,\udcff\n", "is not a CSV file in UTF-8"),
    ],
)
def test_lists_that_cannot_be_used(text: str, message: str, tmp_path: Path):
    path = written(tmp_path / "log.npz")
    (tmp_path / "who.csv").write_bytes(text.encode("utf-8", "surrogateescape"))
    with pytest.raises(DataError, match=message):
        load(path, options=LoadOptions(behaviors=tmp_path / "who.csv"))


def test_a_list_that_is_not_there_and_one_for_several_logs(tmp_path: Path):
    path = written(tmp_path / "log.npz")
    with pytest.raises(DataError, match=r"cannot read .*nobody.csv': No such file.*path of behaviors"):
        load(path, options=LoadOptions(behaviors=tmp_path / "nobody.csv"))
    with pytest.raises(DataError, match="numbers the episodes of one log, and there came 2"):
        load(path, written(tmp_path / "b.npz"), options=LoadOptions(behaviors=tmp_path / "who.csv"))


@pytest.mark.parametrize(
    ("options", "said"),
    [
        (LoadOptions(behavior_cycle=2), "a behavior cycle of 2 was given.*leave out the cycle"),
        (LoadOptions(behavior_pattern="x+"), r"the pattern 'x\+' was given.*leave out the pattern"),
        (LoadOptions(behaviors="who.csv"), "the list who.csv was given.*leave out the list"),
    ],
)
def test_a_rule_beside_a_column(options: LoadOptions, said: str, tmp_path: Path):
    path = written(tmp_path / "log.npz", behavior=np.zeros(40, int))
    with pytest.raises(DataError, match=f"log.npz' has a column behavior, and {said}, or remove the column"):
        load(path, options=options)


def test_two_rules():
    options = LoadOptions(behavior_pattern="x", behavior_column="pilot")
    with pytest.raises(
        DataError, match=re.escape("there came behavior_pattern (x) and behavior_column (pilot), and each")
    ):
        load({}, behavior_cycle=None, options=options)
    with pytest.raises(DataError, match=r"behavior_cycle \(2\) and behavior_pattern \(x\)"):
        load({}, behavior_cycle=2, options=LoadOptions(behavior_pattern="x"))


def test_a_column_of_another_name_goes_before_behavior(tmp_path: Path):
    path = written(
        tmp_path / "log.npz",
        behavior=np.zeros(40, int),
        behavior_names=np.array(["all"]),
        pilot=np.repeat(["B", "A"], 20),
    )
    assert load(path).behavior_names == ("all",)
    data = load(path, options=LoadOptions(behavior_column="pilot"))
    assert data.behavior_names == ("A", "B")
    np.testing.assert_array_equal(data.behavior[::10], [1, 1, 0, 0])
    with pytest.raises(DataError, match=r"has no column 'pliot' for the behavior; there came .*'pilot'"):
        load(path, options=LoadOptions(behavior_column="pliot"))


def test_settings_are_those_that_were_given():
    assert LoadOptions().settings() == {"behavior_cycle": None}
    assert LoadOptions(obs_dims=3, behaviors="x").settings() == {
        "behavior_cycle": None,
        "behaviors": "x",
        "obs_dims": 3,
    }


def test_a_cycle_longer_than_the_log_is_refused(tmp_path: Path):
    log = written(tmp_path / "log.npz")
    with pytest.raises(DataError, match="the behavior cycle is 5, and the log has 4 episodes"):
        load(log, behavior_cycle=5)
    assert load(log, behavior_cycle=4).num_behaviors == 4
