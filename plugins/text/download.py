"""Fetching a known file with pooch: checksum, cache, progress, and errors that say what to do."""

from __future__ import annotations

import logging
from pathlib import Path
from typing import Any

from .errors import DataError
from .files import KnownFile
from .locate import DATA_VARIABLE, cached_path, from_cache

TIMEOUT_SECONDS = 30


def fetch(file: KnownFile, *, base_url: str | None = None, progress: bool = True) -> Path:
    """The path of the verified file in the cache, fetched if it is not there yet.

    base_url: takes the place of everything before the file's name in its address. Nothing is
    stored unless its digest is right. Raises DataError: pooch is not installed, no connection,
    the server's refusal, a wrong digest, a damaged cached file, a folder that cannot be written.
    """
    known = from_cache(file)  # raises when it is damaged: pooch would quietly fetch it again
    if known is not None:
        return known.path
    pooch = _pooch()
    url = address(file, base_url)
    target = cached_path(file)
    logging.getLogger("pooch").setLevel(logging.ERROR)  # the errors below say the same
    try:
        pooch.retrieve(
            url,
            known_hash=f"sha256:{file.sha256}",
            fname=target.name,
            path=target.parent,
            downloader=pooch.HTTPDownloader(
                progressbar=progress and _has_tqdm(), timeout=TIMEOUT_SECONDS, chunk_size=1 << 16
            ),
        )
    except Exception as error:
        raise DataError(_explain(error, file, url, target)) from error
    return target


def address(file: KnownFile, base_url: str | None = None) -> str:
    """Where the file is fetched from."""
    return file.url if base_url is None else f"{base_url.rstrip('/')}/{file.remote_name}"


def _pooch() -> Any:
    try:
        import pooch
    except ImportError as error:
        raise DataError(
            "fetching data needs the package pooch, which is not installed: "
            "pip install 'pytest-gradcheck[data]'"
        ) from error
    return pooch


def _has_tqdm() -> bool:
    try:
        import tqdm  # noqa: F401
    except ImportError:
        return False
    return True


def _explain(error: Exception, file: KnownFile, url: str, target: Path) -> str:
    import requests

    without = (
        f"without a network, put {file.local_names[0]} into the directory that {DATA_VARIABLE} "
        "names"
    )
    if isinstance(error, requests.exceptions.HTTPError) and error.response is not None:
        status = error.response.status_code
        reason = error.response.reason or "refused"
        return (
            f"{url} answered {status} {reason}; check the address given with --base-url, "
            f"or {without}"
        )
    if isinstance(
        error, (requests.exceptions.ChunkedEncodingError, requests.exceptions.ContentDecodingError)
    ):
        return f"the connection broke off while fetching {url}; nothing was stored, try again"
    if isinstance(error, requests.exceptions.Timeout):
        return f"{url} did not answer within {TIMEOUT_SECONDS} s; try again later, or {without}"
    if isinstance(error, requests.exceptions.ConnectionError):
        return f"no connection to {url}; {without}, or name a mirror with --base-url"
    if isinstance(error, requests.exceptions.RequestException):
        return f"{url} cannot be fetched: {error}; check the address given with --base-url"
    if isinstance(error, ValueError) and "hash" in str(error).lower():
        return (
            f"what {url} holds is not the published {file.name}: its sha256 is not {file.sha256}; "
            "nothing was stored, check the address"
        )
    if isinstance(error, OSError):
        return f"{target} cannot be written: {error.strerror or error}; choose another cache folder"
    return f"{url} cannot be fetched: {type(error).__name__}: {error}"
