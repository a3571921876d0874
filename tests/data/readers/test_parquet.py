import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from tests.data.logs import make_log
from worldrex.data.readers import load
from worldrex.data.transitions import DataError


def lists(values: np.ndarray, kind=None) -> pa.Array:
    return pa.array(values.tolist(), kind or pa.list_(pa.float64()))


def foreign(**changes) -> pa.Table:
    """A log as another program writes it: plain lists of doubles, behaviors by name."""
    data = make_log(behaviors=2, names=("slow", "fast"))
    columns = {
        "obs": lists(data.obs),
        "action": lists(data.action, pa.large_list(pa.float32())),
        "next_obs": lists(data.next_obs),
        "reward": pa.array(data.reward),
        "done": pa.array(data.truncated.astype(np.int8)),
        "behavior": pa.array([data.behavior_names[i] for i in data.behavior]),
        "comment": pa.array([None] * len(data), pa.string()),
    }
    columns |= changes
    return pa.table({name: values for name, values in columns.items() if values is not None})


def test_lists_names_and_chunks_of_another_program(tmp_path):
    data = make_log(behaviors=2)
    pq.write_table(foreign(), tmp_path / "log.parquet", row_group_size=17)
    read = load(tmp_path / "log.parquet")
    np.testing.assert_array_equal(read.obs, data.obs)
    np.testing.assert_array_equal(read.action, data.action)
    assert read.behavior_names == ("fast", "slow")
    np.testing.assert_array_equal(read.behavior, 1 - data.behavior)
    np.testing.assert_array_equal(read.terminated, data.truncated)
    np.testing.assert_array_equal(read.episode, data.episode)


def test_categories_read_as_their_names(tmp_path):
    categories = foreign()["behavior"].combine_chunks().dictionary_encode()
    pq.write_table(foreign(behavior=categories), tmp_path / "log.parquet")
    assert load(tmp_path / "log.parquet").behavior_names == ("fast", "slow")


def with_null(values: pa.Array, row: int) -> pa.Array:
    entries = values.to_pylist()
    entries[row] = None
    return pa.array(entries, values.type)


def deep_null() -> pa.Array:
    entries = make_log().obs.tolist()
    entries[9][1] = None
    return pa.array(entries, pa.list_(pa.float32(), 3))


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"obs": None}, "missing is obs; there came 'comment', 'next_obs'|missing is obs; there came 'comment'"),
        ({"reward": with_null(pa.array(make_log().reward), 4)}, r"reward has 1 missing value \(null; first at row 4\)"),
        ({"obs": with_null(lists(make_log().obs), 6)}, r"obs has 1 missing value \(null; first at row 6\)"),
        ({"obs": deep_null()}, r"obs has 1 missing value \(null; first at row 9\)"),
        ({"obs": pa.array([[1.0]] * 119 + [[1.0, 2.0]])}, r"different lengths \(1 at row 0, 2 at row 119\)"),
        ({"obs": pa.array([[]] * 120, pa.list_(pa.float32()))}, "obs has no components"),
        ({"reward": pa.array([0] * 120, pa.timestamp("s"))}, "reward has values of type 'timestamp"),
        ({"reward": pa.array(["0.1"] * 7 + ["1,5"] * 113)}, "reward has values of type string, such as '1,5' at row 7"),
        ({"reward": pa.array(["0.1"] * 120)}, "reward has values of type string, such as '0.1'. worldrex"),
        ({"reward": pa.array([{"a": 1}] * 120)}, "reward has values of type 'struct<a: int64>'"),
    ],
)
def test_each_wrong_column_is_named(changes, message, tmp_path):
    pq.write_table(foreign(**changes), tmp_path / "log.parquet")
    with pytest.raises(DataError, match=message):
        load(tmp_path / "log.parquet")


def test_no_rows(tmp_path):
    pq.write_table(foreign().slice(0, 0), tmp_path / "log.parquet")
    with pytest.raises(DataError, match="there are no records"):
        load(tmp_path / "log.parquet")


def test_a_later_version_of_the_format_is_not_guessed_at(tmp_path):
    make_log().save(tmp_path / "log.parquet")
    table = pq.read_table(tmp_path / "log.parquet")
    pq.write_table(table.replace_schema_metadata({"worldrex.format": "2"}), tmp_path / "new.parquet")
    with pytest.raises(DataError, match="version 2 of worldrex's format"):
        load(tmp_path / "new.parquet")
    pq.write_table(table.replace_schema_metadata({"worldrex.format": "1"}), tmp_path / "odd.parquet")
    with pytest.raises(DataError, match="not a list of names"):
        load(tmp_path / "odd.parquet")
