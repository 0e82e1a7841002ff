"""Limits and kills of both versions of control groups, from files as the kernel writes them."""

import os
from pathlib import Path

from interfaces.control_groups import memory_kill_counter, memory_kills, memory_limits, processor_shares


def test_container_limit_counts_as_machine_memory(tmp_path: Path) -> None:
    inner = tmp_path / "outer" / "inner"
    inner.mkdir(parents=True)
    own = tmp_path / "cgroup"
    own.write_text("0::/outer/inner\n")
    (inner / "memory.max").write_text("max\n")
    (inner / "memory.current").write_text("500\n")
    (tmp_path / "outer" / "memory.max").write_text("8000\n")
    (tmp_path / "outer" / "memory.current").write_text("3000\n")
    (tmp_path / "outer" / "memory.stat").write_text("anon 1\ninactive_file 1000\n")
    assert memory_limits(tmp_path, own) == [(8000, 2000)]
    assert memory_limits(tmp_path, tmp_path / "absent") == []


def test_limits_of_version_1_are_read(tmp_path: Path) -> None:
    own = tmp_path / "cgroup"
    own.write_text("4:cpu,memory:/mine\n0::/\n")
    for controller, files in {
        "memory": {
            "memory.limit_in_bytes": "9000",
            "memory.usage_in_bytes": "10",
            "memory.stat": "total_inactive_file 4",
        },
        "cpu": {"cpu.cfs_quota_us": "150000", "cpu.cfs_period_us": "100000"},
    }.items():
        for name, text in files.items():
            path = tmp_path / controller / "mine" / name
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_text(text + "\n")
    assert memory_limits(tmp_path, own) == [(9000, 6)]
    assert processor_shares(tmp_path, own) == [2]


def test_without_limits_there_are_none(tmp_path: Path) -> None:
    own = tmp_path / "cgroup"
    own.write_text("0::/a\n")
    (tmp_path / "a").mkdir()
    (tmp_path / "a" / "cpu.max").write_text("max 100000\n")
    (tmp_path / "a" / "memory.max").write_text("max\n")
    assert (memory_limits(tmp_path, own), processor_shares(tmp_path, own)) == ([], [])


def test_root_cgroup_counts_inside_containers(tmp_path: Path) -> None:
    own = tmp_path / "cgroup"
    own.write_text("0::/a/name/that/only/the/host/knows\n")
    (tmp_path / "cpu.max").write_text("50000 100000\n")
    assert processor_shares(tmp_path, own) == [1]


def test_kills_of_both_versions_are_counted(tmp_path: Path) -> None:
    (tmp_path / "v1").write_text("oom_kill_disable 0\nunder_oom 0\noom_kill 3\n")
    (tmp_path / "v2").write_text("low 0\nhigh 0\nmax 12\noom 1\noom_kill 1\n")
    assert [memory_kills(tmp_path / name) for name in ("v1", "v2", "absent")] == [3, 1, 0]
    assert memory_kill_counter(os.getpid()).exists()
