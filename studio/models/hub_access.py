"""The Hub endpoint and the access token. Child processes get both only through their environment.

The environment takes precedence: variables that the user has set are never changed. The page can only fill in unset
ones, with an endpoint from a short list. A token is sent only to the host that it was entered for.
"""

from __future__ import annotations

import os
from collections.abc import MutableMapping
from urllib.parse import urlsplit

from pydantic import BaseModel

from interfaces.errors import FineTuneError
from interfaces.folders import Home
from interfaces.problems import Code
from interfaces.records import merge_record, read_record

HUB = "https://huggingface.co"
MIRRORS = (HUB, "https://hf-mirror.com")
TOKEN_NAMES = ("HF_TOKEN", "HUGGING_FACE_HUB_TOKEN")
LEAST_TOKEN, MOST_TOKEN = 8, 500
_filled: set[str] = set()
"""Environment variables that we have set and may change."""


class HubAccess(BaseModel):
    """Which Hub is asked, and whether there is a token for it. What is fixed comes from the environment."""

    endpoint: str
    fixed: bool
    mirrors: tuple[str, ...]
    token: bool
    token_fixed: bool
    host: str


def fill_environment(home: Home, environment: MutableMapping[str, str] = os.environ) -> None:
    """Set the endpoint and the token that were entered on the page, unless the environment has its own."""
    chosen = (read_record(home.settings) or {}).get("hf_endpoint")
    foreign_token = _has_own_token(environment)  # meant for the Hub, not for a mirror
    mirror = chosen if chosen in MIRRORS and chosen != HUB and not foreign_token else None
    _fill(environment, "HF_ENDPOINT", mirror)
    # The token of 'hf auth login' is for the Hub too: hide it when a mirror is used.
    _fill(environment, "HF_TOKEN_PATH", str(home.path / "no-token") if "HF_ENDPOINT" in _filled else None)
    tokens = _tokens_of(home)
    _fill(environment, "HF_TOKEN", tokens.get(_host(environment.get("HF_ENDPOINT", HUB))))


def _has_own_token(environment: MutableMapping[str, str]) -> bool:
    """Return whether the user has set a token in the environment, under either name that huggingface_hub reads."""
    return any(name in environment and name not in _filled for name in TOKEN_NAMES)


def _fill(environment: MutableMapping[str, str], name: str, value: str | None) -> None:
    if name in environment and name not in _filled:
        return
    if value:
        environment[name] = value
        _filled.add(name)
    else:
        environment.pop(name, None)
        _filled.discard(name)


def access_of(home: Home, environment: MutableMapping[str, str] = os.environ) -> HubAccess:
    """Return what a page shows about the access, but never the token."""
    endpoint = environment.get("HF_ENDPOINT", HUB)
    tokens = _tokens_of(home)
    return HubAccess(
        endpoint=_without_secrets(endpoint), fixed="HF_ENDPOINT" in environment and "HF_ENDPOINT" not in _filled,
        mirrors=MIRRORS, token=_host(endpoint) in tokens, token_fixed=_has_own_token(environment), host=_host(endpoint),
    )  # fmt: skip


def choose_endpoint(home: Home, endpoint: str) -> None:
    """Use this Hub endpoint from now on.

    Raises:
        FineTuneError: the environment sets the endpoint, or this one isn't on the list.
    """
    if endpoint not in MIRRORS:
        raise FineTuneError.of(
            Code.VALUE_INVALID,
            field="HF_ENDPOINT",
            value=endpoint[:80],
            expected="one_of",
            known=list(MIRRORS),
        )
    access = access_of(home)
    if access.fixed:
        raise FineTuneError.of(Code.VALUES_CONFLICT, field="HF_ENDPOINT", other="variable_hf_endpoint")
    if access.token_fixed and endpoint != HUB:
        raise FineTuneError.of(
            Code.VALUES_CONFLICT,
            field="HF_ENDPOINT",
            other="variable_hf_token",
        )
    merge_record(home.settings, hf_endpoint=endpoint)
    fill_environment(home)


def keep_token(home: Home, token: str) -> None:
    """Store a token for the current endpoint in a file that only its owner can read.

    Raises:
        FineTuneError: this can't be a token. The message never contains the input.
    """
    token = token.strip()
    if not LEAST_TOKEN <= len(token) <= MOST_TOKEN or not token.isascii() or not token.isprintable() or " " in token:
        raise FineTuneError.of(
            Code.VALUE_INVALID,
            field="token",
            value="(not shown)",
            expected="hub_token",
        )
    _write_tokens(home, {_host(os.environ.get("HF_ENDPOINT", HUB)): token})


def forget_token(home: Home) -> None:
    """Remove the token for the current endpoint."""
    _write_tokens(home, {_host(os.environ.get("HF_ENDPOINT", HUB)): None})


def _write_tokens(home: Home, changes: dict[str, str | None]) -> None:
    tokens = {host: token for host, token in {**_tokens_of(home), **changes}.items() if token}
    merge_record(home.secrets, private=True, hub_tokens=tokens)
    fill_environment(home)


def _tokens_of(home: Home) -> dict[str, str]:
    """Tokens by their hosts."""
    stored = (read_record(home.secrets) or {}).get("hub_tokens")
    return {str(host): str(token) for host, token in stored.items()} if isinstance(stored, dict) else {}


def _host(endpoint: str) -> str:
    parts = urlsplit(endpoint)
    return f"{parts.hostname or ''}:{parts.port}" if parts.port else parts.hostname or ""


def _without_secrets(endpoint: str) -> str:
    parts = urlsplit(endpoint)
    return parts._replace(netloc=parts.netloc.rpartition("@")[2]).geturl()
