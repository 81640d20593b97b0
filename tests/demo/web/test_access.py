"""Who gets in: this machine without a secret, others by a link, a session or the token to read."""

from __future__ import annotations

import pytest
from fakes import Client, view_of

from edgekit.demo.web.access import Access, is_loopback
from edgekit.demo.web.files import FILES

READ = ("/state", "/metrics", "/health", "/frame?after=-1&client=a", "/snapshot.jpg", *FILES)
NOTHING = ("yolox", "openvino", "synthetic", "person")


@pytest.fixture
def outside(serve):
    """A page on all addresses, with a frame."""
    page = serve(host="0.0.0.0")
    page.show(view_of(0))
    return page


def cookie_of(reply):
    return reply.headers["Set-Cookie"].partition(";")[0]


def local(page):
    """A client of the page by the loopback address, which is one of all addresses."""
    client = Client(page)
    client.where = client.where._replace(netloc=f"127.0.0.1:{client.where.port}")
    return client


def token_of(page):
    return page.url.partition("token=")[2]


@pytest.mark.parametrize(
    ("host", "expected"),
    [
        *(("127.0.0.1", True), ("localhost", True), ("::1", True), ("127.9.9.9", True)),
        *(("0.0.0.0", False), ("::", False), ("", False), ("192.168.1.5", False)),
        *(("localhost.evil.example", False), ("127.0.0.1.nip.io", False)),
    ],
)
def test_only_this_machine_is_loopback(host, expected):
    assert is_loopback(host) == expected


@pytest.mark.parametrize("path", [*READ, "/nothing", "/../../etc/passwd", "/?token="])
def test_without_the_link_the_page_gives_nothing(outside, path):
    reply = local(outside).get(path)
    assert reply.status in (401, 403)
    assert reply.text.count("\n") == 1
    assert not [word for word in NOTHING if word in reply.text.lower()]
    assert "Set-Cookie" not in reply.headers


def test_nothing_is_changed_without_the_link(outside, controls):
    for headers in ({}, {"Authorization": "Bearer nonsense"}, {"Cookie": "edgekit_demo_1=x"}):
        reply = local(outside).post("/controls", {"confidence": 0.9}, headers)
        assert reply.status in (401, 403)
    assert controls.setting.confidence is None


def test_a_link_opens_the_page_once_and_leads_to_an_address_without_the_token(outside):
    client, token = local(outside), token_of(outside)
    first = client.get(f"/?token={token}")
    assert (first.status, first.headers["Location"]) == (303, "/")
    flags = first.headers["Set-Cookie"]
    assert "HttpOnly" in flags
    assert "SameSite=Strict" in flags
    session = {"Cookie": cookie_of(first)}
    for path in READ:
        assert client.get(path, session).status == 200, path
    assert client.post("/controls", {"confidence": 0.4}, session).status == 200
    again = client.get(f"/?token={token}")
    assert again.status == 403
    assert "used before" in again.text
    # Who is in already is let in by an old link too.
    assert client.get(f"/?token={token}", session).status == 303


def test_the_next_link_is_announced_once_the_last_was_used(serve):
    said = []
    page = serve(host="0.0.0.0", announce=said.append)
    first = page.url
    local(page).get(f"/?token={token_of(page)}")
    assert said == [page.url]
    assert page.url != first
    assert local(page).get(f"/?token={token_of(page)}").status == 303


@pytest.mark.parametrize("token", ["", "x", "é", "%00", "a" * 5000])
def test_a_wrong_link_is_one_sentence(outside, token):
    reply = local(outside).get(f"/?token={token.replace('é', '%C3%A9')}")
    assert reply.status == 403
    assert reply.text.startswith("This link is wrong or was used before")
    assert reply.text.count("\n") == 1


def test_what_looks_before_its_user_goes_there_spends_no_link(outside):
    client, path = local(outside), f"/?token={token_of(outside)}"
    assert client.get(path, method="HEAD").status == 401
    assert client.get(path, {"Sec-Purpose": "prefetch;prerender"}).status == 401
    assert client.get(path).status == 303


def test_the_monitoring_token_lasts_and_only_reads(outside, controls):
    client = local(outside)
    shown = {"Authorization": f"Bearer {outside.monitor_token}"}
    for _ in range(2):
        for path in ("/metrics", "/health", "/state", "/snapshot.jpg"):
            assert client.get(path, shown).status == 200
    reply = client.post("/controls", {"confidence": 0.9}, shown)
    assert (reply.status, controls.setting.confidence) == (403, None)
    assert client.get("/metrics", {"Authorization": "Bearer é".encode()}).status == 403
    # The link is another token.
    assert client.get(f"/?token={outside.monitor_token}").status == 403


def test_a_token_for_monitoring_can_be_chosen(serve):
    page = serve(host="0.0.0.0", monitor_token="chosen")
    assert local(page).get("/metrics", {"Authorization": "bearer chosen"}).status == 200


def test_on_this_machine_nothing_is_asked_for(page, client):
    page.show(view_of(0))
    assert "token" not in page.url
    assert page.monitor_token is None
    for path in READ:
        assert client.get(path).status == 200, path


@pytest.mark.parametrize("name", ["localhost", "127.0.0.1:9999", "[::1]:80", "LOCALHOST:1"])
def test_a_tunnel_may_change_the_port(client, name):
    assert client.get("/", {"Host": name}).status == 200


@pytest.mark.parametrize("name", ["evil.example", "evil.example:8080", "", "[::1", "10.0.0.1"])
def test_a_foreign_name_that_points_here_gets_nothing(client, name):
    reply = client.get("/state", {"Host": name})
    assert reply.status in (400, 403)
    assert "yolox" not in reply.text


@pytest.mark.parametrize(
    "headers",
    [
        {"Origin": "http://evil.example"},
        {"Origin": "null"},
        {"Origin": "http://127.0.0.1:1"},
        {"Sec-Fetch-Site": "cross-site"},
        {"Sec-Fetch-Site": "same-site"},
        {"Sec-Fetch-Site": "cross-site", "Sec-Fetch-Mode": "navigate"},
    ],
)
def test_the_page_of_another_site_changes_nothing(client, controls, headers):
    assert client.post("/controls", {"confidence": 0.9}, headers).status == 403
    assert controls.setting.confidence is None


def test_the_page_of_another_site_reads_nothing_but_may_link_here(client):
    foreign = {"Sec-Fetch-Site": "cross-site"}
    assert client.get("/state", {**foreign, "Sec-Fetch-Mode": "no-cors"}).status == 403
    assert client.get("/state", {"Origin": "http://evil.example"}).status == 403
    assert client.get("/", {**foreign, "Sec-Fetch-Mode": "navigate"}).status == 200


def test_our_own_page_and_programs_may_change_it(client, controls):
    own = {"Origin": f"http://{client.where.netloc}"}
    assert client.post("/controls", {"confidence": 0.5}, own).status == 200
    assert client.post("/controls", {"confidence": 0.6}, {"Sec-Fetch-Site": "same-origin"})
    assert client.post("/controls", {"confidence": 0.7}).status == 200
    assert controls.setting.confidence == 0.7


def test_a_session_is_not_lost_by_following_a_link_from_elsewhere(outside):
    """The cookie is not sent along then; the page asks again by itself, and it is."""
    headers = {"Sec-Fetch-Site": "cross-site", "Sec-Fetch-Mode": "navigate"}
    reply = local(outside).get("/", headers)
    assert reply.status == 401
    assert 'http-equiv="refresh"' in reply.text


def test_tokens_are_long_and_differ():
    one, other = Access("0.0.0.0"), Access("0.0.0.0")
    tokens = {one.link_token, other.link_token, one.monitor_token, other.monitor_token}
    assert len(tokens) == 4
    assert min(map(len, tokens)) >= 43
