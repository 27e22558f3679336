"""How a service of a routing file is called over HTTP: Prometheus' ``http_config``."""

from __future__ import annotations

from typing import Literal, Self

from pydantic import Field, SecretStr, model_validator

from alerts.routing.scalar import Section, Truth


def one_of(first: object, second: object, names: str) -> None:
    """Raise ValueError where both are given."""
    if first and second:
        raise ValueError(f"at most one of {names} may be given")


class Tls(Section):
    """How a service is known over TLS."""

    ca_file: str = ""
    cert_file: str = ""
    key_file: str = ""
    server_name: str = ""
    insecure_skip_verify: Truth = False
    min_version: Literal["TLS10", "TLS11", "TLS12", "TLS13"] | None = None
    max_version: Literal["TLS10", "TLS11", "TLS12", "TLS13"] | None = None


class BasicAuth(Section):
    """A name and a password."""

    username: str = ""
    password: SecretStr | None = None
    password_file: str = ""


class Authorization(Section):
    """A header ``Authorization``."""

    type: str = "Bearer"
    credentials: SecretStr | None = None
    credentials_file: str = ""


class OAuth2(Section):
    """A token that is fetched for each use."""

    client_id: str = ""
    client_secret: SecretStr | None = None
    client_secret_file: str = ""
    scopes: tuple[str, ...] = ()
    token_url: str = ""
    endpoint_params: dict[str, str] = Field({})
    tls_config: Tls | None = None
    proxy_url: str = ""


class HttpConfig(Section):
    """How a service is called."""

    basic_auth: BasicAuth | None = None
    authorization: Authorization | None = None
    oauth2: OAuth2 | None = None
    bearer_token: SecretStr | None = None
    bearer_token_file: str = ""
    tls_config: Tls | None = None
    proxy_url: SecretStr | None = None
    proxy_connect_header: dict[str, list[SecretStr]] | None = None
    follow_redirects: Truth = True
    enable_http2: Truth = True

    @model_validator(mode="after")
    def _check(self) -> Self:
        bearer = bool(self.bearer_token or self.bearer_token_file)
        one_of(self.bearer_token, self.bearer_token_file, "bearer_token & bearer_token_file")
        if self.basic_auth is not None:
            one_of(self.basic_auth.password, self.basic_auth.password_file, "basic_auth password & password_file")
        if (self.basic_auth is not None or self.oauth2 is not None) and bearer:
            raise ValueError("at most one of basic_auth, oauth2, bearer_token & bearer_token_file may be given")
        if self.authorization is not None:
            one_of(
                self.authorization.credentials, self.authorization.credentials_file, "credentials & credentials_file"
            )
            if bearer:
                raise ValueError("authorization is not compatible with bearer_token & bearer_token_file")
            if self.authorization.type.strip().lower() == "basic":
                raise ValueError("authorization type cannot be 'basic', use basic_auth instead")
        if sum(part is not None for part in (self.basic_auth, self.oauth2, self.authorization)) > 1:
            raise ValueError("at most one of basic_auth, oauth2 & authorization may be given")
        if self.oauth2 is not None:
            self._check_oauth2(self.oauth2)
        return self

    @staticmethod
    def _check_oauth2(found: OAuth2) -> None:
        if not found.client_id:
            raise ValueError("oauth2 client_id must be given")
        if not found.client_secret and not found.client_secret_file:
            raise ValueError("either oauth2 client_secret or client_secret_file must be given")
        if not found.token_url:
            raise ValueError("oauth2 token_url must be given")
        one_of(found.client_secret, found.client_secret_file, "oauth2 client_secret & client_secret_file")
