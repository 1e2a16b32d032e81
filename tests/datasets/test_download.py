from __future__ import annotations

import gc
import hashlib
import json
import multiprocessing
import os
import threading

import pytest

from offmap.datasets import web
from offmap.datasets.download import download, recorded
from offmap.datasets.web import ATTEMPTS, fetch_json, public
from offmap.errors import DataError

# Sockets of others may be left to the garbage collector (pyproject.toml); ours may not.
pytestmark = pytest.mark.filterwarnings("error::ResourceWarning")

BODY = os.urandom(50_000)
MD5 = "md5:" + hashlib.md5(BODY).hexdigest()


@pytest.fixture
def target(tmp_path, site):
    site.files["/data.zip"] = BODY
    return tmp_path / "set" / "data.zip"


@pytest.fixture(autouse=True)
def _swept():
    yield
    gc.collect()


def get(site, target, checksum="", **more):
    return download(site.url + "/data.zip", target, checksum, **more)


def only(target):
    """Files beside the target, apart from locks and records."""
    return sorted(p.name for p in target.parent.iterdir() if not p.name.endswith(".lock"))


def test_a_file_is_fetched_once(site, target):
    calls = []
    get(site, target, MD5, progress=lambda done, total: calls.append((done, total)))
    assert target.read_bytes() == BODY
    assert calls[-1] == (len(BODY), len(BODY))
    get(site, target, MD5)
    assert site.count("/data.zip") == 1
    assert only(target) == ["checksums.json", "data.zip"]
    assert recorded(target) == "sha256:" + hashlib.sha256(BODY).hexdigest()


@pytest.mark.parametrize(
    "faults",
    [
        ["cut"],
        ["cut", "cut", "cut"],
        ["500", "503:0", "429:1"],
        ["cut", "500", "ignore range"],
        ["cut", "416"],
        ["500"] * (ATTEMPTS - 1),
    ],
)
def test_faults_that_are_overcome(site, target, faults):
    site.faults["/data.zip"] = list(faults)
    get(site, target, MD5)
    assert target.read_bytes() == BODY
    assert only(target) == ["checksums.json", "data.zip"]


def test_a_cut_download_goes_on_where_it_stopped(site, target):
    site.faults["/data.zip"] = ["cut"]
    get(site, target)
    assert site.requests == [("/data.zip", ""), ("/data.zip", f"bytes={len(BODY) // 2}-")]


def test_a_killed_download_goes_on_in_the_next_process(site, target, monkeypatch):
    site.faults["/data.zip"] = ["cut"] + ["500"] * ATTEMPTS
    with pytest.raises(DataError, match="HTTP 500"):
        get(site, target, MD5)
    assert not target.exists()
    get(site, target, MD5)
    assert site.requests[-1] == ("/data.zip", f"bytes={len(BODY) // 2}-")
    assert target.read_bytes() == BODY


def test_a_file_that_changed_in_between_is_begun_again(site, target):
    site.faults["/data.zip"] = ["cut"] + ["500"] * ATTEMPTS
    with pytest.raises(DataError):
        get(site, target)
    site.files["/data.zip"] = BODY[::-1]
    get(site, target)
    assert target.read_bytes() == BODY[::-1]


def test_a_server_without_ranges_or_tags(site, target):
    site.ranges = site.tags = False
    site.faults["/data.zip"] = ["cut", "cut"]
    get(site, target, MD5)
    assert target.read_bytes() == BODY


def test_a_slow_body_counts_as_lost(site, target, monkeypatch):
    monkeypatch.setattr(web, "TIMEOUT", 0.2)
    site.faults["/data.zip"] = ["stall"]
    get(site, target, MD5)
    assert target.read_bytes() == BODY
    assert site.count("/data.zip") >= 2


def test_a_wrong_checksum_is_tried_once_more_then_refused(site, target):
    site.faults["/data.zip"] = ["garble"]
    get(site, target, MD5)
    assert target.read_bytes() == BODY
    target.unlink()
    (target.parent / "checksums.json").unlink()
    with pytest.raises(DataError, match=r"has the md5 .* publisher states 00") as caught:
        get(site, target, "md5:00")
    assert "data.zip" in str(caught.value)
    assert only(target) == [".data.zip.part-tag"]
    assert not target.exists()


def test_without_a_stated_checksum_the_first_one_counts(site, target):
    get(site, target)
    target.unlink()
    site.files["/data.zip"] = b"something else"
    with pytest.raises(DataError, match=r"not what it was when it was first fetched.*delete"):
        get(site, target)
    assert not target.exists()
    site.files["/data.zip"] = BODY
    get(site, target)


@pytest.mark.parametrize(
    ("faults", "words"),
    [
        (["404"], "HTTP 404"),
        (["403"], "HTTP 403"),
        (["500"] * ATTEMPTS, "HTTP 500"),
        (["202"] * ATTEMPTS, "HTTP 202"),
        (["200"] * ATTEMPTS, "only 0 of 0 bytes"),
    ],
)
def test_what_cannot_be_had_says_where_to_put_it(site, target, faults, words):
    site.faults["/data.zip"] = list(faults)
    with pytest.raises(DataError) as caught:
        get(site, target)
    message = str(caught.value)
    assert words in message
    assert site.url in message
    assert f"put it at {target}" in message
    assert "OFFMAP_MIRROR" in message
    assert "\n" not in message


def test_no_network(tmp_path, site):
    for call in (fetch_json, lambda url, wait: download(url, tmp_path / "x.zip", wait=wait)):
        waits = []
        with pytest.raises(DataError, match=r"no-such-host\.invalid"):
            call("http://no-such-host.invalid/x.zip", wait=waits.append)
        assert waits == [0.01]  # nobody waits for a network that is not there
    with pytest.raises(DataError, match=r"cannot download http://127.0.0.1:9/x.zip"):
        download("http://127.0.0.1:9/x.zip", tmp_path / "x.zip")


def test_redirections_leave_the_web_never(site, target):
    site.faults["/data.zip"] = ["elsewhere"] * ATTEMPTS
    with pytest.raises(DataError, match="cannot download"):
        get(site, target)
    with pytest.raises(DataError, match="not a web address"):
        download("file:///etc/passwd", target)


def test_a_mirror_is_used_before_the_network(site, target, tmp_path, monkeypatch):
    mirror = tmp_path / "mirror"
    mirror.mkdir()
    monkeypatch.setenv("OFFMAP_MIRROR", str(mirror))
    (mirror / "data.zip").write_bytes(BODY)
    get(site, target, MD5)
    assert target.read_bytes() == BODY
    assert site.requests == []
    target.unlink()
    (mirror / "data.zip").write_bytes(b"damaged")
    with pytest.raises(DataError, match="damaged or not that file"):
        get(site, target, MD5)
    (mirror / "data.zip").unlink()
    get(site, target, MD5)
    assert site.count("/data.zip") == 1


def test_a_file_placed_by_hand_is_verified(site, target):
    target.parent.mkdir()
    target.write_bytes(BODY)
    get(site, target, MD5)
    assert site.requests == []
    target.write_bytes(b"wrong")
    (target.parent / "checksums.json").unlink()
    with pytest.raises(DataError, match="publisher states"):
        get(site, target, MD5)
    assert target.read_bytes() == b"wrong"


def _fetch_in_process(url, target):
    download(url, target)


def test_two_processes_fetch_once(site, target):
    site.faults["/data.zip"] = ["stall"]
    context = multiprocessing.get_context("spawn")
    jobs = [
        context.Process(target=_fetch_in_process, args=(site.url + "/data.zip", target))
        for _ in range(2)
    ]
    for job in jobs:
        job.start()
    for job in jobs:
        job.join()
        assert job.exitcode == 0
    assert target.read_bytes() == BODY
    assert site.count("/data.zip") == 1


def test_a_proxy_of_the_environment_is_used(site, target, monkeypatch):
    from .server import serving

    with serving() as proxy:
        proxy.files[site.url + "/data.zip"] = b"through the proxy"
        monkeypatch.setenv("http_proxy", proxy.url)
        monkeypatch.setenv("no_proxy", "")
        get(site, target)
    assert target.read_bytes() == b"through the proxy"
    assert site.requests == []


def test_a_folder_that_cannot_be_written(site, tmp_path):
    (tmp_path / "file").write_text("")
    with pytest.raises(DataError, match="cannot write"):
        download(site.url + "/data.zip", tmp_path / "file" / "x.zip")


def test_waits_grow_and_end(site, target, monkeypatch):
    monkeypatch.setattr(web, "LONGEST_WAIT", 60.0)
    site.faults["/data.zip"] = ["500", "500", "503:7", "500", "500", "500"]
    waits = []
    with pytest.raises(DataError):
        get(site, target, wait=waits.append)
    assert waits == [1, 2, 7, 8, 16]


def test_json(site):
    site.files["/a.json"] = json.dumps({"a": 1}).encode()
    site.faults["/a.json"] = ["500", "503:1"]
    assert fetch_json(site.url + "/a.json") == {"a": 1}
    site.files["/b.json"] = b"<html>"
    with pytest.raises(DataError, match="not JSON"):
        fetch_json(site.url + "/b.json")
    with pytest.raises(DataError, match="HTTP 404"):
        fetch_json(site.url + "/c.json")


def test_messages_hide_passwords(tmp_path):
    assert public("https://me:secret@host.org/x?y@z") == "https://host.org/x?y@z"
    assert public("optimade:https://me:sec@ret@host.org") == "optimade:https://host.org"
    for call in (fetch_json, lambda url: download(url, tmp_path / "x.zip")):
        with pytest.raises(DataError, match="user name or password") as caught:
            call("http://me:secret@127.0.0.1:9/x.zip")
        assert "secret" not in str(caught.value)


def test_no_thread_is_left(site):
    assert threading.active_count() < 20
