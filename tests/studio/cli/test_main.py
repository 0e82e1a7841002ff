"""`finetune` as a person meets it: a real process for each command."""

import json
import os
import signal
import subprocess
import sys
import zipfile
from pathlib import Path
from typing import Any

import pytest

from interfaces.events import Evaluated, Step, read_events
from interfaces.folders import Home, RunFolder
from studio.processes.launcher import LocalLauncher
from studio.runs.state import list_runs
from tests.conftest import alpaca_rows, make_tiny_model, until, write_rows
from tests.support.fake_runs import let_go
from tests.support.fakes import fake_trainer_package
from tests.support.hub_server import COMMIT, serve
from tests.support.records import kept
from tests.support.terminal import FINETUNE, config_file, finetune, refused

pytestmark = pytest.mark.process

COMMANDS = ("train", "resume", "stop", "runs", "models", "download", "export", "doctor", "demo", "studio")


def test_help_names_every_command(home: Home) -> None:
    done = finetune("--help", home=home)
    assert done.returncode == 0
    for command in COMMANDS:
        assert command in done.stdout
        assert finetune(command, "--help", home=home).returncode == 0


def test_an_empty_home_is_no_error(home: Home) -> None:
    assert "No runs yet" in finetune("runs", home=home).stdout
    assert json.loads(finetune("runs", "--json", home=home).stdout) == []
    assert not home.path.exists()


@pytest.mark.parametrize(
    ("change", "says"),
    [
        ({"learning_rat": 1}, "Did you mean 'learning_rate'?"),
        ({"max_length": 3}, "max_length is 3, but it should be at least 16."),
        ({"dataset": ""}, "dataset is required, but it is not set"),
        ({"dataset": "/no/such/file.jsonl"}, "/no/such/file.jsonl does not exist."),
        ({"load_in_8bit": True, "load_in_4bit": True}, "load_in_8bit and load_in_4bit are mutually exclusive"),
        ({"bf16": True, "fp16": True}, "bf16 and fp16 are mutually exclusive"),
    ],
)
def test_invalid_config_prints_error(
    home: Home, rows_file: Path, tmp_path: Path, change: dict[str, Any], says: str
) -> None:
    config = {"model_name": "starter", "dataset": str(rows_file), **change}
    assert says in refused(finetune("train", config_file(tmp_path, config), home=home))
    assert not list(home.runs.glob("*"))


@pytest.mark.parametrize(
    ("name", "content", "says"),
    [
        ("empty.jsonl", b"", "empty.jsonl is empty"),
        ("rows.parquet", b"not parquet", "has the extension '.parquet', but its content doesn't match"),
        ("rows.csv", b'{"a": 1}', "it contains JSON"),
        ("rows.docx", b"PK\x03\x04", "ends in '.docx'"),
        ("rows.jsonl", b'{"foo": 1}\n', "has the columns foo, which match no known format"),
        ("rows.jsonl", b'{"prompt": "a", "completion": "b"}\n\n{"prompt": "a"\n', "rows.jsonl line 3: invalid JSON"),
        ("rows.json", b'[{"prompt": "a", "completion": ""}]', "the field 'completion' is empty"),
    ],
)
def test_invalid_data_file_prints_error(home: Home, tmp_path: Path, name: str, content: bytes, says: str) -> None:
    (tmp_path / name).write_bytes(content)
    config = {"model_name": "starter", "dataset": str(tmp_path / name)}
    assert says in refused(finetune("train", config_file(tmp_path, config), home=home))


@pytest.mark.parametrize(
    ("arguments", "says"),
    [
        (("train", "none.yaml"), "none.yaml does not exist."),
        (("stop", "none"), "Run 'none' not found"),
        (("resume", "none"), "Run 'none' not found"),
        (("export", "none", "--out", "x"), "Run 'none' not found"),
        (("download", "/no/such/folder"), "/no/such/folder does not exist."),
    ],
)
def test_missing_objects_print_error(home: Home, tmp_path: Path, arguments: tuple[str, ...], says: str) -> None:
    assert says in refused(finetune(*arguments, home=home, cwd=tmp_path))


def test_unwritable_home_prints_error(tmp_path: Path, rows_file: Path) -> None:
    (tmp_path / "file").touch()
    config = config_file(tmp_path, {"model_name": "starter", "dataset": str(rows_file)})
    assert "Can't write" in refused(finetune("train", config, home=Home(tmp_path / "file" / "home")))


def test_full_disk_prints_error(tmp_path: Path, rows_file: Path) -> None:
    place = tmp_path / "small"
    place.mkdir()
    mounted = subprocess.run(
        ["mount", "-t", "tmpfs", "-o", "size=4k", "tmpfs", place], capture_output=True, check=False
    )
    if mounted.returncode != 0:
        pytest.skip("a small file system can't be mounted here: run it as root, outside a container")
    try:
        config = config_file(tmp_path, {"model_name": "starter", "dataset": str(rows_file)})
        said = refused(finetune("train", config, home=Home(place / "home")))
        assert "Not enough disk space at" in said
        assert "needed" in said
    finally:
        subprocess.run(["umount", place], check=True)


def test_models_are_listed_with_what_they_need(home: Home, tmp_path: Path) -> None:
    done = finetune("models", "--json", home=home, HF_HOME=str(tmp_path / "hf"))
    models = json.loads(done.stdout)
    assert models[0]["id"] == "Qwen/Qwen2.5-Coder-1.5B-Instruct"
    assert all({"id", "path", "vram_hint"} <= set(model) for model in models)
    assert {model["path"] for model in models} == {None}
    assert all(model["total_bytes"] > 0 and model["fit_level"] in ("fits", "tight", "too_big") for model in models)


def test_doctor_answers_in_json_too(home: Home) -> None:
    report = json.loads(finetune("doctor", "--json", home=home).stdout)
    assert report["home"] == str(home.path)
    assert report["versions"]["transformers"]


def test_without_the_heavy_libraries_help_manager_and_contract_work(home: Home, tmp_path: Path) -> None:
    """torch, transformers and peft made absent by an import hook, in a fresh process."""
    code = """
import sys
class Absent:
    def find_spec(self, name, path=None, target=None):
        if name.split('.')[0] in ('torch', 'transformers', 'peft', 'bitsandbytes', 'accelerate', 'pyarrow'):
            raise ModuleNotFoundError(name)
sys.meta_path.insert(0, Absent())
from pathlib import Path
from interfaces import PresetConfigs, config_problems
from interfaces.folders import Home
from studio.finetune_manager import FinetuneManager
from tests.support.fakes import FakeFineTuneService
fake = FakeFineTuneService()
manager = FinetuneManager(fake, Home(Path(sys.argv[1])))
task = manager.create_task({**PresetConfigs.rtx_3060().model_dump(), 'dataset': 'rows.jsonl'})
manager.start_training(task)
assert fake.trained == [manager.config(task)]
sys.argv = ['finetune', '--help']
from studio.cli import main
main.main()
"""
    root = Path(__file__).resolve().parents[2]
    done = subprocess.run(
        [sys.executable, "-c", code, home.path], capture_output=True, text=True, check=False, cwd=root
    )
    assert done.returncode == 0, done.stderr
    assert "resume" in done.stdout


# From here on: real runs of the tiny model, each with its supervisor and its trainer.


@pytest.mark.tiny
def test_train_json_prints_events_and_result_without_secrets(
    home: Home, tiny_config: dict[str, Any], tmp_path: Path
) -> None:
    canary = "hf_" + "CANARY" * 6
    config = config_file(tmp_path, tiny_config)
    done = finetune("train", config, "--set", "num_train_epochs=4", "--json", home=home, HF_TOKEN=canary)
    assert done.returncode == 0, done.stderr
    *events, last = [json.loads(line) for line in done.stdout.splitlines()]
    steps = [event for event in events if event["kind"] == "step"]
    assert [step["step"] for step in steps] == list(range(1, 17))
    assert set(last) == {
        "run", "state", "adapter", "train_loss_first", "train_loss_last", "tokens_per_second", "peak_memory_bytes",
    }  # fmt: skip
    assert last["train_loss_last"] < 0.7 * last["train_loss_first"]
    assert (Path(last["adapter"]) / "adapter_model.safetensors").is_file()
    [run] = json.loads(finetune("runs", "--json", home=home).stdout)
    assert (run["id"], run["state"], run["dataset"]) == (last["run"], "finished", "rows.jsonl")
    exported = finetune("export", "last", "--to", "adapter", "--out", tmp_path / "a.zip", home=home)
    assert exported.stdout.splitlines()[0] == str(tmp_path / "a.zip")
    assert "Proven: the first 16 tokens of" in exported.stdout
    assert "adapter_config.json" in zipfile.ZipFile(tmp_path / "a.zip").namelist()
    assert "already exists" in refused(finetune("export", "last", "--out", tmp_path / "a.zip", home=home))
    assert "is finished" in refused(finetune("resume", "last", home=home))
    assert "is finished" in refused(finetune("stop", "last", home=home))
    # The secret in the environment has reached nothing that was written.
    written = [path for path in home.run(last["run"]).path.rglob("*") if path.is_file()]
    assert len(written) > 15
    assert [path for path in written if canary.encode() in path.read_bytes()] == []


@pytest.mark.parametrize("kill", [signal.SIGKILL, signal.SIGHUP, signal.SIGTERM])
def test_killing_the_command_does_not_affect_the_run(
    home: Home, rows_file: Path, tmp_path: Path, kill: signal.Signals
) -> None:
    config = config_file(tmp_path, {"model_name": "fake", "dataset": str(rows_file), "name": "waits"})
    environment = {**os.environ, "FINETUNE_HOME": str(home.path), **fake_trainer_package(tmp_path / "fake")}
    command = subprocess.Popen(
        [FINETUNE, "train", config], env=environment, stdout=subprocess.DEVNULL,
        start_new_session=True, preexec_fn=lambda: signal.signal(signal.SIGHUP, signal.SIG_DFL),  # under nohup, too
    )  # fmt: skip
    until(lambda: any(logged_steps(folder) for folder in runs_of(home)))
    [folder] = runs_of(home)
    os.killpg(command.pid, kill)
    command.wait()
    let_go(folder)
    until(lambda: LocalLauncher().find(folder) is None)
    [run] = json.loads(finetune("runs", "--json", home=home).stdout)
    assert (run["state"], run["step"]) == ("finished", 3)
    assert logged_steps(folder) == [1, 2, 3]


def runs_of(home: Home) -> list[RunFolder]:
    return [RunFolder(path) for path in home.runs.glob("*")]


def logged_steps(folder: RunFolder) -> list[int]:
    return [event.step for event in kept(read_events(folder.events)) if isinstance(event, Step)]


@pytest.mark.tiny
@pytest.mark.long  # in faults/ the trainer alone, many times
def test_stopped_and_resumed_run_equals_uninterrupted_run(
    home: Home, tiny_config: dict[str, Any], tmp_path: Path
) -> None:
    config = config_file(
        tmp_path,
        {
            **tiny_config,
            "num_train_epochs": 100,
            "validation_split": 0.25,
            "eval_steps": 0.25,
            "lora": {"lora_dropout": 0.1},
        },
    )
    started = finetune("train", config, "--detach", home=home)
    assert started.returncode == 0, started.stderr
    [folder] = runs_of(home)
    assert folder.id in started.stdout
    until(lambda: len(logged_steps(folder)) > 5)
    stopped = finetune("stop", folder.id[-4:], home=home)
    assert stopped.returncode == 0, stopped.stderr
    assert "is stopped" in stopped.stdout
    assert len(logged_steps(folder)) < 300
    resumed = finetune("resume", folder.id, "--json", home=home)
    assert resumed.returncode == 0, resumed.stderr
    assert logged_steps(folder) == list(range(1, 301))
    assert json.loads(resumed.stdout.splitlines()[0])["resumed_from_step"] > 5
    undisturbed = json.loads(finetune("train", config, "--json", home=home).stdout.splitlines()[-1])
    other = home.run(undisturbed["run"])
    assert [e.loss for e in kept(read_events(folder.events)) if isinstance(e, Step | Evaluated)] == [
        e.loss for e in kept(read_events(other.events)) if isinstance(e, Step | Evaluated)
    ]
    weights = [(run.adapter / "adapter_model.safetensors").read_bytes() for run in (folder, other)]
    assert weights[0] == weights[1]


@pytest.mark.tiny
def test_a_qwen2_from_the_hub_through_hf_endpoint(
    home: Home, tiny_config: dict[str, Any], tiny_model: Path, tmp_path: Path
) -> None:
    environment = {"HF_HOME": str(tmp_path / "hf"), "HF_HUB_OFFLINE": "0"}
    with serve({"Qwen/Tiny-Qwen2": tiny_model}) as hub:
        config = config_file(tmp_path, {**tiny_config, "model_name": "Qwen/Tiny-Qwen2"})
        done = finetune("train", config, "--json", home=home, HF_ENDPOINT=hub.endpoint, **environment)
        assert done.returncode == 0, done.stderr
        assert any(path.startswith("/Qwen/Tiny-Qwen2/resolve/") for _, path in hub.requests)
    assert (tmp_path / "hf" / "hub" / "models--Qwen--Tiny-Qwen2" / "snapshots" / COMMIT / "model.safetensors").exists()
    [run] = runs_of(home)
    lineage = json.loads(run.lineage.read_text())
    assert (lineage["base"]["name"], lineage["base"]["revision"]) == ("Qwen/Tiny-Qwen2", COMMIT)
    assert json.loads((run.adapter / "adapter_config.json").read_text())["base_model_name_or_path"] == "Qwen/Tiny-Qwen2"


@pytest.mark.tiny
@pytest.mark.long  # faults/test_failures_reported has them without the terminal
def test_unreachable_model_and_missing_template_print_errors(
    home: Home, tiny_config: dict[str, Any], tmp_path: Path
) -> None:
    elsewhere = {"HF_HOME": str(tmp_path / "hf"), "HF_HUB_OFFLINE": "0", "HF_ENDPOINT": "http://127.0.0.1:9"}
    for model, says in (
        ("Qwen/Nowhere", "'Qwen/Nowhere' is not on this machine and http://127.0.0.1:9 is unreachable"),
        (str(make_tiny_model(tmp_path / "plain", template=None)), "has no chat template"),
    ):
        done = finetune("train", config_file(tmp_path, {**tiny_config, "model_name": model}), home=home, **elsewhere)
        assert done.returncode == 2
        assert says in done.stdout
        assert "Traceback" not in done.stdout + done.stderr
        assert list_runs(home)[0].state == "failed"


def test_many_invalid_rows_are_listed_completely(home: Home, tmp_path: Path) -> None:
    rows = [*alpaca_rows(2), *({"instruction": "q"} for _ in range(25))]
    config = {"model_name": "starter", "dataset": str(write_rows(tmp_path / "bad.jsonl", rows))}
    said = refused(finetune("train", config_file(tmp_path, config), home=home))
    assert "25 invalid rows out of 27" in said
    assert "bad.jsonl line 3: the field 'output' is missing." in said
    assert said.endswith("and 5 more.")


def test_full_output_device_is_not_disk_full(home: Home) -> None:
    with Path("/dev/full").open("w") as full:
        done = subprocess.run(
            [FINETUNE, "models"], stdout=full, stderr=subprocess.PIPE, text=True, check=False, timeout=300,
            env={**os.environ, "FINETUNE_HOME": str(home.path)},
        )  # fmt: skip
    assert done.returncode == 2
    assert "Can't write the output: No space left on device" in done.stderr
    assert len(done.stderr.splitlines()) == 1, done.stderr


def test_ascii_terminal_gets_escapes(home: Home, tmp_path: Path, tiny_model: Path) -> None:
    rows = tmp_path / "rows.jsonl"
    rows.write_text('{"prompt": "你好", "completion": "您好"}\n', encoding="utf-8")
    asked = ("data", "preview", rows, "--model", tiny_model)
    done = finetune(*asked, home=home, PYTHONIOENCODING="ascii", LC_ALL="C", PYTHONUTF8="0")
    assert done.returncode == 0, done.stderr
    assert "\\u4f60" in done.stdout


@pytest.mark.parametrize(
    "proxy",
    [
        "socks5://127.0.0.1:9",
        pytest.param("socks5h://127.0.0.1:9", marks=pytest.mark.long),
        pytest.param("socks4://127.0.0.1:9", marks=pytest.mark.long),
    ],
)
def test_a_socks_proxy_stops_no_command(home: Home, proxy: str) -> None:
    done = subprocess.run(
        [sys.executable, "-c", "from studio.cli.console import leave_unusable_proxies as l; l(); import gradio, httpx; httpx.Client()"],
        capture_output=True, text=True, check=False, timeout=300, env={**os.environ, "ALL_PROXY": proxy, "FINETUNE_HOME": str(home.path)},
    )  # fmt: skip
    assert done.returncode == 0, done.stderr


def test_foreign_config_starts_run_and_lists_unused_settings(
    home: Home, tmp_path: Path, tiny_model: Path, rows_file: Path
) -> None:
    theirs = {
        "model_name_or_path": str(tiny_model), "stage": "sft", "finetuning_type": "lora", "lora_rank": 4, "lora_target": "all",
        "dataset": str(rows_file), "cutoff_len": 128, "template": "qwen", "max_steps": 2, "per_device_train_batch_size": 2,
    }  # fmt: skip
    config = config_file(tmp_path, theirs)
    done = finetune("train", config, "--from", "llamafactory", "--json", "--set", "cpu_threads=1", home=home)
    assert done.returncode == 0, done.stderr
    assert "template: the model's own chat template is used" in done.stderr
    assert json.loads(done.stdout.splitlines()[-1])["state"] == "finished"
    assert "'--from llamafactory' converts it" in refused(finetune("train", config, home=home))
    for stage, said in (
        ("ppo", "stage: ppo, which can't be converted"),
        ("dpo", "doesn't suit the method dpo: 8 of its 8 rows have no rejected answer"),
    ):
        other = config_file(tmp_path, {**theirs, "stage": stage})
        assert said in refused(finetune("train", other, "--from", "llamafactory", home=home))
