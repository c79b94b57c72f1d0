"""The body of an HTTP answer, with a limit on its size: before, while and after it is unpacked.

A gzip bomb of a megabyte unpacks to a gigabyte, so unpacking stops at the limit and not after it. Text is decoded by
what the bytes are rather than by what the header claims, because the header is often a server's default.
"""

from __future__ import annotations

import codecs
import json
import zlib
from collections.abc import Iterable

from collectors.base import CollectError

GZIP_MAGIC = b"\x1f\x8b"
FALLBACK = "gb18030"
"""tried where a text is not UTF-8: what Chinese offices still write; contains GBK and GB2312"""


class Inflater:
    """Unpacks gzip or deflate piece by piece, never giving more than asked for."""

    def __init__(self, coding: str) -> None:
        self._coding = coding
        self._stream = zlib.decompressobj(zlib.MAX_WBITS | (16 if coding == "gzip" else 0))
        self._started = False

    def feed(self, data: bytes, limit: int) -> bytes:
        """At most `limit` (>= 1) unpacked bytes of `data`; the caller stops when it gets that many."""
        out = b""
        while data and len(out) < limit:
            if self._stream.eof:  # gzip files may be joined: the next one begins
                self._stream = zlib.decompressobj(zlib.MAX_WBITS | 16)
            out += self._inflate(data, limit - len(out))
            data = self._stream.unused_data
        return out

    def _inflate(self, data: bytes, limit: int) -> bytes:
        first, self._started = not self._started, True
        try:
            return self._stream.decompress(data, limit)
        except zlib.error:
            if self._coding != "deflate" or not first:
                raise
            # "deflate" without the zlib header, as some servers send it
            self._stream = zlib.decompressobj(-zlib.MAX_WBITS)
            return self._stream.decompress(data, limit)

    @property
    def complete(self) -> bool:
        return self._stream.eof or not self._started


def read_limited(chunks: Iterable[bytes], coding: str, limit: int) -> bytes:
    """The unpacked body, of at most `limit` bytes. `coding` is the Content-Encoding header.

    A body that is itself a gzip file (a `.csv.gz`) is unpacked too. Raises CollectError: too_large, encoding.
    """
    codings = [c for c in (part.strip().lower() for part in coding.split(",")) if c not in ("", "identity")]
    if len(codings) > 1 or (codings and codings[0] not in ("gzip", "x-gzip", "deflate")):
        raise CollectError(
            "encoding", f"the answer is packed as {coding!r}, which was not asked for; only gzip and deflate are read"
        )
    body = collect(chunks, codings[0].removeprefix("x-") if codings else "", limit)
    return collect([body], "gzip", limit) if body.startswith(GZIP_MAGIC) else body


def collect(chunks: Iterable[bytes], coding: str, limit: int) -> bytes:
    """Join `chunks`, unpacking them. Raises CollectError: too_large, encoding."""
    inflater = Inflater(coding) if coding else None
    body = bytearray()
    try:
        for chunk in chunks:
            body += inflater.feed(chunk, limit - len(body) + 1) if inflater else chunk
            if len(body) > limit:
                raise too_large(limit)
    except zlib.error as error:
        raise CollectError("encoding", f"the answer claims to be {coding} but cannot be unpacked ({error})") from None
    if inflater and not inflater.complete:
        raise CollectError("encoding", f"the {coding} data ends too early; the answer was cut off on its way")
    return bytes(body)


def too_large(limit: int) -> CollectError:
    return CollectError(
        "too_large",
        f"the answer is larger than {limit:,} bytes; ask for less at a time (paging, a since parameter) or raise"
        " max_bytes",
    )


def check_structures(text: str | bytes, most: int, remedy: str) -> None:
    """Raise CollectError('too_large') where JSON holds more than `most` objects and lists.

    Sixteen megabytes of `{},{},…` would become a gigabyte of objects; counting before parsing costs nothing.
    """
    found = text.count("{") + text.count("[") if isinstance(text, str) else text.count(b"{") + text.count(b"[")
    if found > most:
        raise CollectError("too_large", f"the answer holds {found:,} objects and lists, too many at once; {remedy}")


def decode_text(body: bytes, charset: str, forced: str = "") -> str:
    """`body` as text: by `forced`, else by its byte order mark, UTF-8, `charset` (of the header) or GB18030.

    Raises CollectError('encoding') where none fits.
    """
    for name in [forced] if forced else candidates(body, charset):
        try:
            return body.decode(name)
        except (UnicodeDecodeError, LookupError):
            continue
    tried = forced or f"UTF-8, {charset + ', ' if charset else ''}GB18030"
    raise CollectError(
        "encoding",
        f"the answer is not text in {tried}; its first bytes are {body[:16].hex(' ')}. Set encoding to what it is",
    )


def candidates(body: bytes, charset: str) -> list[str]:
    """Encodings to try in turn. UTF-8 before the header's: it is never right by chance, the header often wrong."""
    if body.startswith((codecs.BOM_UTF16_LE, codecs.BOM_UTF16_BE)):
        return ["utf-16"]
    if b"\0" in body[:4]:
        return [json.detect_encoding(body)]
    declared = FALLBACK if charset.lower() in ("gb2312", "gbk", "gb_2312-80") else charset
    return ["utf-8-sig", *([declared] if declared else []), FALLBACK]


def snippet(body: bytes, length: int = 120) -> str:
    """The first characters of a body on one line, for messages."""
    text = " ".join(body[: length * 4].decode("utf-8", "replace").split())
    return repr(text if len(text) <= length else text[: length - 1] + "…")


def looks_like_html(text: str) -> bool:
    """Whether a page for people came instead of data."""
    start = text[:1000].lstrip("\ufeff \t\r\n").lower()
    return start.startswith(("<!doctype html", "<html", "<head", "<body", "<!--", "<script"))
