from typing import Any

import pytest

from interfaces.problems import Code
from trainer.data.cells import RowError
from trainer.data.lists import as_list, parsed

TURNS = [{"role": "user", "content": "a } { b"}, {"role": "assistant", "content": "it's"}]


@pytest.mark.parametrize(
    ("text", "value"),
    [
        ('[{"role": "user", "content": "a } { b"}, {"role": "assistant", "content": "it\'s"}]', TURNS),
        ("[{'role': 'user', 'content': 'a } { b'}\n {'role': 'assistant', 'content': \"it's\"}]", TURNS),
        ("array([{'n': nan, 'calls': array([], dtype=object)}], dtype=object)", [{"n": None, "calls": []}]),
        ("[array(['a', 'b'], dtype=object) array(['c', 'd'], dtype=object)]", [["a", "b"], ["c", "d"]]),
        ("['a' 'b, c']", ["a", "b, c"]),
        ("[{'n': np.int64(3), 'yes': np.True_}]", "[{'n': np.int64(3), 'yes': np.True_}]"),
        ("[{'n': np.int64(3)}]", [{"n": 3}]),
        ("[open('/etc/passwd')]", "[open('/etc/passwd')]"),
    ],
)
def test_printed_list_is_parsed_back(text: str, value: Any) -> None:
    assert parsed(text, "turns") == value


@pytest.mark.parametrize("text", ['[{"a": 1, "b": 2, "a": 3}]', "[{'a': 1, 'a': 3}]"])
def test_duplicate_key_is_named(text: str) -> None:
    with pytest.raises(RowError) as raised:
        parsed(text, "turns")
    assert (raised.value.code, raised.value.params["field"]) == (Code.ROW_KEY_TWICE, "turns.a")


def test_non_list_is_rejected_with_its_type() -> None:
    with pytest.raises(RowError) as raised:
        as_list("[not a list", "turns", "list_of_turns")
    assert raised.value.params["value"] == "type_text"
