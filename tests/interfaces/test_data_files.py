from pathlib import Path

from interfaces.data_files import BINARIES, KINDS, SUFFIXES, TEXTS
from tests.conftest import ROOT


def test_each_suffix_is_of_one_kind_and_is_documented() -> None:
    assert len(set(KINDS)) == len(KINDS) == len(TEXTS) + len(BINARIES)
    text = (ROOT / "docs/data.md").read_text(encoding="utf-8").lower()
    assert [one for one in SUFFIXES if one.removeprefix(".") not in text] == []


def test_no_other_module_lists_them() -> None:
    listing = [
        path
        for room in ("interfaces", "studio", "trainer")
        for path in Path(ROOT / room).rglob("*.py")
        if '".ndjson", ".csv"' in path.read_text(encoding="utf-8") and path.name != "data_files.py"
    ]
    assert listing == []
