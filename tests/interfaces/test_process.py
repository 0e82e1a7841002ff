import os
import signal
import subprocess
import sys

from interfaces.process import ProcessIdentity


def test_this_process_is_alive_and_comes_back_from_its_record() -> None:
    me = ProcessIdentity.of(os.getpid())
    assert me is not None
    assert me.is_alive()
    assert ProcessIdentity.from_record(me.to_record()) == me


def test_reused_pid_is_another_process() -> None:
    me = ProcessIdentity.of(os.getpid())
    assert me is not None
    stale = ProcessIdentity(me.pid, "1", me.boot_id)
    assert not stale.is_alive()
    assert stale.send(signal.SIGKILL) is False  # and we are still here


def test_another_boot_is_another_process() -> None:
    me = ProcessIdentity.of(os.getpid())
    assert me is not None
    assert not ProcessIdentity(me.pid, me.start_time, "another boot").is_alive()


def test_a_zombie_is_not_alive() -> None:
    child = subprocess.Popen([sys.executable, "-c", "input()"], stdin=subprocess.PIPE)
    identity = ProcessIdentity.of(child.pid)
    assert identity is not None
    assert child.stdin is not None
    os.waitid(os.P_PID, child.pid, os.WEXITED | os.WNOHANG | os.WNOWAIT)
    child.stdin.close()
    os.waitid(os.P_PID, child.pid, os.WEXITED | os.WNOWAIT)  # it has ended, nobody has reaped it
    assert not identity.is_alive()
    child.wait()
    assert not identity.is_alive()


def test_invalid_process_record_is_none() -> None:
    assert ProcessIdentity.from_record(None) is None
    assert ProcessIdentity.from_record({"pid": "x", "start_time": 1, "boot_id": 2}) is None
    assert ProcessIdentity.of(2**22 + 1) is None
