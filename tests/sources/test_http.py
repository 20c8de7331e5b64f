import base64
import ipaddress
import re
import socket
import time

import pytest

from mien.errors import SourceError
from mien.sources import addresses
from mien.sources.addresses import is_address
from mien.sources.http import fetch_picture, open_address, read_picture, save_video
from support.web_server import CERTIFICATE, PICTURE, drip, endless, fails, ok, redirect, running


@pytest.fixture
def tls(tmp_path):
    """A server for https://camera.test."""
    (tmp_path / "both.pem").write_text(CERTIFICATE)
    with running(tmp_path / "both.pem") as one:
        yield one


@pytest.fixture
def trusted(monkeypatch, tmp_path):
    (tmp_path / "trusted.pem").write_text(CERTIFICATE[CERTIFICATE.index("-----BEGIN CERT") :])
    monkeypatch.setenv("SSL_CERT_FILE", str(tmp_path / "trusted.pem"))


@pytest.fixture(autouse=True)
def online(monkeypatch):
    monkeypatch.delenv("MIEN_OFFLINE", raising=False)


@pytest.fixture
def names(monkeypatch):
    """What names resolve to: one list of (address, port or None) per look-up, the last one for all later ones."""

    class Names(dict):
        asked = ()

    known = Names()
    numeric = socket.getaddrinfo

    def look_up(host, port, *_, **__):
        if host not in known and re.fullmatch(r"[\d.]+|[\da-f:.]+:[\da-f:.]+(%\d+)?", host):
            return numeric(host, port, type=socket.SOCK_STREAM, flags=socket.AI_NUMERICHOST)
        known.asked += (host,)
        if host not in known:
            raise socket.gaierror(-2, "Name or service not known")
        answers = known[host]
        found = answers.pop(0) if len(answers) > 1 else answers[0]
        kinds = {4: socket.AF_INET, 6: socket.AF_INET6}
        return [
            (kinds[ipaddress.ip_address(one).version], socket.SOCK_STREAM, 6, "", (one, other or port))
            for one, other in found
        ]

    monkeypatch.setattr(socket, "getaddrinfo", look_up)
    return known


@pytest.fixture
def connections(monkeypatch):
    """Where connections go to; none of them is made."""
    tried = []

    def connect(self, place):
        tried.append(place)
        raise ConnectionRefusedError(111, "Connection refused")

    monkeypatch.setattr(socket.socket, "connect", connect)
    return tried


# ------------------------------------------------------------------------------------------ addresses


def test_web_addresses_are_known():
    assert all(map(is_address, ("http://a", "https://a/b.jpg", "HTTPS://A", "Http://a")))
    assert not any(map(is_address, ("rtsp://a", "a.jpg", "https:/a", "https", "", " https://a", "ftp://http://a")))


PRIVATE = [
    "127.0.0.1", "127.8.8.8", "0.0.0.0", "10.1.2.3", "172.16.0.1", "192.168.1.1", "169.254.169.254", "100.64.0.1",
    "224.0.0.1", "239.255.255.250", "240.0.0.1", "255.255.255.255", "192.0.2.1", "198.18.0.1",
    "::", "::1", "fe80::1", "fe80::1%1", "fc00::1", "fd12::1", "fec0::1", "ff02::1", "ff0e::1", "2001:db8::1",
    "::ffff:127.0.0.1", "::ffff:10.0.0.1", "::127.0.0.1", "64:ff9b::7f00:1", "64:ff9b::a00:1", "2002:7f00:1::",
    "2002:c0a8:101::1", "64:ff9b:1::1",
]  # fmt: skip


@pytest.mark.parametrize("address", PRIVATE)
def test_addresses_that_are_not_public_are_refused(names, connections, address):
    names["camera.test"] = [[(address, None)]]
    message = fails("https://camera.test/a.jpg", private=False)
    assert message.startswith(f"https://camera.test/a.jpg: leads to {address}, which is not a public address")
    assert "private=True" in message
    assert not connections


@pytest.mark.parametrize("address", ["93.184.216.34", "2606:2800:220:1::1", "::ffff:93.184.216.34", "64:ff9b::808:808"])
def test_public_addresses_are_not(names, connections, address):
    names["example.org"] = [[(address, None)]]
    assert "Connection refused" in fails("https://example.org/a.jpg", private=False)
    assert [place[:2] for place in connections] == [(address, 443)]


@pytest.mark.parametrize("host", ["127.0.0.1", "127.1", "2130706433", "0x7f.1", "[::1]", "localhost"])
def test_other_ways_to_write_this_machine_are_refused(connections, host):
    assert re.search("which is not a public address|unknown host", fails(f"https://{host}/", private=False))
    assert not connections


def test_one_private_address_among_public_ones_is_enough(names, connections):
    names["example.org"] = [[("93.184.216.34", None), ("10.0.0.1", None)]]
    assert "leads to 10.0.0.1" in fails("https://example.org/", private=False)
    assert not connections


def test_a_zone_of_an_ipv6_address_is_kept(connections):
    assert "Connection refused" in fails("http://[fe80::1%1]:81/")
    assert connections == [("fe80::1", 81, 0, 1)]


def test_the_address_that_was_checked_is_the_one_connected_to(names, connections):
    names["example.org"] = [[("93.184.216.34", None)], [("127.0.0.1", None)]]
    fails("https://example.org:8443/", private=False)
    assert connections == [("93.184.216.34", 8443)]
    assert names.asked == ("example.org",)


def test_all_addresses_of_a_name_are_tried(names, server):
    with socket.socket() as closed:
        closed.bind(("127.0.0.1", 0))
        names["camera.test"] = [[("127.0.0.1", closed.getsockname()[1]), ("127.0.0.1", server.port)]]
        with open_address(server.at("/a", ok(), host="camera.test"), private=True) as reply:
            assert read_picture(reply) == PICTURE


def test_http_is_refused_unless_private(names, connections):
    message = fails("http://example.org/a.jpg?key=1", private=False)
    assert message.startswith("http://example.org/a.jpg?…: not encrypted; use https")
    assert not connections
    assert not names.asked


def test_an_unknown_host_says_so(names):
    assert "unknown host; check the address and the network" in fails("https://nowhere.test/a.jpg")


@pytest.mark.parametrize(
    "url",
    [
        "https://", "https:///a.jpg", "https://user:sec/ret@host/", "https://user:sec?ret@host:1/", "ftp://secret@host/",
        "https://host:secret/", "https://ho st/", "https://[::1/", "https://a..b/", f"https://{'a' * 64}.org/",
        "https://host:99999/", "https://secret\udce9@host/", "a.jpg", "https://\u2100.org/",
        "https://①27.0.0.1/", "https://host/a\r\nHost: b", "https://ho\tst/", "https://host/\x00", "https://h/\x7f",
        "https://host%2Ftest/",
    ],
)  # fmt: skip
def test_addresses_that_cannot_be_read_are_not_shown(names, connections, url):
    message = fails(url)
    assert message.startswith("this address cannot be read, expected https://host/path")
    assert not re.search("sec|ret", message)
    assert not names.asked


def test_addresses_of_people_are_quoted(server):
    address = server.at("/my%20%E2%82%AC%20b.jpg", ok())
    with open_address(address.replace("%20%E2%82%AC%20", " € ") + "?q=ü&r=%41#part", private=True) as reply:
        assert read_picture(reply) == PICTURE
        assert reply.url == f"{address}?q=%C3%BC&r=%41"
    assert server.asked[0][0] == "/my%20%E2%82%AC%20b.jpg?q=%C3%BC&r=%41"


def test_a_name_beyond_ascii_is_looked_up_as_dns_knows_it(names):
    names["xn--kamera-1ta.test"] = [[("10.0.0.1", None)]]
    fails("https://käme.test/", private=False)
    assert names.asked == ("xn--kme-qla.test",)


def test_offline_forbids_it(monkeypatch, server):
    monkeypatch.setenv("MIEN_OFFLINE", "1")
    assert "unset it" in fails(server.at("/a", ok()))
    assert not server.asked
    monkeypatch.setenv("MIEN_OFFLINE", "0")
    open_address(server.at("/a", ok()), private=True).close()


def test_proxies_of_the_environment_are_not_used(monkeypatch, server):
    for name in ("http_proxy", "HTTP_PROXY", "all_proxy", "https_proxy"):
        monkeypatch.setenv(name, "http://127.0.0.1:9")
    with open_address(server.at("/a", ok()), private=True) as reply:
        assert read_picture(reply) == PICTURE


# ------------------------------------------------------------------------------------------ asking


def test_a_reply_says_what_it_is(server):
    url = server.at("/a", ok(PICTURE, b'Content-Type: Image/JPEG; boundary="x"'))
    with open_address(url, private=True) as reply:
        assert (reply.url, reply.content_type, reply.boundary, reply.length) == (url, "image/jpeg", "x", 256_000)
    ((path, headers),) = server.asked
    assert path == "/a"
    assert headers == {
        "Host": f"127.0.0.1:{server.port}",
        "User-Agent": "mien",
        "Accept-Encoding": "identity",
        "Connection": "close",
    }
    with open_address(server.at("/b", b"HTTP/1.0 200 OK\r\n\r\nx"), private=True) as reply:
        assert (reply.content_type, reply.boundary, reply.length) == ("", None, None)


def test_the_host_is_named_as_in_the_address(names, server):
    names["camera.test"] = [[("127.0.0.1", server.port)]]
    server.at("/a", ok())
    open_address("http://Camera.Test/a", private=True).close()
    assert server.asked[0][1]["Host"] == "camera.test"


@pytest.mark.parametrize("status", [301, 302, 303, 307, 308])
def test_redirects_are_followed(server, status):
    end = server.at("/deep/end", ok())
    server.at("/deep/b", redirect("end", status))
    with open_address(server.at("/a", redirect("/deep/b", status)), private=True) as reply:
        assert read_picture(reply) == PICTURE
        assert reply.url == end


def test_the_body_of_a_redirect_is_not_read(server):
    end = server.at("/end", ok())
    server.at("/a", b"HTTP/1.1 302 Found\r\nLocation: /end\r\nContent-Length: 1000000000\r\n\r\n", 3.0)
    with open_address(server.at("/a", *server.answers["/a"]), private=True, timeout=1) as reply:
        assert reply.url == end


def test_a_redirect_beyond_ascii_is_taken_for_utf8(server):
    server.at("/%C3%BC", ok())
    with open_address(server.at("/a", redirect("/ü")), private=True) as reply:
        assert read_picture(reply) == PICTURE


def test_five_redirects_are_followed_and_no_more(server):
    for index in range(6):
        server.at(f"/{index}", redirect(f"/{index + 1}"))
    server.at("/6", ok())
    with open_address(server.at("/1", redirect("/2")), private=True) as reply:
        assert read_picture(reply) == PICTURE
    assert "more than 5 redirects" in fails(server.at("/0", redirect("/1")))
    server.asked.clear()
    assert "more than 5 redirects" in fails(server.at("/loop", redirect("/loop")))
    assert len(server.asked) == 6


@pytest.mark.parametrize("to", ["file:///etc/passwd", "ftp://example.org/", "http://[::1/", "//a b/", "/a\x1b[2J"])
def test_redirects_to_what_is_no_web_address_are_refused(server, to):
    message = fails(server.at("/a", redirect(to)))
    assert message.startswith(f"http://127.0.0.1:{server.port}/a: the redirect's address cannot be read")


def test_redirects_are_checked_as_the_first_address_is(names, tls, trusted, monkeypatch):
    monkeypatch.setattr(addresses, "is_public", lambda text: text == "127.0.0.1")
    names["camera.test"] = [[("127.0.0.1", None)]]
    names["inner.test"] = [[("10.0.0.1", None)]]
    url = tls.at("/a", redirect("https://inner.test/x"), host="camera.test", scheme="https")
    assert fails(url, private=False).startswith("https://inner.test/x: leads to 10.0.0.1, which")
    url = tls.at("/b", redirect("http://camera.test/x"), host="camera.test", scheme="https")
    assert fails(url, private=False).startswith("http://camera.test/x: not encrypted, after a redirect")


def test_a_name_is_checked_again_after_a_redirect_to_itself(names, tls, trusted, monkeypatch):
    monkeypatch.setattr(addresses, "is_public", lambda text: text == "127.0.0.1")
    names["camera.test"] = [[("127.0.0.1", None)], [("10.0.0.1", None)]]
    url = tls.at("/a", redirect("/b"), host="camera.test", scheme="https")
    assert "/b: leads to 10.0.0.1" in fails(url, private=False)


def test_a_login_goes_to_its_own_server_only(names, server):
    names["camera.test"] = names["other.test"] = [[("127.0.0.1", server.port)]]
    server.at("/a", redirect("http://camera.test/b"))
    server.at("/b", redirect("http://other.test/c"))
    server.at("/c", redirect("http://mallory:word@other.test/d"))
    server.at("/d", redirect("http://camera.test/e"))
    server.at("/e", ok())
    with open_address("http://me%40home:p%C3%A4ss:%2Fword@camera.test/a", private=True) as reply:
        assert reply.url == "http://camera.test/e"
    sent = [headers.get("Authorization") for _, headers in server.asked]
    mine = f"Basic {base64.b64encode('me@home:päss:/word'.encode()).decode()}"
    assert sent == [mine, mine, None, None, mine]


@pytest.mark.parametrize("to", ["https://camera.test:81/b", "http://camera.test:82/b"])
def test_a_login_does_not_go_to_another_scheme_or_port(names, server, tls, trusted, to):
    other = tls if to.startswith("https") else server
    names["camera.test"] = [[("127.0.0.1", server.port)], [("127.0.0.1", other.port)]]
    server.at("/a", redirect(to))
    other.at("/b", ok())
    open_address("http://me:word@camera.test:81/a", private=True).close()
    assert "Authorization" in server.asked[0][1]
    path, headers = other.asked[-1]
    assert path == "/b"
    assert "Authorization" not in headers


def test_messages_hide_login_and_query(names, server, connections):
    for url in ("https://me:secret@nowhere.test/?key=secret", "http://me:secret@127.0.0.1:9/a?key=secret"):
        assert "secret" not in fails(url)
    assert "secret" not in fails("http://me:secret@camera.test/a?key=secret", private=False)
    assert len(fails(f"https://nowhere.test/{'a' * 9000}")) < 400


@pytest.mark.parametrize(
    ("status", "expected"),
    [
        (404, "the server answers 404 Not Found; check the address"),
        (401, "401 Unauthorized; write https://user:password@host/path"),
        (503, "503 Service Unavailable; try again later"),
        (304, "304 Not Modified"),
        (204, "204 No Content"),
        (206, "206 Partial Content"),
        (302, "302 Found; check the address"),
        (799, "answers 799; try again later"),
    ],
)
def test_other_answers_than_200_are_errors(server, status, expected):
    message = fails(server.at("/a", b"HTTP/1.1 %d \x1b[2Jsecret\r\nContent-Length: 0\r\n\r\n" % status))
    assert expected in message
    assert message.startswith(f"http://127.0.0.1:{server.port}/a: ")
    assert "secret" not in message


@pytest.mark.parametrize(
    ("header", "expected"),
    [
        (b"Content-Encoding: gzip", "sent packed ('gzip') without being asked"),
        (b"Content-Encoding: \x1bbr", r"sent packed ('\x1bbr') without being asked"),
        (b"Transfer-Encoding: gzip", "not an answer that HTTP knows"),
    ],
)
def test_packed_answers_are_refused(server, header, expected):
    assert expected in fails(server.at("/a", ok(PICTURE, header)))


def test_plain_answers_may_say_so(server):
    with open_address(server.at("/a", ok(PICTURE, b"Content-Encoding: Identity")), private=True) as reply:
        assert read_picture(reply) == PICTURE


@pytest.mark.parametrize(
    "answer",
    [b"", b"SSH-2.0-OpenSSH_9.2\x1b\r\n", b"HTTP/1.1 200 OK\r\nContent-", b"HTTP/1.1 200 OK\r\n" + b"a: b\r\n" * 200],
)
def test_what_is_not_http_is_an_error(server, answer):
    message = fails(server.at("/a", answer))
    assert re.search("not an answer that HTTP knows|cannot be read: Remote end closed|nothing came", message)


def test_a_closed_port_is_an_error():
    with socket.socket() as closed:
        closed.bind(("127.0.0.1", 0))
        assert "Connection refused" in fails(f"http://127.0.0.1:{closed.getsockname()[1]}/a")


# ------------------------------------------------------------------------------------------ certificates


def test_a_certificate_is_verified(names, tls, trusted):
    names["camera.test"] = names["other.test"] = [[("127.0.0.1", None)]]
    with open_address(tls.at("/a", ok(), host="camera.test", scheme="https"), private=True) as reply:
        assert read_picture(reply) == PICTURE
        assert reply.url.startswith("https://camera.test:")
    message = fails(tls.at("/a", ok(), host="other.test", scheme="https"))
    assert "its certificate does not hold: Hostname mismatch" in message


def test_a_certificate_that_signs_itself_is_refused(names, tls):
    names["camera.test"] = [[("127.0.0.1", None)]]
    message = fails(tls.at("/a", ok(), host="camera.test", scheme="https"))
    assert re.search("certificate does not hold: self.signed certificate", message)
    assert "SSL_CERT_FILE" in message
    assert not tls.asked


def test_https_to_a_server_without_it_is_an_error(server):
    assert "cannot be read: " in fails(server.at("/a", ok(), scheme="https"))


# ------------------------------------------------------------------------------------------ time


def test_a_silent_server_is_left(server):
    began = time.monotonic()
    assert "no answer for 0.2 s" in fails(server.at("/a", 3.0, b""), timeout=0.2)
    assert "no answer for 0.2 s" in fails(server.at("/a", ok(length=300_000), 3.0), timeout=0.2)
    assert time.monotonic() - began < 1.5


def test_a_server_that_never_speaks_tls_is_left():
    with socket.create_server(("127.0.0.1", 0)) as silent:
        assert "no answer for 0.2 s" in fails(f"https://127.0.0.1:{silent.getsockname()[1]}/a", timeout=0.2)


def test_a_server_that_drips_headers_is_left(server):
    began = time.monotonic()
    assert "not done after 0.4 s" in fails(server.at("/a", drip(b"HTTP/1.1 200 OK\r\na: ")), timeout=0.1)
    assert time.monotonic() - began < 1.5


@pytest.mark.parametrize("start", [ok(b"", length=10_000), b"HTTP/1.1 200 OK\r\n\r\n"])
def test_a_server_that_drips_a_body_is_left(server, start, tmp_path):
    began = time.monotonic()
    assert "not done after 0.3 s" in fails(server.at("/a", drip(start)), seconds=0.3)
    assert time.monotonic() - began < 1.5

    def save(reply, **limits):
        save_video(reply, tmp_path / "clip.mp4", **limits)

    assert "not done after 0.2 s" in fails(server.at("/b", drip(start)), read=save, seconds=0.2)
    assert not list(tmp_path.iterdir())


def test_a_picture_may_take_longer_than_connecting(server):
    pieces = [ok(b"", length=8), *[0.05, b"x"] * 8]
    with open_address(server.at("/a", *pieces), private=True, timeout=0.07) as reply:
        assert read_picture(reply, seconds=5) == b"x" * 8


# ------------------------------------------------------------------------------------------ bodies


@pytest.mark.parametrize(
    "answer",
    [
        ok(),
        b"HTTP/1.0 200 OK\r\n\r\n" + PICTURE,
        b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n3E8\r\n%b\r\n3e418\r\n%b\r\n0\r\n\r\n"
        % (PICTURE[:1000], PICTURE[1000:]),
    ],
)
def test_bodies_of_every_form(server, answer, tmp_path):
    with open_address(server.at("/a", answer), private=True) as reply:
        assert read_picture(reply) == PICTURE
        assert reply.read() == b""
    with open_address(server.at("/b", answer), private=True) as reply:
        save_video(reply, tmp_path / "clip.mp4")
    assert (tmp_path / "clip.mp4").read_bytes() == PICTURE
    assert len(list(tmp_path.iterdir())) == 1


def test_a_body_ends_where_it_was_announced_to(server):
    with open_address(server.at("/a", ok(b"whole and more", length=5), 3.0), private=True, timeout=1) as reply:
        assert read_picture(reply) == b"whole"


@pytest.mark.parametrize(
    ("answer", "expected"),
    [
        (ok(b"half", length=8), "connection lost after 4 of 8 bytes"),
        (b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\nff\r\nhalf", "connection lost"),
        (b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\nzz\r\nhalf", "connection lost|not an answer"),
        (ok(b""), "nothing came, 0 bytes"),
        (b"HTTP/1.1 200 OK\r\n\r\n", "nothing came, 0 bytes"),
    ],
)
def test_bodies_that_break_off_or_are_empty_are_errors(server, answer, expected, tmp_path):
    assert re.search(expected, fails(server.at("/a", answer)))
    assert re.search(expected, fails(server.at("/a", answer), read=lambda reply: save_video(reply, tmp_path / "a")))
    assert not list(tmp_path.iterdir())


def test_bodies_that_are_too_large_are_refused(server, tmp_path):
    assert "2,001 bytes, mien reads up to 2,000" in fails(server.at("/a", ok(b"", length=2001)), max_bytes=2000)
    assert "more bytes, mien reads up to 2,000" in fails(server.at("/a", endless()), max_bytes=2000)
    chunked = b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\nffffffffffff\r\n"
    assert "more bytes, mien reads up to 2,000" in fails(server.at("/a", endless(chunked)), max_bytes=2000)

    def save(reply, **limits):
        save_video(reply, tmp_path / "clip.mp4", **limits)

    assert "mien reads up to 300,000" in fails(server.at("/a", endless()), read=save, max_bytes=300_000)
    assert not list(tmp_path.iterdir())
    with open_address(server.at("/a", ok()), private=True) as reply:
        assert len(read_picture(reply, max_bytes=256_000)) == 256_000


def test_a_video_replaces_the_file_only_when_it_is_whole(server, tmp_path):
    path = tmp_path / "clip.mp4"
    path.write_bytes(b"old")
    fails(server.at("/a", ok(b"half", length=8)), read=lambda reply: save_video(reply, path))
    assert path.read_bytes() == b"old"
    with open_address(server.at("/b", ok()), private=True) as reply:
        save_video(reply, path)
    assert path.read_bytes() == PICTURE


def test_a_file_that_cannot_be_written_is_named(server, tmp_path):
    message = fails(server.at("/a", ok()), read=lambda reply: save_video(reply, tmp_path / "none" / "a.mp4"))
    assert message == f"cannot write {tmp_path}/none/a.mp4: the folder {tmp_path}/none does not exist"


def test_a_picture_is_fetched_within_its_bounds(server, monkeypatch):
    assert fetch_picture(server.at("/a", ok()), private=True) == PICTURE
    with pytest.raises(SourceError, match="256,000 bytes, mien reads up to 1,000"):
        fetch_picture(server.at("/a", ok()), private=True, max_bytes=1000)
    with pytest.raises(SourceError, match=r"not done after 0\.2 s"):
        fetch_picture(server.at("/b", drip(ok(b"", length=10_000))), private=True, seconds=0.2)
    with pytest.raises(SourceError, match="not a public address"):
        fetch_picture(f"https://127.0.0.1:{server.port}/a")
