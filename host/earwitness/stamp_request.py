"""Asking a time authority for a token (RFC 3161 over HTTP). Only a hash leaves this computer."""

from __future__ import annotations

from typing import Any, Final

from earwitness.authority_trust import Authority
from earwitness.errors import EarwitnessError, IntegrityError
from earwitness.stamp import MAX_BYTES

_QUERY: Final = "application/timestamp-query"  # RFC 3161, 3.4
_REPLY: Final = "application/timestamp-reply"
_HINT: Final = "Try again later, or another one: --authority NAME. Nothing was kept."


def ask(authority: Authority, final_note: bytes, *, timeout_s: float) -> bytes:
    """A TimeStampResp over the SHA-256 of `final_note`, fresh and over these bytes; its signature is not checked here.

    Raises EarwitnessError if there is no answer, IntegrityError if it is not an answer to what was asked.
    """
    from rfc3161_client import HashAlgorithm, TimestampRequestBuilder, decode_timestamp_response

    request = TimestampRequestBuilder().data(final_note).hash_algorithm(HashAlgorithm.SHA256).build()
    reply = _post(authority, request.as_bytes(), timeout_s)
    try:
        response = decode_timestamp_response(reply)
        status, words = response.status, " ".join(response.status_string)
    except Exception as error:  # ASN.1 from outside: whatever its reader raises
        raise IntegrityError(f"{authority.name} did not answer with a time token.", _HINT) from error
    if status != 0:
        raise EarwitnessError(f"{authority.name} refused: {words or f'status {status}'}.", _HINT)
    try:
        info: Any = response.tst_info
        mine = info.message_imprint.message == request.message_imprint.message and info.nonce == request.nonce
    except Exception as error:
        raise IntegrityError(f"{authority.name} did not answer with a time token.", _HINT) from error
    if not mine:
        raise IntegrityError(f"{authority.name} answered something else than it was asked.", _HINT)
    return reply


def _post(authority: Authority, body: bytes, timeout_s: float) -> bytes:
    import httpx

    headers = {"Content-Type": _QUERY, "Accept": _REPLY}
    data = bytearray()
    try:
        with (
            httpx.Client(timeout=timeout_s, follow_redirects=False) as client,
            client.stream("POST", authority.url, content=body, headers=headers) as response,
        ):
            if response.status_code != httpx.codes.OK:
                raise EarwitnessError(f"{authority.name} answered with HTTP status {response.status_code}.", _HINT)
            for part in response.iter_bytes():
                data += part
                if len(data) > MAX_BYTES:
                    raise IntegrityError(f"{authority.name} answered with far more than a time token.", _HINT)
    except (httpx.HTTPError, httpx.InvalidURL) as error:
        raise EarwitnessError(f"{authority.name} cannot be reached ({type(error).__name__}).", _HINT) from error
    return bytes(data)
