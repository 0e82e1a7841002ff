"""The whole application, asked as a browser or a script would, without one."""

import io
import json
import random
import zipfile
from collections.abc import Iterator
from typing import Any
from urllib.parse import unquote

import pytest
import yaml
from starlette.testclient import TestClient

from interfaces.errors import FineTuneError
from interfaces.events import Finished, Stopped
from interfaces.exports import ExportRecord, ExportRequest
from interfaces.files import write_json
from interfaces.folders import Home, RunFolder
from interfaces.job_folders import ExportFolder
from interfaces.presets import PRESETS
from interfaces.problems import Code
from interfaces.run_config import read_run_config
from studio.models.catalog import CATALOG
from studio.processes.launcher import LocalLauncher
from studio.web.server import bound_socket, build_app, studio_token
from tests.conftest import until
from tests.support.evaluations import answers, question, recorded_evaluation
from tests.support.fakes import STARTED, fake_trainer, first_step, on_a_cluster
from tests.support.fuzz import KINDS as FUZZED
from tests.support.fuzz import mutated, seed_file
from tests.support.records import recorded_run, step
from trainer.training.event_log import EventLog

pytestmark = pytest.mark.process

TOKEN = "t" * 43


@pytest.fixture(scope="module")
def served(tmp_path_factory: pytest.TempPathFactory) -> Iterator[tuple[TestClient, Home]]:
    """One application for this module, logged in."""
    home = Home(tmp_path_factory.mktemp("served"))
    app = build_app(home, TOKEN)
    with TestClient(app, base_url="http://127.0.0.1:7860", follow_redirects=False) as client:
        client.get("/", params={"token": TOKEN})
        yield client, home


def ended_run(home: Home) -> RunFolder:
    folder = home.create_run()
    folder.config.write_text("{}")
    attempt = folder.create_attempt()
    write_json(attempt.pid, {})
    with EventLog(folder.events, 1) as log:
        log.append(STARTED.model_copy(update={"run": folder.id}))
        log.append(first_step(1))
        log.append(Finished(step=1, adapter="adapter", peak_memory_bytes=1, seconds=1))
    write_json(attempt.exit, {"returncode": 0})
    folder.adapter.mkdir()
    (folder.adapter / "adapter_model.safetensors").write_bytes(b"w" * 3_000_000)
    (folder.adapter / "README.md").write_text("card")
    return folder


def routes_of(app: object, prefix: str = "") -> Iterator[tuple[str, str]]:
    """Every (method, path) of an application, of the routers it includes and of what is mounted in it."""
    for route in getattr(app, "routes", []):
        if included := getattr(route, "original_router", None):  # FastAPI keeps an included router whole
            yield from routes_of(included, prefix)
            continue
        path = prefix + getattr(route, "path", "")
        if getattr(route, "routes", None):
            yield from routes_of(route, path)
        for method in getattr(route, "methods", None) or {"GET"}:
            yield method, path


def test_without_the_cookie_every_route_answers_401_or_a_redirect(served: tuple[TestClient, Home]) -> None:
    client, _ = served
    routes = sorted(set(routes_of(client.app._app._app)))  # type: ignore[attr-defined]
    of_each_kind = {
        ("POST", "/en/gradio_api/queue/join"), ("POST", "/zh/gradio_api/queue/join"), ("GET", "/ui-assets"), ("DELETE", "/api/runs/{run_id}"),
        ("POST", "/api/datasets"), ("POST", "/api/estimate"), ("GET", "/api/devices"), ("GET", "/api/models/here"), ("POST", "/api/queue/pause"), ("POST", "/api/warm-trainer"),
    }  # fmt: skip
    assert of_each_kind <= set(routes)
    stranger = TestClient(client.app, base_url="http://127.0.0.1:7860", follow_redirects=False)
    for method, path in routes:
        concrete = path.replace("{", "").replace("}", "").replace(":path", "")
        for accept in ("application/json", "text/html"):
            answer = stranger.request(method, concrete, headers={"Accept": accept})
            redirected = answer.status_code == 303 and answer.headers["location"] == "/login"
            assert answer.status_code == 401 or redirected, (method, path)


def test_every_gradio_event_is_closed_too(served: tuple[TestClient, Home]) -> None:
    client, _ = served
    stranger = TestClient(client.app, base_url="http://127.0.0.1:7860")
    for index in range(8):
        for path in (f"/en/gradio_api/run/predict?fn_index={index}", "/en/gradio_api/queue/join"):
            answer = stranger.post(path, json={"fn_index": index, "data": [], "session_hash": "x"})
            assert answer.status_code == 401


@pytest.mark.parametrize(
    ("headers", "place"),
    [
        ({"accept-language": "zh-CN,zh;q=0.9"}, "/zh/"),
        ({"accept-language": "de"}, "/en/"),
        ({"cookie": "finetune-language=zh"}, "/zh/"),
    ],
)
def test_the_first_page_is_in_the_person_s_language(
    served: tuple[TestClient, Home], headers: dict[str, str], place: str
) -> None:
    client, _ = served
    cookie = f"finetune-studio-7860={TOKEN}; {headers.get('cookie', '')}"
    assert client.get("/", headers={**headers, "cookie": cookie}).headers["location"] == place


def test_our_own_files_are_served(served: tuple[TestClient, Home]) -> None:
    client, _ = served
    assert "export async function start" in client.get("/ui-assets/start.js").text
    chart = client.get("/ui-assets/plotly.min.js")
    assert len(chart.content) > 3_000_000  # as the browser unpacks it
    assert int(chart.headers["content-length"]) < 1_600_000
    plain = client.get("/ui-assets/plotly.min.js", headers={"Accept-Encoding": "identity"})
    assert plain.content == chart.content
    assert client.get("/favicon.ico").status_code == 200
    assert client.get("/ui-assets/../server.py").status_code == 404
    assert client.get("/ui-assets/%2e%2e/server.py").status_code == 404


def test_run_is_listed_plotted_downloaded_deleted_restored(served: tuple[TestClient, Home]) -> None:
    client, home = served
    folder = ended_run(home)
    path = f"/api/runs/{folder.id}"
    assert client.get("/api/runs").json()[0]["id"] == folder.id
    assert client.get(path).json()["state"] == "finished"
    train = client.get(f"{path}/events").json()["train"]
    assert (train["x"], train["y"], train["learning_rate"]) == ([1], [1.0], [1.0])
    assert client.get(f"{path}/curves?first=1&last=1").json()["train"] == train
    assert client.get(f"{path}/curves.csv").text.splitlines()[1].startswith("1,")
    assert client.get(f"{path}/checkpoints/7.zip").status_code == 404
    assert client.get(f"{path}/log?find=nothing").json() == {"text": ""}
    assert yaml.safe_load(client.get(f"{path}/config").json()["yaml"]) == read_run_config(folder)
    assert client.post(f"{path}/rename", json={"name": "mine"}).json() == {"name": "mine"}
    changes = client.get("/api/runs/changes").json()
    assert changes["runs"][0]["name"] == "mine"
    assert client.get("/api/runs/changes", params={"cursor": changes["cursor"]}).json()["whole"] is False
    assert client.get("/api/runs/changes?cursor=nonsense").status_code == 422
    answer = client.get(f"{path}/adapter.zip")
    assert f'filename="adapter-{folder.id}.zip"' in answer.headers["content-disposition"]
    with zipfile.ZipFile(io.BytesIO(answer.content)) as archive:
        assert archive.testzip() is None
        assert sorted(archive.namelist()) == ["README.md", "adapter_model.safetensors"]
        assert archive.read("adapter_model.safetensors") == b"w" * 3_000_000
    assert client.delete(path).json() == {"deleted": folder.id}
    assert client.get(path).status_code == 404
    assert client.post(f"{path}/restore").json() == {"run": folder.id}
    assert client.get(path).status_code == 200


def test_a_live_run_is_stopped(served: tuple[TestClient, Home]) -> None:
    client, home = served
    folder = home.create_run()
    folder.config.write_text("{}")
    LocalLauncher(fake_trainer("waits")).start(folder)
    assert client.delete(f"/api/runs/{folder.id}").status_code == 409
    assert client.post(f"/api/runs/{folder.id}/stop", json={"discard": False}).status_code == 200
    until(lambda: client.get(f"/api/runs/{folder.id}/events").json()["status"]["state"] == "stopped")
    said = client.post(f"/api/runs/{folder.id}/stop", headers={"accept-language": "zh"})
    assert said.status_code == 409
    assert "无需停止" in said.json()["detail"]


@pytest.mark.parametrize("run_id", ["none", "..", "%2e%2e", "..%2f..", "a%00b", "%2fetc%2fpasswd", "x" * 300])
def test_invalid_id_is_not_found(served: tuple[TestClient, Home], run_id: str) -> None:
    client, _ = served
    for tail in ("", "/events", "/log", "/adapter.zip"):
        assert client.get(f"/api/runs/{run_id}{tail}").status_code in (404, 422)


def read_to_the_end(client: TestClient, answer: Any, language: str = "en") -> dict[str, Any]:
    """What became of a file that was sent: the job's last word."""
    assert answer.status_code == 200, answer.text
    reported: dict[str, Any] = {}

    def is_done() -> bool:
        reported.update(client.get(f"/api/datasets/jobs/{answer.json()['job']}", params={"language": language}).json())
        return bool(reported["done"])

    until(is_done)
    return reported


def upload(client: TestClient, name: str, content: bytes) -> str:
    reported = read_to_the_end(client, client.post("/api/datasets", params={"name": name}, content=content))
    assert reported["result"], reported["detail"]
    return str(reported["result"]["dataset"])


def rows_of(count: int, **more: Any) -> bytes:
    rows = ({"prompt": f"q{n} <script>", "completion": f"a{n}", **more} for n in range(count))
    return "".join(json.dumps(row) + "\n" for row in rows).encode()


def test_uploaded_file_becomes_dataset_with_report_and_rows(served: tuple[TestClient, Home]) -> None:
    client, home = served
    dataset = upload(client, "../../rows.jsonl", rows_of(50))
    found = client.get(f"/api/datasets/{dataset}").json()
    assert (found["name"], found["rows"], found["valid"], found["format"]) == (
        "rows.jsonl",
        50,
        50,
        "prompt_completion",
    )
    assert len(found["examples"]) == 20
    assert found["examples"][0]["messages"][1] == {"role": "assistant", "content": "a0", "train": True}
    page = client.get(f"/api/datasets/{dataset}/rows", params={"start": 48, "count": 10}).json()
    assert [row["row"] for row in page] == [49, 50]
    assert list((home.cache / "uploads").iterdir()) == []


def test_problem_report_download_is_complete_and_safe(served: tuple[TestClient, Home]) -> None:
    client, _ = served
    bad = b"".join(json.dumps({"prompt": f"=cmd{n}()"}).encode() + b"\n" for n in range(30))
    dataset = upload(client, "bad.jsonl", rows_of(3) + bad)
    found = client.get(f"/api/datasets/{dataset}").json()
    assert (found["valid"], found["invalid"], found["kinds"]) == (3, 30, {"field_missing": 30})
    assert [(record["line"], record["field"]) for record in found["first_problems"]] == [
        (n, "completion") for n in range(4, 24)
    ]
    whole = client.get(f"/api/datasets/{dataset}/problems.csv")
    assert "attachment" in whole.headers["content-disposition"]
    lines = whole.text.splitlines()
    assert len(lines) == 31
    assert "'=" not in lines[1]  # the cell begins with a brace
    assert client.get(f"/api/datasets/{dataset}/examples.jsonl").text.count("\n") == 3


def test_fixed_rows_make_new_version_and_keep_old(served: tuple[TestClient, Home]) -> None:
    client, _ = served
    dataset = upload(client, "rows.jsonl", rows_of(2) + b'{"prompt": "q"}\n{broken\n')
    [first, second] = client.get(f"/api/datasets/{dataset}/problems", params={"whole": True}).json()
    assert (first["whole"], second["whole"]) == ('{"prompt": "q"}', "{broken")
    changes = {"3": '{"prompt": "q", "completion": "mended"}', "4": None}
    reported = read_to_the_end(client, client.post(f"/api/datasets/{dataset}/edit", json={"changes": changes}))
    fixed = client.get(f"/api/datasets/{reported['result']['dataset']}").json()
    assert (fixed["rows"], fixed["valid"], fixed["name"]) == (3, 3, "rows.jsonl")
    assert fixed["examples"][2]["messages"][1]["content"] == "mended"
    newest, older = client.get("/api/datasets").json()[:2]
    assert (newest["id"], older["id"]) == (fixed["id"], dataset)
    assert newest["version"] == older["version"] + 1


def test_unknown_columns_are_chosen_without_second_upload(served: tuple[TestClient, Home]) -> None:
    client, _ = served
    sent = client.post("/api/datasets", params={"name": "a.csv"}, content=b"ask,reply\nHi,Hello\nYo,Hey\n")
    reported = read_to_the_end(client, sent)
    assert reported["problems"][0]["code"] == Code.FORMAT_UNKNOWN
    choose = f"/api/datasets/jobs/{reported['id']}/columns"
    wrong = read_to_the_end(client, client.post(choose, json={"columns": {"prompt": "ask"}}))
    assert wrong["problems"][0]["code"] == Code.COLUMNS_INCOMPLETE
    right = read_to_the_end(client, client.post(choose, json={"columns": {"prompt": "ask", "completion": "reply"}}))
    found = client.get(f"/api/datasets/{right['result']['dataset']}").json()
    assert (found["valid"], found["format"], found["columns"]) == (
        2,
        "mapped",
        {"prompt": "ask", "completion": "reply"},
    )


def test_the_library_renames_mixes_and_deletes_with_an_undo(served: tuple[TestClient, Home]) -> None:
    client, _ = served
    first, second = upload(client, "a.jsonl", rows_of(4)), upload(client, "b.jsonl", rows_of(6, system="s"))
    client.post(f"/api/datasets/{first}/rename", json={"name": "Mine"})
    mixed = read_to_the_end(client, client.post("/api/datasets/mix", json={"parts": {first: 2, second: 0.5}}))
    found = {one["name"]: one["rows"] for one in client.get("/api/datasets").json()}
    assert found["Mine x 2 + b.jsonl x 0.5"] == 2 * found["Mine"] + found["b.jsonl"] / 2 == 11
    dataset = mixed["result"]["dataset"]
    assert client.delete(f"/api/datasets/{dataset}").json() == {"deleted": dataset}
    assert client.get(f"/api/datasets/{dataset}").status_code == 404
    client.post(f"/api/datasets/{dataset}/restore")
    assert client.get(f"/api/datasets/{dataset}").json()["rows"] == 11


@pytest.mark.parametrize(
    ("name", "content", "language", "says"),
    [
        ("a.toml", b"x", "en", "ends in '.toml'"),
        ("a.jsonl", b"", "en", "is empty"),
        ("a.parquet", b"x", "zh", "内容并非如此"),
    ],
)
def test_invalid_file_error_uses_page_language(
    served: tuple[TestClient, Home], name: str, content: bytes, language: str, says: str
) -> None:
    client, home = served
    sent = client.post("/api/datasets", params={"name": name}, content=content)
    reported = read_to_the_end(client, sent, language)
    assert reported["result"] is None
    assert says in reported["detail"]
    assert list((home.cache / "uploads").iterdir()) == []


@pytest.mark.parametrize("kind", FUZZED)
def test_mutated_file_never_crashes_any_route(served: tuple[TestClient, Home], kind: str) -> None:
    client, _ = served
    odd = b'{"\\ud800": 1, "prompt": "\\ud83d", "completion": "x"}\n{"prompt": NaN, "completion": 1e999}\n'
    for number in range(4):
        rng = random.Random(f"page {kind} {number}")
        content = mutated(seed_file(kind, rng), rng)
        content = rows_of(1) + odd + content if kind == "jsonl" and number == 0 else content
        reported = read_to_the_end(client, client.post("/api/datasets", params={"name": f"a.{kind}"}, content=content))
        assert "Traceback" not in reported["detail"]
        if not reported["result"]:
            assert reported["detail"]
            continue
        place = f"/api/datasets/{reported['result']['dataset']}"
        for tail in ("", "/rows", "/problems?whole=true", "/problems.csv?language=zh", "/examples.jsonl"):
            answer = client.get(place + tail)
            assert answer.status_code == 200, (tail, answer.text)
            assert "Traceback" not in answer.text


def test_oversized_file_is_rejected_before_upload(served: tuple[TestClient, Home]) -> None:
    client, _ = served
    answer = client.post(
        "/api/datasets", params={"name": "a.jsonl"}, content=b"", headers={"content-length": str(3 * 10**10)}
    )
    assert answer.json()["problems"][0]["code"] == Code.FILE_TOO_LARGE


def test_only_imports_folder_files_are_read(served: tuple[TestClient, Home]) -> None:
    client, home = served
    home.imports.mkdir()
    (home.imports / "big.jsonl").write_bytes(rows_of(5))
    assert [file["name"] for file in client.get("/api/datasets/imports").json()["files"]] == ["big.jsonl"]
    reported = read_to_the_end(client, client.post("/api/datasets/imports", json={"name": "big.jsonl"}))
    assert client.get(f"/api/datasets/{reported['result']['dataset']}").json()["rows"] == 5
    assert (home.imports / "big.jsonl").is_file()
    for name in ("../studio-token", "/etc/passwd", "..", ""):
        assert client.post("/api/datasets/imports", json={"name": name}).status_code in (404, 422)


def test_a_log_is_shown_by_its_end_as_plain_text(served: tuple[TestClient, Home]) -> None:
    client, home = served
    folder = ended_run(home)
    folder.log.write_bytes(b"x" * 200_000 + b"\n\x1b[31mred\x1b[0m \xe2\x80\xaeend")
    text = client.get(f"/api/runs/{folder.id}/log").json()["text"]
    assert len(text) < 70_000
    assert text.endswith("[31mred[0m end")


def test_the_token_is_kept_for_its_owner_alone(home: Home) -> None:
    token = studio_token(home)
    assert len(token) >= 32
    assert studio_token(home) == token
    assert home.studio_token.stat().st_mode & 0o077 == 0


def test_next_free_port_is_used_and_busy_port_reported() -> None:
    first = bound_socket("127.0.0.1", None)
    second = bound_socket("127.0.0.1", None)
    assert first.getsockname()[1] != second.getsockname()[1]
    with pytest.raises(FineTuneError) as raised:
        bound_socket("127.0.0.1", first.getsockname()[1])
    assert raised.value.problems[0].code == Code.PORT_TAKEN
    first.close()
    second.close()


@pytest.mark.parametrize("name", ["数" * 100 + ".jsonl", "..", "", "x" * 400 + ".jsonl", "C:\\rows.jsonl", ".jsonl"])
def test_any_file_name_gives_dataset_or_error(served: tuple[TestClient, Home], name: str) -> None:
    client, _ = served
    content = b'{"prompt": "a", "completion": "b"}\n'
    reported = read_to_the_end(client, client.post("/api/datasets", params={"name": name}, content=content))
    assert reported["detail"] or reported["result"]


def test_page_language_takes_precedence_over_cookie(served: tuple[TestClient, Home]) -> None:
    client, _ = served
    headers = {"X-Finetune-Language": "en", "cookie": f"finetune-studio-7860={TOKEN}; finetune-language=zh"}
    assert client.get("/api/runs/abc", headers=headers).json()["detail"].startswith("Run 'abc' not found")


def test_estimate_includes_every_model(served: tuple[TestClient, Home]) -> None:
    client, _ = served
    config = {
        "model_name": "starter",
        "max_length": 8192,
        "per_device_train_batch_size": 64,
        "gradient_checkpointing": False,
    }
    reported = client.post("/api/estimate", json={"config": config}).json()
    assert reported["estimate"]["fit_level"] == "too_big"
    assert reported["estimate"]["fit"]["fit_level"] == "fits"
    assert set(reported["models"]) == {entry.id for entry in CATALOG}


def test_each_preset_s_memory_is_that_of_its_own_settings(served: tuple[TestClient, Home]) -> None:
    client, _ = served
    config = {"max_length": 8192, "per_device_train_batch_size": 64}
    small, large = (
        client.post("/api/estimate", json={"config": {**config, "max_length": length}}).json() for length in (128, 8192)
    )
    assert small["estimate"]["total_bytes"] < large["estimate"]["total_bytes"]
    assert small["presets"] == large["presets"]
    assert list(small["presets"]) == list(PRESETS)
    alone = client.post(
        "/api/estimate", json={"config": PRESETS["minimal"]().model_dump(exclude={"output_dir"})}
    ).json()
    assert small["presets"]["minimal"]["total_bytes"] == alone["estimate"]["total_bytes"]


def test_invalid_form_has_no_estimate_and_no_error(served: tuple[TestClient, Home]) -> None:
    client, _ = served
    nothing = {"estimate": None, "detail": "", "models": {}, "presets": {}, "wait": None}
    assert client.post("/api/estimate", json={"config": {"max_length": -1}}).json() == nothing
    unknown = client.post("/api/estimate", json={"config": {"model_name": "some/unknown-model"}}).json()
    assert "Unknown model" in unknown["detail"]
    assert unknown["estimate"] is None


def test_the_pages_show_runs_of_another_launcher(
    served: tuple[TestClient, Home], monkeypatch: pytest.MonkeyPatch
) -> None:
    client, home = served
    cluster = on_a_cluster(home, monkeypatch)
    folder = home.create_run()
    folder.config.write_text("{}")
    cluster.start(folder)
    assert client.get(f"/api/runs/{folder.id}").json()["state"] == "running"
    assert client.get(f"/api/runs/{folder.id}/events").json()["status"]["state"] == "running"
    assert client.delete(f"/api/runs/{folder.id}").status_code == 409
    cluster.finish(folder)
    assert next(run for run in client.get("/api/runs").json() if run["id"] == folder.id)["state"] == "finished"
    assert client.delete(f"/api/runs/{folder.id}").json() == {"deleted": folder.id}
    home.settings.unlink()


def test_demo_starts_with_one_request(served: tuple[TestClient, Home], monkeypatch: pytest.MonkeyPatch) -> None:
    client, home = served
    cluster = on_a_cluster(home, monkeypatch)
    answer = client.post("/api/runs/demo")
    assert answer.status_code == 200, answer.text
    folder = home.run(answer.json()["run"])
    config = read_run_config(folder)
    assert (config["model_name"], len(config["sample_prompts"])) == ("starter", 10)  # type: ignore[arg-type]
    assert client.get(f"/api/runs/{folder.id}").json()["dataset"] == "lumo-lantern.jsonl"
    cluster.finish(folder)
    home.settings.unlink()


def test_recipes_are_kept_and_a_taken_name_is_refused(served: tuple[TestClient, Home]) -> None:
    client, _ = served
    book = client.post("/api/recipes", json={"name": "mine", "settings": {"lora.r": 4}}).json()
    assert [recipe["name"] for recipe in book["recipes"]] == ["quick", "balanced", "thorough", "mine"]
    assert client.post("/api/recipes/default", json={"name": "mine"}).json()["default"] == "mine"
    assert client.post("/api/recipes", json={"name": "quick", "settings": {}}).status_code == 422
    assert len(client.post("/api/recipes/delete", json={"name": "mine"}).json()["recipes"]) == 3


def test_recommended_models_are_listed_in_the_language(served: tuple[TestClient, Home]) -> None:
    client, _ = served
    english, chinese = (
        client.get(f"/api/models/recommended?language={language}").json()[0] for language in ("en", "zh")
    )
    assert english["vram_hint"] == chinese["vram_hint"] == "6-8 GB (8-bit)"
    assert english["advice"] != chinese["advice"]


def test_long_answers_are_compressed_where_the_browser_reads_that(served: tuple[TestClient, Home]) -> None:
    client, _ = served
    packed = client.get("/api/texts/en", headers={"Accept-Encoding": "gzip"})
    plain = client.get("/api/texts/en", headers={"Accept-Encoding": "identity"})
    assert packed.headers["content-encoding"] == "gzip"
    assert "content-encoding" not in plain.headers
    assert packed.json() == plain.json()
    assert int(packed.headers["content-length"]) < len(plain.content) / 2


def test_chat_that_cannot_be_is_refused_with_a_sentence(served: tuple[TestClient, Home]) -> None:
    client, home = served
    run = recorded_run(home, step(1), Stopped(step=1, resumable=False), sample_prompts=["Why?"])
    assert client.get(f"/api/chats/choices?run={run.id}").json() == {
        "run": run.id, "adapter": False, "steps": [], "questions": ["Why?"], "kept": [],
    }  # fmt: skip
    refused = client.post("/api/chats", json={"speakers": [{"run": run.id}]})
    assert (refused.status_code, "has no result" in refused.json()["detail"]) == (404, True)
    chat = client.post("/api/chats", json={"speakers": [{"run": run.id, "base": True}]}).json()["chat"]
    for asked in ({"prompt": ""}, {"prompt": "x", "sampling": {"temperature": 9}}, {}):
        answer = client.post(f"/api/chats/{chat}/ask", json=asked)
        assert (answer.status_code, bool(answer.json()["detail"])) == (422, True)
    assert client.get(f"/api/chats/{chat}").json()["turns"] == []
    for path in ("/api/chats/20200101-000000-abcd", "/api/chats/choices?run=..%2Fx"):
        assert client.get(path).status_code == 404


def test_evaluations_are_listed_voted_on_and_downloaded(served: tuple[TestClient, Home]) -> None:
    client, home = served
    run = recorded_run(home)
    questions = [question(number, f"Q{number}", "yes") for number in range(1, 9)]
    lines = [line for one in questions for line in answers(one.number, "no", "yes")]
    recorded_evaluation(run, questions, lines, gate="exact match >= 0.8, forgetting <= 2")
    path = f"/api/runs/{run.id}/evaluations"
    [listed] = client.get(path, params={"language": "zh"}).json()
    exact = next(line for line in listed["table"] if line["name"] == "exact_match")
    assert (exact["label"], exact["verdict"], exact["tuned"]) == ("完全匹配", "更好", 1.0)
    assert listed["gate"] == {"passed": False, "evaluation": 1, "failed": ["forgetting <= 2 (?)"]}
    other = client.get(f"{path}/1", params={"metrics": ["chrf"]}).json()
    assert [line["name"] for line in other["table"]] == ["chrf", "exact_match"], "and what the gate needs"
    assert client.get("/api/evaluations").json()[0]["run"] == run.id
    assert "exact_match_verdict" in client.get("/api/evaluations.csv").text
    choices = client.get(f"{path}/choices", params={"language": "zh"}).json()
    assert (choices["steps"], choices["held_out"], choices["metrics"]["exact_match"]) == ([], True, "完全匹配")
    rows = client.get(f"{path}/1/rows", params={"start": 6}).json()
    assert (rows["total"], len(rows["rows"]), rows["rows"][0]["tuned"]["exact_match"]) == (8, 2, 1.0)
    assert len(client.get(f"{path}/1/rows.jsonl").text.splitlines()) == 8
    assert client.get(f"{path}/1/rows.csv").headers["content-disposition"].endswith('.csv"')
    pair = client.get(f"{path}/1/votes").json()["next"]
    assert "tuned" not in json.dumps(pair)
    voted = client.post(f"{path}/1/votes", json={"question": pair["number"], "choice": "a"}).json()
    assert voted["open"] == 7
    assert client.delete(f"{path}/1/votes").json()["open"] == 8
    missing = client.post(path, json={"probe": True, "dataset": ""})
    assert (missing.status_code, missing.json()["problems"][0]["code"]) == (404, "no_adapter")
    assert len(client.get(path).json()) == 1, "nothing is left of one that can't start"
    assert client.post(path, json={"metrics": ["bleu"]}).status_code == 422
    by_path = client.post(path, json={"dataset": "/etc/passwd"})
    assert (by_path.status_code, by_path.json()["problems"][0]["code"]) == (404, "dataset_not_found")
    assert client.get(f"{path}/7").status_code == 404
    assert client.post(f"{path}/1/stop").status_code == 409
    damaged = recorded_evaluation(run, questions, lines)
    damaged.config.write_text('{"max_rows": -1}')
    unreadable, other = client.get(path).json()
    assert ("evaluation.json" in unreadable["problem"], other["number"]) == (True, 1), "the others are still listed"
    assert client.delete(f"{path}/2").json() == {"deleted": True}
    assert client.delete(f"{path}/1").json() == {"deleted": True}


def test_exports_are_listed_downloaded_in_parts_and_deleted(served: tuple[TestClient, Home]) -> None:
    client, home = served
    run = recorded_run(home, step(1))
    path = f"/api/runs/{run.id}/exports"
    assert client.get(f"{path}/choices").json()["kinds"]["merged"] == ["f16", "bf16", "f32"]
    missing = client.post(path, json={"kind": "gguf"})
    assert (missing.status_code, missing.json()["problems"][0]["code"]) == (404, "no_adapter")
    run.adapter.mkdir()
    (run.adapter / "adapter_config.json").write_text("{}")
    client.post("/api/queue/pause")
    number = client.post(path, json={"kind": "gguf", "out": "/etc/mine.gguf", "name": "../x"}).json()["number"]
    request = ExportRequest.of(ExportFolder.all_of(run)[0])
    assert (request.out, request.name) == ("", f"{run.id}-f16.gguf"), "a page names no place on the disk"
    [listed] = client.get(path).json()
    assert (listed["state"], listed["there"], listed["usage"]) == ("queued", False, [])
    assert client.get(f"{path}/{number}/download").status_code == 404
    assert client.post(f"{path}/{number}/stop").json() == {"asked": True}
    client.post("/api/queue/resume")
    folder = ExportFolder.all_of(run)[0]
    folder.files.mkdir()
    (folder.files / "mine.gguf").write_bytes(b"GGUF and more")
    ExportRecord(path=str(folder.files / "mine.gguf"), bytes=13, unproven="no_llama_cpp").write(folder)
    whole = client.get(f"{path}/{number}/download")
    assert (whole.content, whole.headers["accept-ranges"]) == (b"GGUF and more", "bytes")
    part = client.get(f"{path}/{number}/download", headers={"Range": "bytes=5-"})
    assert (part.status_code, part.content) == (206, b"and more")
    assert "xllamacpp" in client.get(path).json()[0]["unproven"]
    merged = ExportFolder.create(run)
    ExportRequest(kind="merged", name="我的模型").write(merged)
    (merged.files / "我的模型").mkdir(parents=True)
    (merged.files / "我的模型" / "config.json").write_text("{}")
    ExportRecord(path=str(merged.files / "我的模型"), bytes=2).write(merged)
    zipped = client.get(f"{path}/2/download")
    assert unquote(zipped.headers["content-disposition"]).endswith("utf-8''我的模型.zip")
    assert client.delete(f"{path}/2").json() == {"deleted": True}
    assert client.get(f"{path}/2/download").json()["problems"][0]["code"] == "no_export"
    ExportFolder.create(run).config.write_text("{")
    unreadable, other = client.get(path).json()
    assert ("request.json" in unreadable["problem"], other["number"]) == (True, 1), "the others are still listed"
    assert client.delete(f"{path}/2").json() == {"deleted": True}
