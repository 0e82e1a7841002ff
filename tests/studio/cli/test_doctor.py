from pathlib import Path

import pytest

from interfaces.folders import Home
from studio.cli.doctor import examine


def test_reports_versions_devices_and_space(home: Home) -> None:
    report = examine(home)
    assert str(report.versions["torch"]).startswith("2.")
    assert report.devices[-1].kind == "cpu"
    assert sum(device.used for device in report.devices) == 1
    assert report.disk_free_bytes > 0
    assert report.starter is False


def test_reports_what_prevents_a_run(home: Home, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("HF_HUB_OFFLINE", "1")
    monkeypatch.setattr("studio.cli.doctor.LEAST_FREE_BYTES", 10**18)
    hindrances = " ".join(examine(home).hindrances)
    assert "HF_HUB_OFFLINE" in hindrances
    assert "free at" in hindrances
    assert Path(str(home.path)).name in hindrances
