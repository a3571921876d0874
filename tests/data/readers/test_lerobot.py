import json
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from tests.data.readers.formats import (
    lerobot_v2,
    lerobot_v2_operators,
    lerobot_v3,
    lerobot_v3_operators,
    small_log,
    with_last_frames,
)
from worldrex.data import DataError, LoadOptions, load

every_version = pytest.mark.parametrize("write", [lerobot_v2, lerobot_v3])
told_by_metadata = pytest.mark.parametrize("write", [lerobot_v2_operators, lerobot_v3_operators])
OPERATOR, TASKS = LoadOptions(behavior_column="operator"), LoadOptions(behavior_column="tasks")
Write = Callable[..., Path]


def edit(folder: Path, change: Callable[[pa.Table], pa.Table]) -> None:
    for file in folder.glob("data/**/*.parquet"):
        pq.write_table(change(pq.read_table(file)), file)


@every_version
def test_without_rewards_they_are_0_and_the_line_says_so(write: Write, tmp_path: Path):
    path = write(with_last_frames(small_log()), tmp_path)
    edit(path, lambda table: table.drop_columns(["next.reward", "next.done"]))
    lines: list[str] = []
    data = load(path, say=lines.append)
    assert not data.reward.any()
    assert len(data) == 60
    assert data.behavior_names == ("robot",)
    assert lines[0].startswith(f"{path}: a LeRobot data set, v")
    assert "12 steps dropped (the last of their episode, next_obs unknown)" in lines[0]
    assert lines[0].endswith("no next.reward: every reward is 0")


@every_version
def test_the_state_of_the_environment_joins_that_of_the_robot(write: Write, tmp_path: Path):
    path = write(with_last_frames(small_log()), tmp_path)
    edit(path, lambda table: table.append_column("observation.environment_state", table["observation.state"]))
    np.testing.assert_array_equal(load(path).obs, np.tile(small_log().obs, 2))


def edit_episodes(folder: Path, change: Callable[[list[dict]], list[dict]]) -> None:
    """Change the rows of the metadata, of version 3 file by file."""
    if (folder / "meta" / "episodes.jsonl").exists():
        lines = (folder / "meta" / "episodes.jsonl").read_text().splitlines()
        rows = change([json.loads(line) for line in lines])
        (folder / "meta" / "episodes.jsonl").write_text("\n".join(map(json.dumps, rows)))
    for file in folder.glob("meta/episodes/**/*.parquet"):
        pq.write_table(pa.Table.from_pylist(change(pq.read_table(file).to_pylist())), file)


@told_by_metadata
def test_the_behavior_is_what_the_metadata_say_of_the_episode(write: Write, tmp_path: Path):
    path = write(with_last_frames(small_log()), tmp_path)
    lines: list[str] = []
    data = load(path, options=TASKS, say=lines.append)
    assert data.behavior_names == ('["wipe", "stack"]', "stack")
    np.testing.assert_array_equal(data.behavior, data.episode % 2)
    assert lines[0].endswith("the behavior is 'tasks' of the episodes' metadata")
    edit_episodes(
        path, lambda rows: [row | {"operator": "Ada Bo"[row["episode_index"] // 4 * 2 :][:3]} for row in rows]
    )
    data = load(path, options=OPERATOR)
    np.testing.assert_array_equal(np.array(data.behavior_names)[data.behavior], np.repeat(["Ada", "a B", "Bo"], 20))


@told_by_metadata
def test_a_column_of_the_frames_comes_before_one_of_the_episodes(write: Write, tmp_path: Path):
    path = write(with_last_frames(small_log()), tmp_path)
    edit(path, lambda table: table.append_column("operator", table["episode_index"]))
    assert load(path, options=OPERATOR).num_behaviors == 12


@told_by_metadata
def test_a_column_that_neither_has(write: Write, tmp_path: Path):
    path = write(with_last_frames(small_log()), tmp_path)
    with pytest.raises(DataError, match=r"no column 'pilot' for the behavior; there came 'tasks', 'operator', 'frame'"):
        load(path, options=LoadOptions(behavior_column="pilot"))


@told_by_metadata
@pytest.mark.parametrize(
    ("change", "message"),
    [
        (lambda rows: [row for row in rows if row["episode_index"] not in (3, 7)], "no 'operator' for 2 ep.*: 3, 7. "),
        (lambda rows: [*rows, *rows[-1:]], r"of \d episodes? more than once in its metadata, first of (5|11)\."),
        (
            lambda rows: [row | {"operator": None if row["episode_index"] == 2 else 1} for row in rows],
            "1 missing value",
        ),
        (lambda rows: [row | {"operator": {"name": "Ada"}} for row in rows], "behavior|operator has values of type"),
        (lambda rows: [row | {"episode_index": str(row["episode_index"])} for row in rows], "without episode_index"),
        (
            lambda rows: [{"operator": row["operator"]} for row in rows],
            "episode_index has 12 missing values|without episode_index",
        ),
    ],
)
def test_metadata_that_do_not_say_it_once_of_each_episode(write: Write, change: Callable, message: str, tmp_path: Path):
    path = write(with_last_frames(small_log()), tmp_path)
    edit_episodes(path, change)
    with pytest.raises(DataError, match=message):
        load(path, options=OPERATOR)


@pytest.mark.parametrize(
    "content", ["[1]\n", "{", '{"a":' * 100_000, "\xff", '{"episode_index": 0, "operator": 1}\n{"']
)
def test_broken_lines(content: str, tmp_path: Path):
    path = lerobot_v2_operators(with_last_frames(small_log()), tmp_path)
    (path / "meta" / "episodes.jsonl").write_text(content, encoding="latin-1")
    with pytest.raises(DataError, match=r"episodes\.jsonl' is truncated or damaged"):
        load(path, options=OPERATOR)
    load(path, options=LoadOptions(behavior_cycle=2))  # which asks nothing of them


@every_version
def test_frames_that_are_missing_are_not_bridged(write: Write, tmp_path: Path):
    columns = with_last_frames(small_log())
    path = write(columns, tmp_path)
    file = sorted(path.glob("data/**/*.parquet"))[-1]
    whole = pq.read_table(file)
    pq.write_table(pa.concat_tables([whole.slice(0, 2), whole.slice(3)]), file)
    with pytest.raises(DataError, match=r"has 71 frames, and its meta/info.json says 72.*download"):
        load(path)
    info = json.loads((path / "meta" / "info.json").read_text())
    (path / "meta" / "info.json").write_text(json.dumps(info | {"total_frames": 71}))
    with pytest.raises(DataError, match=r"frame_index is 3 at row \d+ in episode \d+, and 2 was expected"):
        load(path)


@every_version
@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"codebase_version": "v1.6"}, "version 'v1.6'.*reads versions 2 and 3"),
        ({"data_path": "../elsewhere/{episode_index}.parquet"}, "out of the folder"),
        ({"data_path": "/data/{episode_index}.parquet"}, "out of the folder"),
    ],
)
def test_what_info_json_may_not_say(write: Write, changes: dict, message: str, tmp_path: Path):
    path = write(with_last_frames(small_log()), tmp_path)
    info = json.loads((path / "meta" / "info.json").read_text())
    (path / "meta" / "info.json").write_text(json.dumps(info | changes))
    with pytest.raises(DataError, match=message):
        load(path)


@pytest.mark.parametrize("content", ["", "[1]", "{", '{"a":' * 100_000, "\xff"])
def test_a_broken_info_json(content: str, tmp_path: Path):
    path = lerobot_v2(with_last_frames(small_log()), tmp_path)
    (path / "meta" / "info.json").write_text(content, encoding="latin-1")
    with pytest.raises(DataError, match=r"info\.json' is truncated or damaged"):
        load(path)


def test_missing_columns_and_files(tmp_path: Path):
    path = lerobot_v2(with_last_frames(small_log()), tmp_path)
    edit(path, lambda table: table.drop_columns(["observation.state"]))
    with pytest.raises(DataError, match=r"lacks observation\.state; there came .*'timestamp'"):
        load(path)
    for file in path.glob("data/**/*.parquet"):
        file.unlink()
    with pytest.raises(DataError, match="no Parquet files in data/"):
        load(path)


@pytest.mark.parametrize(
    "place", ["meta/info.json", "meta", "data", "data/chunk-000", "data/chunk-000/episode_000003.parquet"]
)
def test_links_are_refused(place: str, tmp_path: Path):
    path = lerobot_v2(with_last_frames(small_log()), tmp_path)
    (path / place).rename(tmp_path / "elsewhere")
    (path / place).symlink_to(tmp_path / "elsewhere")
    with pytest.raises(DataError, match=r"leads out of its place in .* it is a link.*cp -rL"):
        load(path)


@pytest.mark.parametrize(
    ("write", "place"),
    [(lerobot_v2_operators, "meta/episodes.jsonl"), (lerobot_v3_operators, "meta/episodes/chunk-001")],
)
def test_links_to_metadata_are_refused(write: Write, place: str, tmp_path: Path):
    path = write(with_last_frames(small_log()), tmp_path)
    (path / place).rename(tmp_path / "elsewhere")
    (path / place).symlink_to(tmp_path / "elsewhere")
    with pytest.raises(DataError, match=r"leads out of its place in .* it is a link.*cp -rL"):
        load(path, options=OPERATOR)
