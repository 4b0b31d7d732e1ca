"""The server of a live report answers this machine's owner, and nobody else."""

import http.client
import socket
import threading

import psutil
import pytest

from gradscope.errors import GradscopeError
from gradscope.report.live.server import Answer, Server

TOKEN = "t" * 43
PAGE = Answer("text/html", b"<p>here</p>")


class Site:
    """Has a page and a figure, and keeps what it is asked for."""

    def __init__(self):
        self.asked = []

    def answer(self, name):
        self.asked.append(name)
        return {"": PAGE, "figures/a.svg": Answer("image/svg+xml", b"<svg/>")}.get(name)


@pytest.fixture
def server():
    """A server that runs."""
    with Server(Site(), TOKEN) as running:
        threading.Thread(target=running.serve_forever, daemon=True).start()
        yield running
        running.shutdown()


def ask(server, path, method="GET", host=None, **headers):
    """The response, and its body."""
    connection = http.client.HTTPConnection("127.0.0.1", server.port, timeout=10)
    connection.putrequest(method, path, skip_host=True)
    for value in [f"127.0.0.1:{server.port}"] if host is None else host:
        connection.putheader("Host", value)
    for name, value in headers.items():
        connection.putheader(name, value)
    connection.endheaders()
    response = connection.getresponse()
    body = response.read()
    connection.close()
    return response, body


def test_it_listens_on_the_loopback_interface_alone(server):
    listening = [
        connection.laddr
        for connection in psutil.Process().net_connections(kind="inet")
        if connection.status == psutil.CONN_LISTEN and connection.laddr.port == server.port
    ]
    assert [place.ip for place in listening] == ["127.0.0.1"]
    assert server.address == f"http://127.0.0.1:{server.port}/{TOKEN}/"


def test_who_knows_the_address_is_answered(server):
    response, body = ask(server, f"/{TOKEN}/")
    assert (response.status, body) == (200, b"<p>here</p>")
    assert response.headers["Content-Type"] == "text/html; charset=utf-8"
    response, body = ask(server, f"/{TOKEN}/figures/a.svg?x=1", host=[f"localhost:{server.port}"])
    assert (response.status, body) == (200, b"<svg/>")
    response, body = ask(server, f"/{TOKEN}/", method="HEAD")
    assert (response.status, body) == (200, b"")
    assert response.headers["Content-Length"] == "11"


@pytest.mark.parametrize(
    "path",
    [
        "/",
        "//",
        "/status",
        f"/{TOKEN}",
        f"/{TOKEN[:-1]}/",
        f"/{TOKEN}t/",
        f"/{TOKEN[:-1]}u/",
        f"/{TOKEN.upper()}/",
        f"/?{TOKEN}/",
        f"/x/{TOKEN}/",
        "/%e9/",
    ],
)
def test_without_the_token_nothing_is_there(path, server):
    response, body = ask(server, path)
    assert (response.status, body) == (404, b"Not Found")
    assert server.site.asked == []


@pytest.mark.parametrize(
    "path",
    [
        "../../etc/passwd",
        "..%2f..%2fetc/passwd",
        "/etc/passwd",
        "figures/../../x",
        "%2e%2e/",
        "a\\b",
    ],
)
def test_a_path_is_a_name_and_leads_nowhere(path, server):
    response, body = ask(server, f"/{TOKEN}/{path}")
    assert (response.status, body) == (404, b"Not Found")
    assert server.site.asked == [path]


@pytest.mark.parametrize(
    "host",
    [[], ["evil.example"], ["evil.example:{port}"], ["127.0.0.1"], ["127.0.0.1:1"],
     ["0.0.0.0:{port}"], ["localhost.evil.example:{port}"], ["127.0.0.1:{port}", "evil.example"]],
)  # fmt: skip
def test_a_name_that_was_made_to_resolve_to_this_machine_is_refused(host, server):
    response, body = ask(server, f"/{TOKEN}/", host=[h.format(port=server.port) for h in host])
    assert (response.status, body) == (403, b"Forbidden")
    assert server.site.asked == []


@pytest.mark.parametrize(
    "method", ["POST", "PUT", "DELETE", "OPTIONS", "TRACE", "PATCH", "CONNECT"]
)
def test_nothing_can_be_done_but_reading(method, server):
    response, _ = ask(server, f"/{TOKEN}/", method=method)
    assert response.status == 405
    assert response.headers["Allow"] == "GET, HEAD"
    assert server.site.asked == []


def test_headers_keep_the_page_out_of_caches_and_say_nothing_else(server):
    for path in (f"/{TOKEN}/", "/"):
        response, _ = ask(server, path)
        assert set(response.headers) == {
            "Content-Type", "Content-Length", "Cache-Control", "Content-Security-Policy",
            "Cross-Origin-Resource-Policy", "Referrer-Policy", "X-Content-Type-Options",
        }  # fmt: skip
        assert response.headers["Cache-Control"] == "no-store"
        assert response.headers["Referrer-Policy"] == "no-referrer"
        assert "default-src 'none'" in response.headers["Content-Security-Policy"]


def test_what_is_no_request_is_refused_without_a_word_on_this_program(server):
    with socket.create_connection(("127.0.0.1", server.port), timeout=10) as connection:
        connection.sendall(b"\x16\x03\x01 nonsense\r\n\r\n")
        answer = connection.recv(10_000)
    assert b"Python" not in answer
    assert b"Error" not in answer or b"400" in answer


@pytest.mark.whole
def test_however_many_connect_few_are_waited_for(server, monkeypatch):
    held = [socket.create_connection(("127.0.0.1", server.port), timeout=10) for _ in range(40)]
    try:
        assert threading.active_count() < 30
    finally:
        for connection in held:
            connection.close()
    for _ in range(50):  # until those are seen to be gone
        try:
            response, _ = ask(server, f"/{TOKEN}/")
            break
        except (ConnectionError, http.client.HTTPException):
            threading.Event().wait(0.1)
    assert response.status == 200


def test_a_port_that_is_taken_is_refused_in_a_sentence(server):
    with pytest.raises(GradscopeError, match=f"--live-port {server.port}: cannot be listened on"):
        Server(Site(), TOKEN, server.port)
