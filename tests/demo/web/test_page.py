"""The page as an output: it starts, ends in time, and no client can hold it or the frames up."""

from __future__ import annotations

import contextlib
import socket
import struct
import threading
import time

import psutil
import pytest
from fakes import Client, view_of

from edgekit.core.errors import BadInput, MissingLibrary
from edgekit.demo.output import Output
from edgekit.demo.web.connections import _address


def raw(page, text):
    """A connection that sent a request and reads nothing."""
    where = Client(page).where
    connection = socket.create_connection((where.hostname, where.port))
    connection.sendall(text.encode())
    return connection


def asking(path):
    return f"GET {path} HTTP/1.1\r\nHost: localhost\r\n\r\n"


def test_it_is_an_output(page):
    output: Output = page
    assert output.wants_picture is False


def test_the_address_can_be_opened(page, client):
    assert page.url.startswith("http://127.0.0.1:")
    assert client.get("/").status == 200


def test_a_port_in_use_is_one_sentence_with_the_option(serve):
    port = Client(serve()).where.port
    with pytest.raises(BadInput) as refused:
        serve(port=port)
    assert refused.value.message == f"Port {port} of 127.0.0.1 is in use."
    assert "--port 0" in refused.value.hint


@pytest.mark.parametrize("port", [-1, 65536])
def test_a_port_that_is_none_is_refused(serve, port):
    with pytest.raises(BadInput, match="between 0 and 65535"):
        serve(port=port)


def test_an_address_of_another_machine_is_refused(serve):
    with pytest.raises(BadInput, match=r"cannot be bound to 192\.0\.2\.1"):
        serve(host="192.0.2.1")


def test_a_name_that_nobody_knows_is_refused(serve, monkeypatch):
    def unknown(*_, **__):
        raise socket.gaierror(-2, "Name or service not known")

    monkeypatch.setattr(socket, "getaddrinfo", unknown)
    with pytest.raises(BadInput, match="Name or service not known"):
        serve(host="nowhere.example")


def test_all_addresses_are_printed_as_one_that_can_be_opened(serve):
    where = Client(serve(host="0.0.0.0")).where
    assert where.hostname not in ("0.0.0.0", "", None)
    assert where.query.startswith("token=")


@pytest.mark.parametrize("library", ["aiohttp", "prometheus_client"])
def test_a_missing_library_is_named_with_the_command(serve, monkeypatch, library):
    import sys

    for name in [name for name in sys.modules if name.partition(".")[0] == library]:
        monkeypatch.setitem(sys.modules, name, None)
    monkeypatch.setitem(sys.modules, library, None)
    with pytest.raises(MissingLibrary, match=library) as missing:
        serve()
    assert "edgekit[demo]" in missing.value.hint


def test_it_ends_although_clients_hang_on(serve, monkeypatch, wait_until):
    # Neither who waits for a frame nor who reads none is waited for: that would be an hour.
    for name in ("_POLL_S", "_SLOWEST_S"):
        monkeypatch.setattr(f"edgekit.demo.web.server.{name}", 3600)
    page = serve()
    page.show(noise(0))
    idle = [raw(page, "") for _ in range(3)]
    half = [raw(page, "GET / HT") for _ in range(3)]
    waiting = [raw(page, asking("/frame?after=99&client=a")) for _ in range(3)]
    greedy = [raw(page, asking("/frame?width=3840&client=b") * 50) for _ in range(3)]
    wait_until(lambda: page.wants_picture, "those who wait for a frame")
    page.close()
    wait_until(
        lambda: "edgekit-page" not in {thread.name for thread in threading.enumerate()},
        "its thread",
    )
    page.close()
    page.show(view_of(1))
    for connection in (*idle, *half, *waiting, *greedy):
        connection.close()


def test_a_page_that_was_never_started_closes_and_takes_views(controls, meter):
    from edgekit.demo.web.page import WebPage

    page = WebPage(controls, meter)
    page.show(view_of(0))
    assert not page.wants_picture
    page.close()


def test_the_port_is_free_again(serve):
    page = serve()
    port = Client(page).where.port
    page.close()
    serve(port=port)


def test_a_client_that_reads_nothing_holds_up_neither_frames_nor_others(serve, camera, monkeypatch):
    monkeypatch.setattr("edgekit.demo.web.server._SLOWEST_S", 3600)
    page = serve()
    slow = [
        raw(page, asking(f"/frame?after=-1&width=1280&client=slow{each}") * 100)
        for each in range(5)
    ]
    # Whoever waited for them would wait for ever.
    camera(page, rate=60)
    client, number = Client(page), -1
    for _ in range(20):
        reply = client.get(f"/frame?after={number}&width=640&client=quick")
        assert int(reply.headers["Frame-Number"]) > number
        number = int(reply.headers["Frame-Number"])
    for connection in slow:
        connection.close()


def test_a_client_that_takes_too_long_is_cut_off(serve, monkeypatch, wait_until):
    monkeypatch.setattr("edgekit.demo.web.server._SLOWEST_S", 0.3)
    page = serve()
    page.show(noise(0))
    where = Client(page).where
    connection = socket.socket()
    connection.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4096)
    connection.connect((where.hostname, where.port))
    connection.sendall(asking("/frame?width=3840").encode())

    def held():
        both = connection.getpeername(), connection.getsockname()
        return ("ESTABLISHED", *both) in {
            (one.status, one.laddr, one.raddr) for one in psutil.net_connections("tcp")
        }

    wait_until(lambda: not held(), "the cut")
    connection.settimeout(60)
    got = 0
    with contextlib.suppress(ConnectionResetError):
        while piece := connection.recv(1 << 16):
            got += len(piece)
    assert got < 8_000_000
    connection.close()


def noise(number):
    """A view whose JPEG has about ten megabytes."""
    import numpy as np

    from edgekit.demo.output import AnsweredFrame

    view = view_of(number, boxes=())
    pixels = np.random.default_rng(0).integers(0, 256, (2160, 3840, 3), dtype=np.uint8)
    return AnsweredFrame(view.answer, view.prediction, pixels)


def test_a_client_that_vanishes_is_forgotten(serve, camera, wait_until):
    page = serve()
    for each in range(10):
        connection = raw(page, asking(f"/frame?after=99999&client={each}"))
        time.sleep(0.02)
        reset(connection)
    wait_until(lambda: not page.wants_picture, "that they are forgotten")
    camera(page)
    assert Client(page).get("/frame?client=new").status == 200


def test_pages_beyond_the_limit_are_told_so(serve):
    page = serve(viewers=2)
    page.show(view_of(0))
    client = Client(page)
    assert [client.get(f"/frame?client={each}").status for each in "aba"] == [200] * 3
    reply = client.get("/frame?client=c")
    assert reply.status == 503
    assert reply.text == "2 pages look on already, which is the limit.\n"
    assert client.get("/state").status == 200


def test_connections_beyond_the_limit_are_turned_away(serve, monkeypatch, wait_until):
    monkeypatch.setattr("edgekit.demo.web.connections._CONNECTIONS", 5)
    page = serve()
    held = [raw(page, "") for _ in range(5)]
    wait_until(lambda: Client(page).get("/").status == 503, "the limit")
    for connection in held:
        connection.close()
    wait_until(lambda: Client(page).get("/").status == 200, "room")


def test_one_address_leaves_room_for_others(serve, wait_until):
    page = serve(host="0.0.0.0", monitor_token="m" * 32)
    held = [raw(page, "") for _ in range(256)]
    wait_until(lambda: Client(page).get("/health").status == 503, "the limit of one address")
    place = ("127.0.0.1", Client(page).where.port)
    try:
        # On Linux all of 127.0.0.0/8 is this machine, and each address in it a client of its own.
        other = socket.create_connection(place, 60, ("127.0.0.2", 0))
    except OSError:
        pytest.skip("this machine has one loopback address")
    other.sendall(b"GET / HTTP/1.1\r\nHost: 127.0.0.1\r\nConnection: close\r\n\r\n")
    assert other.recv(12) == b"HTTP/1.1 401"
    for connection in (*held, other):
        connection.close()


@pytest.mark.parametrize(
    ("one", "other", "same"),
    [
        ("192.0.2.1", "192.0.2.2", False),
        ("192.0.2.1", "::ffff:192.0.2.1", True),
        ("2001:db8::1", "2001:db8::ffff:2", True),
        ("2001:db8::1", "2001:db8:0:1::1", False),
        ("fe80::1%eth0", "fe80::2%eth1", True),
    ],
)
def test_addresses_that_one_host_has(one, other, same):
    class Transport:
        def __init__(self, host):
            self.get_extra_info = {"peername": (host, 1, 0, 0)}.get

    assert (_address(Transport(one)) == _address(Transport(other))) is same


def test_what_strangers_send_prints_nothing(serve, capfd):
    page = serve()
    page.show(view_of(0))
    for text in (
        "\x16\x03\x01\x02",
        "nonsense\r\n\r\n",
        "GET / HTTP/9\r\n\r\n",
        "GET /" + "a" * 99999,
    ):
        with contextlib.suppress(ConnectionError), raw(page, text) as connection:
            connection.settimeout(60)
            connection.shutdown(socket.SHUT_WR)
            connection.recv(4096)
    assert Client(page).get("/").status == 200
    page.close()
    assert capfd.readouterr() == ("", "")


def test_the_loopback_address_of_the_other_protocol_works_too(serve):
    try:
        socket.create_server(("::1", 0), family=socket.AF_INET6).close()
    except OSError:
        pytest.skip("no IPv6 on this machine")
    page = serve(host="::1")
    assert page.url.startswith("http://[::1]:")
    assert Client(page).get("/").status == 200


def test_a_client_that_vanishes_takes_the_picture_from_no_other(serve, monkeypatch):
    from edgekit.demo.web import picture

    def slow(pixels, step, encode=picture._jpeg):
        time.sleep(0.8)
        return encode(pixels, step)

    monkeypatch.setattr(picture, "_jpeg", slow)
    page = serve()
    page.show(view_of(0))
    first = raw(page, asking("/frame?client=a"))
    time.sleep(0.1)
    threading.Timer(0.2, reset, [first]).start()
    reply = Client(page).get("/frame?client=b")
    assert reply.status == 200
    assert len(reply.body) > 1000


def reset(connection):
    """End a connection as a cable does that is pulled."""
    connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
    connection.close()


def test_connections_that_ask_for_nothing_are_let_go(serve, monkeypatch):
    monkeypatch.setattr("edgekit.demo.web.connections._SILENT_S", 0.3)
    page = serve()
    silent = [raw(page, ""), raw(page, "GET / HT")]
    asked = raw(page, asking("/health"))
    assert b"503" in whole(asked)
    for connection in silent:
        connection.settimeout(60)
        with contextlib.suppress(ConnectionResetError):
            assert connection.recv(1) == b""
        connection.close()
    # Who asked before may ask again.
    asked.sendall(asking("/health").encode())
    assert b"503" in whole(asked)
    asked.close()


def whole(connection):
    """A response whose body is a JSON document: head and body may come apart."""
    got = b""
    while not got.endswith(b"}"):
        piece = connection.recv(4096)
        assert piece
        got += piece
    return got
