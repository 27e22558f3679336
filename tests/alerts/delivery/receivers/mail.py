"""A mail server on a real local socket, which asks for a login and refuses as mail servers do."""

from __future__ import annotations

import socket
from email import message_from_bytes, policy
from email.message import EmailMessage
from types import TracebackType
from typing import Any

from aiosmtpd.controller import Controller
from aiosmtpd.smtp import AuthResult, LoginPassword


class MailServer:
    """Takes mail for anybody but ``nobody@…``; ``trouble`` is answered to a message first, one for each."""

    USER = "wakeless"
    PASSWORD = "hunter2hunter2"

    def __init__(self, *trouble: str, login: bool = False) -> None:
        self.taken: list[EmailMessage] = []
        self.trouble = list(trouble)
        options: dict[str, Any] = {}
        if login:
            options = {"authenticator": self._log_in, "auth_required": True, "auth_require_tls": False}
        with socket.create_server(("127.0.0.1", 0)) as free:
            self._port: int = free.getsockname()[1]
        self._controller = Controller(self, hostname="127.0.0.1", port=self._port, **options)

    async def handle_RCPT(  # noqa: N802 - aiosmtpd calls it so
        self, server: Any, session: Any, envelope: Any, address: str, options: list[str]
    ) -> str:
        if address.startswith("nobody@"):
            return "550 5.1.1 no such user here"
        envelope.rcpt_tos.append(address)
        return "250 OK"

    async def handle_DATA(self, server: Any, session: Any, envelope: Any) -> str:  # noqa: N802 - as above
        if self.trouble:
            return self.trouble.pop(0)
        self.taken.append(message_from_bytes(envelope.content, policy=policy.default))
        return "250 2.0.0 Ok: queued as 4XbQ2k"

    def _log_in(self, server: Any, session: Any, envelope: Any, mechanism: str, data: Any) -> AuthResult:
        given = data if isinstance(data, LoginPassword) else LoginPassword(b"", b"")
        right = given == LoginPassword(self.USER.encode(), self.PASSWORD.encode())
        return AuthResult(success=right, handled=right)

    def url(self, to: str = "oncall@example.com", password: str = PASSWORD) -> str:
        """Its address as an Apprise URL."""
        return f"mailto://{self.USER}:{password}@127.0.0.1:{self._port}?mode=insecure&from=wakeless@example.com&to={to}"

    def __enter__(self) -> MailServer:
        self._controller.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, value: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._controller.stop()
