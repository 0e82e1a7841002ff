"""The way to the Hub: the environment wins, a token goes to its host alone, and nothing of it is ever shown."""

from pathlib import Path

import pytest

from interfaces.errors import FineTuneError
from interfaces.files import write_json
from interfaces.folders import Home
from studio.models import hub_access
from studio.models.hub_access import (
    HUB,
    MIRRORS,
    access_of,
    choose_endpoint,
    fill_environment,
    forget_token,
    keep_token,
)

TOKEN = "hf_abcdefghijklmnop"


@pytest.fixture(autouse=True)
def clean(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("HF_ENDPOINT", "HF_TOKEN"):
        monkeypatch.setenv(name, "")  # so that it is put back afterwards
        monkeypatch.delenv(name)
    monkeypatch.setattr(hub_access, "_filled", set())


def environment() -> dict[str, str | None]:
    import os

    return {name: os.environ.get(name) for name in ("HF_ENDPOINT", "HF_TOKEN")}


def test_a_token_is_private_and_reaches_children_by_the_environment(home: Home) -> None:
    keep_token(home, f" {TOKEN}\n")
    assert home.secrets.stat().st_mode & 0o777 == 0o600
    assert environment() == {"HF_ENDPOINT": None, "HF_TOKEN": TOKEN}
    shown = access_of(home)
    assert (shown.token, shown.host) == (True, "huggingface.co")
    assert TOKEN not in str(shown)
    forget_token(home)
    assert environment()["HF_TOKEN"] is None
    assert TOKEN not in home.secrets.read_text()


def test_token_is_sent_only_to_its_host(home: Home) -> None:
    keep_token(home, TOKEN)
    choose_endpoint(home, MIRRORS[1])
    assert environment() == {"HF_ENDPOINT": MIRRORS[1], "HF_TOKEN": None}
    assert access_of(home).token is False
    choose_endpoint(home, HUB)
    assert environment() == {"HF_ENDPOINT": None, "HF_TOKEN": TOKEN}


def test_environment_takes_precedence_and_stays_unchanged(home: Home, monkeypatch: pytest.MonkeyPatch) -> None:
    keep_token(home, TOKEN)
    choose_endpoint(home, MIRRORS[1])
    monkeypatch.setattr(hub_access, "_filled", set())
    monkeypatch.setenv("HF_ENDPOINT", "http://name:secret@127.0.0.1:8080")
    monkeypatch.setenv("HF_TOKEN", "hf_mine")
    fill_environment(home)
    assert environment() == {"HF_ENDPOINT": "http://name:secret@127.0.0.1:8080", "HF_TOKEN": "hf_mine"}
    shown = access_of(home)
    assert (shown.fixed, shown.token_fixed) == (True, True)
    assert "secret" not in str(shown)
    with pytest.raises(FineTuneError, match="HF_ENDPOINT"):
        choose_endpoint(home, HUB)


def test_environment_and_login_tokens_never_reach_mirrors(home: Home, monkeypatch: pytest.MonkeyPatch) -> None:
    import os

    monkeypatch.setenv("HF_TOKEN_PATH", "")
    monkeypatch.delenv("HF_TOKEN_PATH")
    choose_endpoint(home, MIRRORS[1])
    assert not Path(os.environ["HF_TOKEN_PATH"]).exists()
    choose_endpoint(home, HUB)
    assert "HF_TOKEN_PATH" not in os.environ
    monkeypatch.setenv("HF_TOKEN", "hf_mine")
    with pytest.raises(FineTuneError, match="HF_TOKEN"):
        choose_endpoint(home, MIRRORS[1])
    write_json(home.settings, {"hf_endpoint": MIRRORS[1]})
    fill_environment(home)
    assert environment() == {"HF_ENDPOINT": None, "HF_TOKEN": "hf_mine"}


def test_only_addresses_of_the_list_can_be_chosen(home: Home) -> None:
    with pytest.raises(FineTuneError, match="should be one of"):
        choose_endpoint(home, "http://evil.example")
    # A settings file that somebody else has written is no way round it.
    home.path.mkdir(parents=True, exist_ok=True)
    home.settings.write_text('{"hf_endpoint": "http://evil.example"}')
    fill_environment(home)
    assert environment()["HF_ENDPOINT"] is None


@pytest.mark.parametrize("given", ["", "short", "with space in it", "hf_\nsecond-line", "ü" * 20, "x" * 501])
def test_invalid_token_is_rejected_without_echo(home: Home, given: str) -> None:
    with pytest.raises(FineTuneError) as caught:
        keep_token(home, given)
    assert not given or given not in str(caught.value)
    assert not home.secrets.exists()


@pytest.mark.parametrize("name", ["HF_TOKEN", "HUGGING_FACE_HUB_TOKEN"])
def test_environment_token_disables_the_chosen_mirror(home: Home, name: str) -> None:
    home.path.mkdir()
    write_json(home.settings, {"hf_endpoint": MIRRORS[1]})
    environment = {name: "hf_given_for_the_hub"}
    fill_environment(home, environment)
    assert "HF_ENDPOINT" not in environment
    assert access_of(home, environment).token_fixed
