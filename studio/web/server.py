"""The studio's server: authentication, the JSON API, files, and the pages. One process, on this machine only."""

from __future__ import annotations

import gzip
import logging
import os
import secrets
import socket
import threading
import webbrowser
from collections.abc import Callable
from functools import cache
from importlib.resources import files
from pathlib import Path

from fastapi import FastAPI, Request
from fastapi.responses import FileResponse, RedirectResponse, Response
from fastapi.staticfiles import StaticFiles
from starlette.types import ASGIApp

from interfaces.errors import FineTuneError
from interfaces.files import write_text
from interfaces.folders import Home
from interfaces.problems import Code
from interfaces.texts import LANGUAGES
from studio.chat.chats import Chats
from studio.ending import catch_up
from studio.finetune_manager import FinetuneManager
from studio.jobs import DatasetJobs
from studio.models.hub_access import fill_environment
from studio.processes.warm_trainer import end_warm_trainer
from studio.runs.supervised_trainer import SupervisedTrainer
from studio.sizing.devices import detect_devices, usable_device
from studio.storage.cleanup import finish_due_always
from studio.sweeps.family import complete_sweeps
from studio.web.auth import LOCAL_NAMES, Auth
from studio.web.connections import BACKLOG, PatientProtocol, SlowBodies, bound_log, make_room_for_files
from studio.web.errors import add_error_handlers, language_of
from studio.web.routes import devices, help, texts
from studio.web.routes.about import about_router
from studio.web.routes.chats import chats_router
from studio.web.routes.datasets import datasets_router
from studio.web.routes.estimates import estimates_router
from studio.web.routes.evaluations import evaluations_router
from studio.web.routes.exports import exports_router
from studio.web.routes.models import models_router
from studio.web.routes.notifications import notifications_router
from studio.web.routes.queue import queue_router
from studio.web.routes.recipes import recipes_router
from studio.web.routes.runs import runs_router
from studio.web.routes.storage import storage_router
from studio.web.routes.sweeps import sweeps_router
from studio.web.routes.warm_trainer import warm_trainer_router
from studio.web.shell import Shell

FIRST_PORT = 7860
PORTS_TRIED = 50
UI_ASSETS = Path(str(files("studio"))) / "static"
log = logging.getLogger(__name__)


def build_app(
    home: Home, token: str, names: frozenset[str] = LOCAL_NAMES, warm_trainer: bool = True,
    manager: FinetuneManager | None = None,
) -> Auth:  # fmt: skip
    """The whole application behind its authentication."""
    from studio.pages.app import build_pages, mount_pages

    fill_environment(home)
    manager = manager or FinetuneManager(SupervisedTrainer(), home)
    app = FastAPI(title="Finetune Studio", docs_url=None, redoc_url=None, openapi_url=None)
    app.include_router(runs_router(manager))
    app.include_router(sweeps_router(manager))
    app.include_router(storage_router(home))
    app.include_router(notifications_router(home))
    app.include_router(queue_router(manager.queue))
    jobs = DatasetJobs()
    app.include_router(datasets_router(home, jobs))
    app.include_router(models_router(home, jobs))
    app.include_router(warm_trainer_router(home, warm_trainer))
    app.include_router(estimates_router(manager))
    app.include_router(recipes_router(home))
    app.include_router(chats_router(home, Chats(home)))
    app.include_router(evaluations_router(home))
    app.include_router(exports_router(home))
    app.include_router(about_router(home))
    app.include_router(devices.router)
    app.include_router(texts.router)
    app.include_router(help.router)
    add_error_handlers(app, home)

    @app.get("/")
    def root(request: Request) -> RedirectResponse:
        return RedirectResponse(f"/{language_of(request)}/", 303)

    # Under our own path, to avoid conflicts with Gradio's (/assets, /static).
    app.get("/ui-assets/plotly.min.js")(_plotly)
    app.get("/favicon.ico")(_icon)
    app.mount("/ui-assets", StaticFiles(directory=UI_ASSETS), name="ui-assets")
    device = usable_device(detect_devices())
    for language in LANGUAGES:
        mount_pages(app, build_pages(manager, device, language, token), f"/{language}")
    return Auth(Shell(app), token, names)


def _plotly(request: Request) -> Response:
    """Serve the script from the plotly package, compressed to a third for a browser that reads that."""
    script = Path(str(files("plotly"))) / "package_data" / "plotly.min.js"
    headers = {"Cache-Control": "private, max-age=86400", "Vary": "Accept-Encoding"}
    if "gzip" in request.headers.get("accept-encoding", ""):
        return Response(
            _compressed(script), media_type="text/javascript", headers={**headers, "Content-Encoding": "gzip"}
        )
    return FileResponse(script, media_type="text/javascript", headers=headers)


@cache
def _compressed(path: Path) -> bytes:
    """Compress a file once: 0.2 s for the chart's script."""
    return gzip.compress(path.read_bytes(), 6)


def _icon() -> FileResponse:
    return FileResponse(UI_ASSETS / "icon.svg", media_type="image/svg+xml")


def studio_token(home: Home) -> str:
    """Return the stored token of this home, which keeps pages logged in after a restart. Only its owner can read it."""
    home.path.mkdir(parents=True, exist_ok=True)
    try:
        kept = home.studio_token.read_text(encoding="ascii").strip()
    except FileNotFoundError:
        kept = ""
    if len(kept) >= 32:
        return kept
    token = secrets.token_urlsafe(32)
    previous = os.umask(0o077)
    try:
        write_text(home.studio_token, token + "\n")
    finally:
        os.umask(previous)
    return token


def bound_socket(host: str, port: int | None, first: int = FIRST_PORT) -> socket.socket:
    """Open a listening socket on the requested port, or on the next free one from `first` on.

    Raises:
        FineTuneError: the requested port is in use.
    """
    for number in [port] if port is not None else range(first, first + PORTS_TRIED):
        candidate = socket.socket(socket.AF_INET6 if ":" in host else socket.AF_INET)
        candidate.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            candidate.bind((host, number))
            # From here on, early connections wait in the backlog, and no other process can take the port.
            candidate.listen(BACKLOG)
        except OSError:
            candidate.close()
            continue
        return candidate
    raise FineTuneError.of(Code.PORT_TAKEN, value=port if port is not None else f"{first}-{first + PORTS_TRIED - 1}")


def serve(
    home: Home, host: str, port: int | None, open_browser: bool, tell: Callable[[str], None], warm_trainer: bool = True,
    resume_interrupted: bool = False,
) -> None:  # fmt: skip
    """Run the studio until it is interrupted. Its end doesn't affect runs.

    Raises:
        FineTuneError: the port is in use.
    """
    place = bound_socket(host, port)
    # Set before importing gradio: no telemetry, and uploads stay on the home's disk.
    os.environ["GRADIO_ANALYTICS_ENABLED"] = "False"
    os.environ["GRADIO_TEMP_DIR"] = str(home.cache / "gradio")
    os.environ.pop("GRADIO_VIBE_MODE", None)
    home.cache.mkdir(parents=True, exist_ok=True)
    token = studio_token(home)
    manager = FinetuneManager(SupervisedTrainer(), home)
    app = build_app(home, token, LOCAL_NAMES | {host}, warm_trainer, manager)
    threading.Thread(target=manager.queue.tend_always, name="queue", daemon=True).start()
    threading.Thread(target=catch_up, args=(home,), name="ends", daemon=True).start()
    threading.Thread(target=finish_due_always, args=(home,), name="clean-ups", daemon=True).start()
    threading.Thread(target=complete_sweeps, args=(manager,), name="sweeps", daemon=True).start()
    if resume_interrupted:
        manager.resume_interrupted()
    shown = "127.0.0.1" if host in ("0.0.0.0", "::") else host  # noqa: S104  only compared
    link = f"http://{shown}:{place.getsockname()[1]}/?token={token}"
    tell(link)
    if open_browser:
        webbrowser.open(link)
    run_app(app, place, lambda: end_warm_trainer(home))


def run_app(app: ASGIApp, place: socket.socket, at_end: Callable[[], None]) -> None:
    """Serve an application until it is interrupted. `at_end` frees what it holds."""
    import uvicorn

    PatientProtocol.most = make_room_for_files()
    config = uvicorn.Config(
        SlowBodies(app), http=PatientProtocol, backlog=BACKLOG, log_level="warning", access_log=False, server_header=False,
        timeout_graceful_shutdown=3,
    )  # fmt: skip
    bound_log()

    class Server(uvicorn.Server):
        async def shutdown(self, sockets: list[socket.socket] | None = None) -> None:
            """Free what is held here, which also ends answers on their way: uvicorn raises a TERM again at its end."""
            at_end()
            await super().shutdown(sockets)

    Server(config).run(sockets=[place])
