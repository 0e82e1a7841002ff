import os
from pathlib import Path

import pytest

from studio.cli.console import (
    duration,
    expanded,
    figures,
    leave_unusable_proxies,
    print_table,
    program_name,
)


def test_columns_are_as_wide_as_they_need_to_be(capsys: pytest.CaptureFixture[str]) -> None:
    print_table(["ID", "STATE"], [["a-long-id", "running"], ["b", "-"]])
    assert capsys.readouterr().out.splitlines() == ["ID         STATE", "a-long-id  running", "b          -"]


def test_figures_and_durations_are_formatted() -> None:
    assert figures(1.23456, None) == "1.235 > -"
    assert (duration(59.6), duration(3599), duration(7260)) == ("1m00s", "59m59s", "2h01m")


def test_quoted_tilde_expands_to_home(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("HOME", "/somebody")
    assert (expanded("~/a.csv"), expanded(Path("~/a.csv"))) == ("/somebody/a.csv", Path("/somebody/a.csv"))
    assert (expanded("hub:~x"), expanded(None), expanded("a~b")) == ("hub:~x", None, "a~b")


@pytest.mark.parametrize(
    ("value", "left"),
    [("socks5://127.0.0.1:1", True), ("http://127.0.0.1:1", True), ("127.0.0.1:8080", True), ("socks4://me:secret@127.0.0.1:1", False)],
)  # fmt: skip
def test_unusable_proxy_is_removed_with_warning(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str], value: str, left: bool
) -> None:
    monkeypatch.setenv("ALL_PROXY", value)
    leave_unusable_proxies()
    said = capsys.readouterr().err
    assert (os.environ.get("ALL_PROXY") == value, said == "") == (left, left)
    assert "secret" not in said
    if not left:
        assert "ALL_PROXY is socks4://127.0.0.1:1" in said


def test_shown_commands_can_be_run(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr("sys.argv", [str(tmp_path / ".venv" / "bin" / "finetune")])
    monkeypatch.setenv("PATH", str(tmp_path))
    assert program_name() == ".venv/bin/finetune"
    (tmp_path / "finetune").touch(mode=0o755)
    assert program_name() == "finetune"
