"""Authentication: one ASGI wrapper around all routes, ours and Gradio's, so that none can skip it.

Host   must name this machine (against DNS rebinding), else 400
Origin must be ours if the browser sends one (against other sites' pages), else 403
Cookie must hold the token, which the link in the terminal sets, else 401 or the login page
"""

from __future__ import annotations

import hmac
import re
from http.cookies import CookieError, SimpleCookie
from urllib.parse import parse_qsl, urlencode, urlsplit

from starlette.datastructures import Headers, MutableHeaders
from starlette.requests import Request
from starlette.responses import HTMLResponse, RedirectResponse, Response
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from interfaces.problems import Code, Problem
from studio.web.errors import language_of, problem_response
from studio.web.shell import login_page

LOCAL_NAMES = frozenset({"127.0.0.1", "localhost", "[::1]"})
SECURITY_HEADERS = {
    # Gradio's templates need inline scripts and eval; nothing may come from or go to anywhere else.
    "Content-Security-Policy": (
        "default-src 'self'; script-src 'self' 'unsafe-inline' 'unsafe-eval'; style-src 'self' 'unsafe-inline'; "
        "img-src 'self' data: blob:; font-src 'self' data:; connect-src 'self'; worker-src 'self' blob:; "
        "form-action 'self'; base-uri 'self'; object-src 'none'; frame-ancestors 'none'"
    ),
    "X-Frame-Options": "DENY",
    "X-Content-Type-Options": "nosniff",
    "Referrer-Policy": "no-referrer",
    "Cross-Origin-Opener-Policy": "same-origin",
    "Cross-Origin-Resource-Policy": "same-origin",
}
_HOST = re.compile(r"(\[[0-9a-f:]+\]|[^:@/\s]+)(?::\d{1,5})?")


class Auth:
    """ASGI middleware. `token` is the required value of the cookie, `names` are this machine's host names."""

    def __init__(self, app: ASGIApp, token: str, names: frozenset[str] = LOCAL_NAMES) -> None:
        self._app, self._token, self._names = app, token, names

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] == "lifespan":
            await self._app(scope, receive, send)
            return
        answer = self._refusal(scope)

        async def send_guarded(message: Message) -> None:
            if message["type"] == "http.response.start":
                MutableHeaders(scope=message).update(SECURITY_HEADERS)
            await send(message)

        if answer is None:
            await self._app(scope, receive, send_guarded)
        elif scope["type"] == "websocket":
            await send({"type": "websocket.close", "code": 4401})
        else:
            await answer(scope, receive, send_guarded)

    def _refusal(self, scope: Scope) -> Response | None:
        """Return the response that rejects the request, or None to accept it."""
        headers = Headers(scope=scope)
        host = headers.get("host", "")
        if (foreign := foreign_request(scope, self._names)) is not None:
            return _refused(scope, foreign)
        query = dict(parse_qsl(scope.get("query_string", b"").decode("latin-1")))
        if scope.get("method") == "GET" and self._is_token(query.get("token", "")):
            return self._enter(scope, query, host)
        if self._is_token(self._cookie(headers, host)):
            return None
        if (
            scope.get("method") == "GET"
            and "text/html" in headers.get("accept", "")
            and not scope["path"].startswith("/api")
        ):
            if scope["path"] == "/login":
                return HTMLResponse(login_page(language_of(Request(scope))), 401, headers={"Cache-Control": "no-store"})
            return RedirectResponse("/login", 303)
        return _refused(scope, Problem.error(Code.NOT_LOGGED_IN))

    def _enter(self, scope: Scope, query: dict[str, str], host: str) -> Response:
        """Set the cookie and redirect to the URL without the token."""
        rest = urlencode({name: value for name, value in query.items() if name != "token"})
        path = "/" + scope["path"].lstrip("/")  # '//host' would redirect to another host
        response = RedirectResponse("/" if path == "/login" else path + (f"?{rest}" if rest else ""), 303)
        response.set_cookie(
            cookie_name(host), self._token, httponly=True, samesite="strict", path="/", max_age=30 * 86400
        )
        return response

    def _cookie(self, headers: Headers, host: str) -> str:
        try:
            morsel = SimpleCookie(headers.get("cookie", "")).get(cookie_name(host))
        except CookieError:
            return ""
        return morsel.value if morsel else ""

    def _is_token(self, given: str) -> bool:
        return hmac.compare_digest(given.encode(), self._token.encode())


def _refused(scope: Scope, problem: Problem) -> Response:
    return problem_response([problem], language_of(Request(scope)) if scope["type"] == "http" else "en")


def foreign_request(scope: Scope, names: frozenset[str] = LOCAL_NAMES) -> Problem | None:
    """Return what is wrong with a request that a page of another site could have sent, by its Host and its Origin."""
    headers = Headers(scope=scope)
    host, origin = headers.get("host", ""), headers.get("origin")
    named = _HOST.fullmatch(host)
    if named is None or named[1] not in names:
        return Problem.error(Code.HOST_UNKNOWN, value=host[:200])
    if origin is not None and _place_of(origin) != host:
        return Problem.error(Code.ORIGIN_FOREIGN, value=origin[:200])
    if origin is None and headers.get("sec-fetch-site", "none") == "cross-site" and scope["method"] != "GET":
        return Problem.error(Code.ORIGIN_FOREIGN, value="cross-site")
    return None


def _place_of(origin: str) -> str | None:
    """Return the host and port of an Origin header, or None if it is invalid."""
    try:
        return urlsplit(origin).netloc
    except ValueError:
        return None


def cookie_name(host: str) -> str:
    """Return a cookie name with the port. Cookies ignore ports, so two studios on one machine would share a cookie."""
    return f"finetune-studio-{host.rpartition(':')[2] or '80'}"
