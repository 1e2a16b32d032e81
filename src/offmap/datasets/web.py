"""Connections to the web: safe redirections, patience with servers, errors in words."""

from __future__ import annotations

import http.client
import json
import re
import socket
import ssl
import time
import urllib.error
import urllib.request
from collections.abc import Callable, Mapping
from functools import cache
from typing import IO, Any
from urllib.parse import urlsplit

from offmap import __version__
from offmap.errors import DataError

ATTEMPTS = 6
"""Attempts in a row that bring nothing new before giving up; the waits are 1, 2, 4, ... seconds."""

TIMEOUT = 60.0
"""Seconds without a byte before a connection counts as lost."""

LONGEST_WAIT = 60.0
"""Most seconds between two attempts."""

TRY_AGAIN = frozenset((408, 425, 429, 500, 502, 503, 504))
"""Answers of a server that may be others in a moment."""

TROUBLE = (urllib.error.URLError, http.client.HTTPException, ConnectionError, TimeoutError)
"""What a connection that does not hold raises."""

_MAX_JSON = 2**28


class _StaySafe(urllib.request.HTTPRedirectHandler):
    """Follows redirections, but not from https to a protocol that anyone can change on the way."""

    def redirect_request(
        self,
        req: urllib.request.Request,
        fp: IO[bytes],
        code: int,
        msg: str,
        headers: Any,
        newurl: str,
    ) -> urllib.request.Request | None:
        if req.full_url.startswith("https:") and not newurl.startswith("https:"):
            raise urllib.error.URLError(f"redirected from https to {urlsplit(newurl).scheme}")
        return super().redirect_request(req, fp, code, msg, headers, newurl)


@cache
def _trusted() -> ssl.SSLContext:
    """The certificates of this machine, read once."""
    return ssl.create_default_context()


def open_url(url: str, headers: Mapping[str, str] | None = None) -> Any:
    """Open a web address; proxies are those of the environment (``https_proxy``, ``no_proxy``)."""
    if urlsplit(url).scheme not in ("http", "https"):
        raise DataError(f"{public(url)} is not a web address")
    if public(url) != url:  # the password would follow redirections, and get into messages
        raise DataError(f"{public(url)} was given with a user name or password, which is not done")
    opener = urllib.request.build_opener(_StaySafe, urllib.request.HTTPSHandler(context=_trusted()))
    told = {"User-Agent": f"offmap/{__version__}", "Accept-Encoding": "identity", **(headers or {})}
    return opener.open(urllib.request.Request(url, headers=told), timeout=TIMEOUT)


def fetch_json(url: str, wait: Callable[[float], object] = time.sleep) -> Any:
    """A JSON document from the web, with the same patience as a download.

    Raises
    ------
    DataError
        If it cannot be had or is not JSON.
    """
    for attempt in range(ATTEMPTS):
        try:
            with open_url(url, {"Accept": "application/json"}) as response:
                text = response.read(_MAX_JSON)
            return json.loads(text)
        except urllib.error.HTTPError as error:
            with error:
                reason = f"HTTP {error.code} {error.reason}{_detail(error)}"
                pause = retry_after(error.headers)
                if error.code not in TRY_AGAIN:
                    break
        except TROUBLE as error:
            reason, pause = words(error), 0.0
            if attempt + 1 >= patience(error):
                break
        except (ValueError, RecursionError) as error:
            reason, pause = f"the answer is not JSON ({error})", 0.0
        if attempt < ATTEMPTS - 1:
            wait(min(max(pause, 2.0**attempt), LONGEST_WAIT))
    raise DataError(f"cannot read {public(url)}: {reason}")


def _detail(error: urllib.error.HTTPError) -> str:
    """What an API says about a refused request (the form of OPTIMADE and JSON:API)."""
    try:
        errors = json.loads(error.read(2**16))["errors"]
        return f": {errors[0].get('detail') or errors[0].get('title')}"
    except (ValueError, KeyError, TypeError, IndexError, AttributeError, OSError):
        return ""


def public(url: str) -> str:
    """The address without user name and password, for messages."""
    return re.sub(r"(?<=//)[^/?#\s]*@", "", url)


def words(error: BaseException) -> str:
    """What went wrong with a connection."""
    reason = getattr(error, "reason", None) or error
    text = " ".join(str(reason).split())
    if isinstance(reason, TimeoutError) or "timed out" in text:
        return f"no answer within {TIMEOUT:g} s"
    return text or type(error).__name__


def patience(error: BaseException) -> int:
    """Attempts to make; few where not even the name of the server is known: no network."""
    return 2 if isinstance(getattr(error, "reason", None), socket.gaierror) else ATTEMPTS


def retry_after(headers: Any) -> float:
    """Seconds that a server asks to wait; 0 if it does not say."""
    value = (headers or {}).get("Retry-After", "")
    return float(value) if str(value).isdecimal() else 0.0
