"""JSON that says other things than it should."""

import json
from typing import Any

from tests.data.readers.damage.arrays import hostile_name
from tests.data.readers.damage.choices import Choices

VALUES: tuple[Any, ...] = (
    *(
        None,
        True,
        False,
        0,
        1,
        -1,
        2,
        6,
        2**31,
        2**63,
        10**400,
        0.5,
        float("nan"),
        float("inf"),
        "",
        "x",
        "1",
        "v2.1",
        "v9",
    ),
    *(
        [],
        {},
        [1],
        ["a"],
        ["a", "a"],
        ["a", "b"],
        ["a", 1],
        [None],
        [["a"]],
        {"a": 1},
        {"0": "a"},
        "a" * 5000,
        ["\ud800", ""],
    ),
    *(
        "../../etc",
        "/etc/passwd",
        "data/../../x",
        "~/x",
        "\0",
        "<b>",
        "a\nb",
        "\x1b[31m",
        ["<b>", "a\nb", "\x1b[31m"],
        "nan",
    ),
)
KEYS = (
    "format",
    "records",
    "behavior_names",
    "dataset_id",
    "worldrex_behavior_names",
    "codebase_version",
    "total_frames",
)
KEYS += ("data_path", "data_format", "fps")
WHOLES = (
    "",
    "{",
    "null",
    "[]",
    "3",
    '"x"',
    "[" * 100_000,
    '{"a":' * 50_000,
    "1" * 5000,
    "\ufeff{}",
    "{} {}",
    "NaN",
    "{'a': 1}",
)


def json_bytes(content: bytes, choices: Choices) -> bytes:
    if choices.chance(6):
        return choices.one_of(WHOLES).encode()
    said = json.loads(content)
    for _ in range(1 + choices.below(2)):
        key = choices.one_of([*said, *said, *said, *KEYS]) if choices.below(5) else hostile_name(choices)
        if choices.chance(5):
            said.pop(key, None)
        else:
            said[key] = choices.one_of(VALUES)
    return json.dumps(said).encode(choices.one_of(["utf-8", "utf-8", "utf-8", "utf-16", "utf-8-sig"]))
