"""The server of a live report: on the loopback interface alone, for who knows the address.

A request is answered only if it names this server as its host, which a page of another site that
has its name resolved to this machine cannot make a browser do, and only below a token that cannot
be guessed. What it asks for is looked up by its name among what there is; no path is ever made of
it.
"""

from __future__ import annotations

import contextlib
import hmac
import math
import threading
import time
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from socket import socket
from typing import NamedTuple, Protocol

from gradscope.errors import GradscopeError

HOST = "127.0.0.1"
#: seconds that a request may take to arrive, and requests that are answered at once
_TIMEOUT, _AT_ONCE = 10.0, 16

#: pages run their own script and style, and reach nothing but this server
_POLICY = (
    "default-src 'none'; script-src 'unsafe-inline'; style-src 'unsafe-inline'; "
    "img-src 'self' data:; connect-src 'self'; base-uri 'none'; form-action 'none'; "
    "frame-ancestors 'none'"
)
_HEADERS = (
    ("Cache-Control", "no-store"),
    ("Content-Security-Policy", _POLICY),
    ("Cross-Origin-Resource-Policy", "same-origin"),
    ("Referrer-Policy", "no-referrer"),
    ("X-Content-Type-Options", "nosniff"),
)


class Answer(NamedTuple):
    """What a request is answered with.

    Attributes:
        kind: its content type.
        body: the bytes.
    """

    kind: str
    body: bytes


class Site(Protocol):
    """What can be asked for."""

    def answer(self, name: str) -> Answer | None:
        """What is there under a name, such as ``figures/gates.svg``; None if nothing is."""


class Server(ThreadingHTTPServer):
    """Serves a site on 127.0.0.1.

    Args:
        site: what can be asked for.
        token: without which nothing is answered.
        port: to listen on; 0 takes a free one.

    Raises:
        GradscopeError: if the port cannot be had.
    """

    daemon_threads = True
    block_on_close = False

    def __init__(self, site: Site, token: str, port: int = 0):
        self.site, self.token = site, token
        self._lock, self._answering, self._rests_since = threading.Lock(), 0, -math.inf
        try:
            super().__init__((HOST, port), _Request)
        except (OSError, OverflowError) as error:
            reason = getattr(error, "strerror", None) or error
            raise GradscopeError(
                f"--live-port {port}: cannot be listened on ({reason}); choose another, or leave "
                "it out for a free one"
            ) from None

    @property
    def port(self) -> int:
        """Where it listens."""
        return self.server_address[1]

    @property
    def address(self) -> str:
        """What to open in a browser."""
        return f"http://{HOST}:{self.port}/{self.token}/"

    def process_request(
        self, request: socket | tuple[bytes, socket], client_address: object
    ) -> None:
        """Answer in a thread of its own; nobody can make it start any number of them."""
        with self._lock:
            has_room = self._answering < _AT_ONCE
            self._answering += has_room
        if has_room:
            super().process_request(request, client_address)
        else:
            self.shutdown_request(request)

    def process_request_thread(
        self, request: socket | tuple[bytes, socket], client_address: object
    ) -> None:
        """Answer, and make room for another."""
        try:
            super().process_request_thread(request, client_address)
        finally:
            with self._lock:
                self._answering -= 1
                self._rests_since = time.monotonic()

    def rest(self) -> float:
        """Seconds since the last answer was sent; 0 while one is, infinite if none ever was."""
        with self._lock:
            return 0.0 if self._answering else time.monotonic() - self._rests_since

    def handle_error(self, request: socket | tuple[bytes, socket], client_address: object) -> None:
        """Who asked is gone before the answer was there: nothing is printed of it."""


class _Request(BaseHTTPRequestHandler):
    """One request."""

    timeout = _TIMEOUT
    server: Server  # pyright: ignore[reportIncompatibleVariableOverride]  # no other asks it

    def do_GET(self) -> None:
        """Answer with what is asked for."""
        self._reply(with_body=True)

    def do_HEAD(self) -> None:
        """Answer without it."""
        self._reply(with_body=False)

    def _reply(self, *, with_body: bool) -> None:
        if not self._is_meant_for_us():
            self._refuse(403, with_body=with_body)
            return
        name = self._asked_for()
        answer = None if name is None else self.server.site.answer(name)
        if answer is None:
            self._refuse(404, with_body=with_body)
            return
        self._send(200, answer, with_body=with_body)

    def _is_meant_for_us(self) -> bool:
        """Whether it names this server, and no other that its name resolves to."""
        named = self.headers.get_all("Host", [])
        ours = (f"{HOST}:{self.server.port}", f"localhost:{self.server.port}")
        return len(named) == 1 and named[0].strip().lower() in ours

    def _asked_for(self) -> str | None:
        """The name behind the token; None without the token."""
        _, token, *rest = [*self.path.split("?", 1)[0].split("/", 2), ""]
        if not hmac.compare_digest(token.encode("utf-8", "replace"), self.server.token.encode()):
            return None
        return rest[0] if len(rest) > 1 else None  # without the slash, links would lead elsewhere

    def _refuse(self, status: int, *, with_body: bool, allow: bool = False) -> None:
        words = self.responses[status][0] if status in self.responses else "Error"
        self._send(status, Answer("text/plain", words.encode()), with_body=with_body, allow=allow)

    def _send(self, status: int, answer: Answer, *, with_body: bool, allow: bool = False) -> None:
        self.send_response_only(status)  # names neither the server nor its version
        kind = f"{answer.kind}; charset=utf-8" if "text" in answer.kind else answer.kind
        self.send_header("Content-Type", kind)
        self.send_header("Content-Length", str(len(answer.body)))
        if allow:
            self.send_header("Allow", "GET, HEAD")
        for header, value in _HEADERS:
            self.send_header(header, value)
        with contextlib.suppress(OSError):  # who asked may be gone
            self.end_headers()
            if with_body:
                self.wfile.write(answer.body)

    def send_error(self, code: int, message: str | None = None, explain: str | None = None) -> None:
        """Refuse what is no request, or asks for something to be done."""
        self.close_connection = True
        is_other = code == 501  # the library's word on a method that it does not find
        self._refuse(405 if is_other else code, with_body=True, allow=is_other)

    def log_message(self, format: str, *args: object) -> None:
        """Print nothing: a terminal shows the run."""
