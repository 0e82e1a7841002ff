"""Who may come in: every method, every path, before anything behind the door is asked."""

import pytest
from starlette.requests import Request
from starlette.responses import PlainTextResponse
from starlette.testclient import TestClient
from starlette.types import Receive, Scope, Send

from studio.web.auth import SECURITY_HEADERS, Auth

TOKEN = "t" * 43
METHODS = ("GET", "HEAD", "POST", "PUT", "PATCH", "DELETE", "OPTIONS")
COOKIE = {"Cookie": f"finetune-studio-7860={TOKEN}"}


async def inside(scope: Scope, receive: Receive, send: Send) -> None:
    await PlainTextResponse(f"inside {Request(scope).url.path}")(scope, receive, send)


@pytest.fixture
def client() -> TestClient:
    return TestClient(Auth(inside, TOKEN), base_url="http://127.0.0.1:7860", follow_redirects=False)


@pytest.mark.parametrize("method", METHODS)
@pytest.mark.parametrize("path", ["/", "/en/", "/api/runs", "/en/gradio_api/queue/join", "/ui-assets/start.js"])
def test_requests_without_cookie_never_reach_the_app(client: TestClient, method: str, path: str) -> None:
    answer = client.request(method, path)
    assert answer.status_code == 401
    assert "inside" not in answer.text
    page = client.request(method, path, headers={"Accept": "text/html"})
    assert page.status_code == (303 if method == "GET" and not path.startswith("/api") else 401)


@pytest.mark.parametrize("method", METHODS)
@pytest.mark.parametrize("host", ["evil.com", "evil.com:7860", "127.0.0.1.evil.com", "", "127.0.0.1:7860@evil.com"])
def test_a_foreign_host_is_refused_even_with_the_cookie(client: TestClient, method: str, host: str) -> None:
    assert client.request(method, "/", headers={"Host": host, **COOKIE}).status_code == 400


@pytest.mark.parametrize("method", METHODS)
@pytest.mark.parametrize(
    "origin", ["http://evil.com", "null", "http://127.0.0.1:1", "http://localhost:7860", "https://127.0.0.1"]
)
def test_a_foreign_origin_is_refused_even_with_the_cookie(client: TestClient, method: str, origin: str) -> None:
    assert client.request(method, "/api/runs", headers={"Origin": origin, **COOKIE}).status_code == 403


def test_a_cross_site_form_without_an_origin_is_refused(client: TestClient) -> None:
    assert client.post("/api/runs", headers={"Sec-Fetch-Site": "cross-site", **COOKIE}).status_code == 403


@pytest.mark.parametrize("method", METHODS)
def test_cookie_gives_our_pages_access(client: TestClient, method: str) -> None:
    answer = client.request(method, "/api/runs", headers={"Origin": "http://127.0.0.1:7860", **COOKIE})
    assert answer.status_code == 200
    for name, value in SECURITY_HEADERS.items():
        assert answer.headers[name] == value


def test_link_sets_cookie_and_removes_token_from_url(client: TestClient) -> None:
    answer = client.get(f"/en/run?run=x&token={TOKEN}")
    assert (answer.status_code, answer.headers["location"]) == (303, "/en/run?run=x")
    cookie = answer.headers["set-cookie"].lower()
    assert "httponly" in cookie
    assert "samesite=strict" in cookie
    assert client.get("/en/").text == "inside /en/"


@pytest.mark.parametrize("path", ["//evil.com/", "///evil.com", "/\\evil.com"])
def test_link_never_redirects_to_other_hosts(client: TestClient, path: str) -> None:
    location = client.get(f"http://127.0.0.1:7860{path}?token={TOKEN}").headers["location"]
    assert not location.startswith(("//", "http", "/\\"))


@pytest.mark.parametrize("token", ["", "wrong", TOKEN[:-1], TOKEN + "x", "é"])
def test_a_wrong_token_opens_nothing(client: TestClient, token: str) -> None:
    answer = client.get("/", params={"token": token}, headers={"Accept": "text/html"})
    assert answer.headers.get("location") == "/login"
    assert "set-cookie" not in answer.headers
    assert client.get("/", headers={"Cookie": "finetune-studio-7860=wrong"}).status_code == 401


def test_login_page_has_instructions_in_both_languages(client: TestClient) -> None:
    answer = client.get("/login", headers={"Accept": "text/html"})
    assert "Open the link shown in the terminal" in answer.text
    chinese = client.get("/login", headers={"Accept": "text/html", "Accept-Language": "zh-CN,zh;q=0.9"})
    assert "请打开终端里显示的链接" in chinese.text
    assert 'lang="zh-CN"' in chinese.text
    assert answer.headers["Content-Security-Policy"]


def test_a_web_socket_without_the_cookie_is_closed(client: TestClient) -> None:
    from starlette.websockets import WebSocketDisconnect

    with pytest.raises(WebSocketDisconnect), client.websocket_connect("ws://127.0.0.1:7860/en/"):
        pass
