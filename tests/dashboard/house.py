"""An app to test, and clients for every kind of visitor."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from flask import Flask
from flask.testing import FlaskClient
from werkzeug.test import TestResponse

from app import create_app
from config import Settings
from dashboard.services import EXTENSION, Services

PASSWORD = "correct horse battery staple"
ROLES = ("viewer", "operator", "admin")


class Client(FlaskClient):
    """Reads every answer to its end, as a server does, so that what happens at the end happens."""

    def open(self, *args: Any, **kwargs: Any) -> TestResponse:
        return super().open(*args, **{"buffered": True, **kwargs})


class House:
    """One app, its services, and the people and programs that call it."""

    def __init__(self, app: Flask) -> None:
        app.test_client_class = Client
        app.extensions[EXTENSION].store.load()
        self.app = app
        self._tokens: dict[str, str] = {}

    @property
    def services(self) -> Services:
        found: Services = self.app.extensions[EXTENSION]
        return found

    @property
    def data_dir(self) -> Path:
        return self.services.settings.data_dir

    def visitor(self) -> FlaskClient:
        """Somebody who is not logged in."""
        return self.app.test_client()

    def token(self, role: str) -> dict[str, str]:
        """The headers of a program with a role."""
        if role not in self._tokens:
            self._tokens[role] = self.services.accounts.create_token(f"program-{role}", role)
        return {"Authorization": f"Bearer {self._tokens[role]}"}

    def person(self, role: str) -> FlaskClient:
        """A browser in which a person of this role has logged in."""
        name = f"person-{role}"
        if self.services.accounts.user_named(name) is None:
            self.services.accounts.create_user(name, PASSWORD, role)
        client = self.app.test_client()
        answer = log_in(client, name, PASSWORD)
        assert answer.status_code == 303, answer.text
        return client


def csrf_token(page: str) -> str:
    """The token in a form."""
    found = re.search(r'name="csrf_token" value="([^"]+)"', page)
    assert found, page
    return found[1]


def log_in(client: FlaskClient, name: str, password: str, **form: str) -> TestResponse:
    """Fill in the form and send it."""
    token = csrf_token(client.get("/login").text)
    return client.post("/login", data={"csrf_token": token, "name": name, "password": password, **form})


def page_token(client: FlaskClient) -> dict[str, str]:
    """The header that our own page's scripts send."""
    return {"X-CSRF-Token": csrf_token(client.get("/login/link/none").text)}


@contextmanager
def open_house(data_dir: Path, **settings: Any) -> Iterator[House]:
    """An app with these settings, closed at the end. Nothing in it runs on its own."""
    chosen = {"data_dir": data_dir, "model": {"enabled": False}, "alerts": {"stock_rules": False}} | settings
    house = House(create_app(Settings.model_validate(chosen), start=False))
    try:
        yield house
    finally:
        house.app.extensions["wakeless.application"].close()


MakeHouse = Callable[..., House]
