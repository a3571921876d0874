import numpy as np
import pyarrow as pa
import pytest

from tests.data.logs import make_log
from worldrex.data import DataError, load
from worldrex.data.transitions import COLUMNS


def arrays() -> dict[str, np.ndarray]:
    data = make_log()
    return {name: getattr(data, name) for name in COLUMNS}


def test_a_mapping_is_said_and_labeled():
    lines: list[str] = []
    columns = arrays()
    del columns["behavior"]
    both = load(columns, {**columns, "reward": columns["reward"] + 1}, say=lines.append)
    assert both.behavior_names == ("behavior 0", "behavior 1")
    assert lines == ["in memory: a mapping of arrays, 120 records"] * 2


def test_lists_and_names():
    columns = {name: values.tolist() for name, values in arrays().items()}
    data = load({**columns, "behavior_names": ["slow", "fast"]})
    assert data.behavior_names == ("slow", "fast")
    np.testing.assert_array_equal(data.obs, make_log().obs)


def test_an_arrow_table_and_categories_of_pandas():
    columns = {name: pa.array(values.tolist()) for name, values in arrays().items()}
    assert load(pa.table(columns)).behavior_names == ("behavior 0", "behavior 1")
    pandas = pytest.importorskip("pandas")
    frame = pandas.DataFrame({name: values.to_pylist() for name, values in columns.items()})
    frame["behavior"] = pandas.Categorical(np.array(["slow", "fast"])[arrays()["behavior"]])
    frame.index = range(500, 620)
    data = load(frame)
    assert data.behavior_names == ("fast", "slow")
    np.testing.assert_array_equal(data.obs, make_log().obs)


def test_what_is_no_log_in_memory():
    pandas = pytest.importorskip("pandas")
    frame = pandas.DataFrame({"obs_0": [1.0, "two"], "reward": [1, 2]})
    with pytest.raises(DataError, match=r"the data cannot be read as a table.*columns of numbers"):
        load(frame)
    with pytest.raises(DataError, match="obs is not an array"):
        load({**arrays(), "obs": [[1.0], [1.0, 2.0]]})
    with pytest.raises(DataError, match="reward has values of type object"):
        load({**arrays(), "reward": np.array([{}] * 120, dtype=object)})
    columns = arrays()
    del columns["obs"]
    with pytest.raises(DataError, match=r"obs_1 has shape \(3,\)"):
        load({**columns, "obs_0": np.ones(120), "obs_1": np.ones(3)})


def test_objects_in_a_polars_frame_end_no_process():
    polars = pytest.importorskip("polars")
    frame = polars.DataFrame({"reward": [0.5] * 3}).with_columns(
        polars.Series("note", [object()] * 3, dtype=polars.Object)
    )
    with pytest.raises(DataError, match=r"the data: 'note' has Python objects.*convert the column, or leave it out"):
        load(frame)
    named = polars.DataFrame({"Object": [{"Object": 1.0}] * 3})
    with pytest.raises(DataError, match="missing are obs, action"):
        load(named)
