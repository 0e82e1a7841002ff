"""The scripts of the pages: their arithmetic under Node's own tests, and that none is left unused or unchecked."""

import re
import shutil
import subprocess

import pytest

from tests.conftest import ROOT

STATIC = ROOT / "studio" / "static"
IMPORT = re.compile(r"""(?:from|import\()\s*"\./([a-z_]+\.js)\"""")


@pytest.mark.skipif(shutil.which("node") is None, reason="not installed: Node, for the tests of the pages' scripts")
def test_the_arithmetic_of_the_pages() -> None:
    done = subprocess.run(
        ["node", "--test", "tests/studio/static/"], cwd=ROOT, capture_output=True, text=True, check=False
    )
    assert done.returncode == 0, done.stdout
    assert "# fail 0" in done.stdout


def test_every_script_is_reached_from_the_first_and_is_type_checked() -> None:
    scripts = {path.name: path.read_text(encoding="utf-8") for path in STATIC.glob("*.js")}
    reached, ahead = set(), ["start.js", "shell.js"]
    while ahead:
        name = ahead.pop()
        if name not in reached:
            reached.add(name)
            ahead += IMPORT.findall(scripts[name])
    assert reached == set(scripts)
    assert [name for name, text in scripts.items() if "// @ts-check" not in text] == []


def test_scripts_name_no_other_server() -> None:
    for path in STATIC.glob("*.js"):
        addresses = set(re.findall(r"https?://[^\s\"'`)]+", path.read_text(encoding="utf-8")))
        assert addresses <= {"http://www.w3.org/2000/svg"}, path.name
