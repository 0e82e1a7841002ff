"""The whole application, asked as a browser or a script would, without one."""

import io
import json
import zipfile
from collections.abc import Iterator

import pytest
from starlette.testclient import TestClient

from interfaces.events import Finished, Started, Step
from interfaces.folders import Home, RunFolder, write_json
from interfaces.problems import Code, FineTuneError
from studio.launcher import LocalLauncher
from studio.server import bound_socket, build_app, studio_token
from tests.fakes import fake_trainer
from trainer.event_log import EventLog

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
        log.append(Started(run=folder.id, model_name="m", device="cpu", dtype="float32", threads=1))
        log.append(
            Step(
                step=1,
                total_steps=1,
                epoch=1,
                loss=1,
                learning_rate=1,
                tokens=1,
                trained_tokens=1,
                seconds=1,
                memory_bytes=1,
            )
        )
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
    routes = sorted(set(routes_of(client.app._app)))  # type: ignore[attr-defined]
    assert len(routes) >= 100
    assert {("POST", "/en/gradio_api/queue/join"), ("DELETE", "/api/runs/{run_id}"), ("POST", "/api/datasets")} <= set(
        routes
    )
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
    assert "FinetuneStudio" in client.get("/ui-assets/studio.js").text
    assert len(client.get("/ui-assets/plotly.min.js").content) > 1_000_000
    assert client.get("/favicon.ico").status_code == 200
    assert client.get("/ui-assets/../server.py").status_code == 404
    assert client.get("/ui-assets/%2e%2e/server.py").status_code == 404


def test_a_run_is_listed_drawn_downloaded_deleted_and_brought_back(served: tuple[TestClient, Home]) -> None:
    client, home = served
    folder = ended_run(home)
    path = f"/api/runs/{folder.id}"
    assert client.get("/api/runs").json()[0]["id"] == folder.id
    assert client.get(path).json()["state"] == "finished"
    assert client.get(f"{path}/events").json()["train"] == {"x": [1], "y": [1.0]}
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
    assert client.delete(f"/api/runs/{folder.id}").status_code == 422
    assert client.post(f"/api/runs/{folder.id}/stop", json={"discard": False}).status_code == 200
    from tests.studio.test_supervisor import until

    until(lambda: client.get(f"/api/runs/{folder.id}/events").json()["status"]["state"] == "stopped")
    said = client.post(f"/api/runs/{folder.id}/stop", headers={"accept-language": "zh"})
    assert said.status_code == 422
    assert "没有可停止的" in said.json()["message"]


@pytest.mark.parametrize("run_id", ["none", "..", "%2e%2e", "..%2f..", "a%00b", "%2fetc%2fpasswd", "x" * 300])
def test_an_id_that_is_none_is_not_found(served: tuple[TestClient, Home], run_id: str) -> None:
    client, _ = served
    for tail in ("", "/events", "/log", "/adapter.zip"):
        assert client.get(f"/api/runs/{run_id}{tail}").status_code in (404, 422)


def test_a_file_becomes_a_dataset_with_a_preview(served: tuple[TestClient, Home]) -> None:
    client, home = served
    rows = "".join(json.dumps({"prompt": f"q{n} <script>", "completion": "a"}) + "\n" for n in range(50))
    found = client.post("/api/datasets", params={"name": "../../rows.jsonl"}, content=rows.encode()).json()
    assert (found["name"], found["rows"], found["format"]) == ("rows.jsonl", 50, "prompt_completion")
    assert len(found["examples"]) == 20
    assert found["examples"][0][1] == {"role": "assistant", "text": "a", "train": True}
    assert client.get(f"/api/datasets/{found['id']}").json() == found
    assert list(home.cache.glob("upload-*")) == []


@pytest.mark.parametrize(
    ("name", "content", "language", "says"),
    [
        ("a.toml", b"x", "en", "ends in '.toml'"),
        ("a.jsonl", b"", "en", "is empty"),
        ("a.jsonl", b'{"prompt": "a"', "zh", "不是有效的 JSON"),
    ],
)
def test_a_wrong_file_is_a_sentence_in_the_page_s_language(
    served: tuple[TestClient, Home], name: str, content: bytes, language: str, says: str
) -> None:
    client, _ = served
    answer = client.post("/api/datasets", params={"name": name}, content=content, headers={"accept-language": language})
    assert answer.status_code == 422
    assert says in answer.json()["message"]


def test_a_file_that_is_too_large_is_refused_before_it_is_sent(served: tuple[TestClient, Home]) -> None:
    client, _ = served
    answer = client.post(
        "/api/datasets", params={"name": "a.jsonl"}, content=b"", headers={"content-length": str(3 * 10**9)}
    )
    assert answer.json()["problems"][0]["code"] == Code.FILE_TOO_LARGE


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


def test_the_next_free_port_is_taken_and_a_taken_one_is_said_to_be() -> None:
    first = bound_socket("127.0.0.1", None)
    second = bound_socket("127.0.0.1", None)
    assert first.getsockname()[1] != second.getsockname()[1]
    with pytest.raises(FineTuneError) as raised:
        bound_socket("127.0.0.1", first.getsockname()[1])
    assert raised.value.problems[0].code == Code.PORT_TAKEN
    first.close()
    second.close()


@pytest.mark.parametrize(
    "name", ["数" * 100 + ".jsonl", "..", "a\0b.jsonl", "", "x" * 400 + ".jsonl", "C:\\rows.jsonl", ".jsonl"]
)
def test_any_file_name_ends_as_an_answer_with_a_message_or_a_dataset(
    served: tuple[TestClient, Home], name: str
) -> None:
    client, _ = served
    answer = client.post("/api/datasets", params={"name": name}, content=b'{"prompt": "a", "completion": "b"}\n')
    assert answer.status_code in (200, 422)
    assert answer.json().get("message") or answer.json().get("rows") == 1


def test_the_page_that_asks_decides_the_language_whatever_a_cookie_says(served: tuple[TestClient, Home]) -> None:
    client, _ = served
    headers = {"X-Finetune-Language": "en", "cookie": f"finetune-studio-7860={TOKEN}; finetune-language=zh"}
    assert client.get("/api/runs/abc", headers=headers).json()["message"].startswith("There is no run")
