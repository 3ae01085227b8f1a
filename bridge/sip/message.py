"""SIP messages and their bytes: a codec that refuses only what it can't represent (RFC 3261, 7).

Content-Length is framing: `parse` consumes it, `encode` writes it, `headers` of a parsed message has none.
"""

from __future__ import annotations

import re
from collections.abc import Iterable
from dataclasses import dataclass

from .address import NameAddr, Via
from .headers import BLANKS, Headers, SipError, number, quote

__all__ = [
    "MOST_BYTES", "PHRASES", "FaultyRequestError", "Headers", "Message", "Request", "Response", "SipError",
    "caller_of", "is_keepalive", "parse", "respond", "seconds_in", "session_description", "warning",
]  # fmt: skip

MOST_BYTES = 65536
MOST_LINE = 8192
MOST_LINES = 128
MOST_FOLDED = 1024
"""Lines on the wire; a header may be folded into many."""
MOST_PARTS = 16
MOST_NUMBER = 2**32 - 1
SDP = "application/sdp"

PHRASES: dict[int, str] = {
    100: "Trying", 180: "Ringing", 181: "Call Is Being Forwarded", 182: "Queued", 183: "Session Progress",
    199: "Early Dialog Terminated", 200: "OK", 202: "Accepted", 204: "No Notification", 300: "Multiple Choices",
    301: "Moved Permanently", 302: "Moved Temporarily", 305: "Use Proxy", 380: "Alternative Service",
    400: "Bad Request", 401: "Unauthorized", 402: "Payment Required", 403: "Forbidden", 404: "Not Found",
    405: "Method Not Allowed", 406: "Not Acceptable", 407: "Proxy Authentication Required", 408: "Request Timeout",
    410: "Gone", 412: "Conditional Request Failed", 413: "Request Entity Too Large", 414: "Request-URI Too Long",
    415: "Unsupported Media Type", 416: "Unsupported URI Scheme", 417: "Unknown Resource-Priority",
    420: "Bad Extension", 421: "Extension Required", 422: "Session Interval Too Small", 423: "Interval Too Brief",
    424: "Bad Location Information", 428: "Use Identity Header", 429: "Provide Referrer Identity", 430: "Flow Failed",
    433: "Anonymity Disallowed", 436: "Bad Identity Info", 437: "Unsupported Credential", 438: "Invalid Identity Header",
    439: "First Hop Lacks Outbound Support", 440: "Max-Breadth Exceeded", 469: "Bad Info Package",
    470: "Consent Needed", 480: "Temporarily Unavailable", 481: "Call/Transaction Does Not Exist", 482: "Loop Detected",
    483: "Too Many Hops", 484: "Address Incomplete", 485: "Ambiguous", 486: "Busy Here", 487: "Request Terminated",
    488: "Not Acceptable Here", 489: "Bad Event", 491: "Request Pending", 493: "Undecipherable",
    494: "Security Agreement Required", 500: "Server Internal Error", 501: "Not Implemented", 502: "Bad Gateway",
    503: "Service Unavailable", 504: "Server Time-out", 505: "Version Not Supported", 513: "Message Too Large",
    580: "Precondition Failure", 600: "Busy Everywhere", 603: "Decline", 604: "Does Not Exist Anywhere",
    606: "Not Acceptable", 607: "Unwanted", 608: "Rejected",
}  # fmt: skip

_HEAD_END = re.compile(rb"\r?\n\r?\n")
_CSEQ = re.compile(r"([0-9]+)[ \t]+([^ \t]+)")
_BREAKS_LINE = re.compile(r"[\r\n\0]")
_BOUNDARY = re.compile(r"boundary[ \t]*=[ \t]*(?:\"([^\"]+)\"|([^ \t;\"]+))", re.IGNORECASE)
_VERSION = re.compile(r"SIP/[0-9]+\.[0-9]+", re.IGNORECASE)


class FaultyRequestError(SipError):
    """A request that can't be represented but can be answered: `request` is what could be read of it, without a body."""

    def __init__(self, fault: SipError, request: Request) -> None:
        super().__init__(str(fault), fault.status or 400)
        self.request = request


class _Message:
    """What requests and responses share. Every accessor raises SipError when its header is missing or broken."""

    __slots__ = ()
    headers: Headers
    body: bytes

    @property
    def call_id(self) -> str:
        return _required(self.headers, "Call-ID")

    @property
    def cseq(self) -> tuple[int, str]:
        """Number, up to 2³²−1 as old peers count, and method."""
        match = _CSEQ.fullmatch(_required(self.headers, "CSeq"))
        if match is None:
            raise SipError("CSeq is not a number and a method")
        return number(match[1], MOST_NUMBER), match[2]

    @property
    def from_tag(self) -> str:
        return NameAddr.parse(_required(self.headers, "From")).tag

    @property
    def to_tag(self) -> str:
        return NameAddr.parse(_required(self.headers, "To")).tag

    @property
    def via(self) -> Via:
        """The topmost."""
        return Via.parse(_required(self.headers, "Via"))


@dataclass(frozen=True, slots=True)
class Request(_Message):
    """A request; the Request-URI as written."""

    method: str
    uri: str
    headers: Headers
    body: bytes = b""

    def encode(self) -> bytes:
        return _encode(f"{self.method} {self.uri} SIP/2.0", self.headers, self.body)


@dataclass(frozen=True, slots=True)
class Response(_Message):
    """A response; the status as sent, even if it is none of SIP's."""

    status: int
    phrase: str
    headers: Headers
    body: bytes = b""

    def encode(self) -> bytes:
        return _encode(f"SIP/2.0 {self.status} {self.phrase}", self.headers, self.body)


Message = Request | Response


def parse(datagram: bytes) -> Message:
    """The one message of a datagram; FaultyRequestError if it can only be refused, SipError if it can only be dropped."""
    if len(datagram) > MOST_BYTES:
        raise SipError(f"over {MOST_BYTES} bytes", None)
    datagram = datagram.lstrip(b"\r\n")
    end = _HEAD_END.search(datagram)
    head, body = (datagram[: end.start()], datagram[end.end() :]) if end else (datagram, b"")
    start, *lines = _text(head).split("\n", MOST_FOLDED + 1)
    headers, lengths, fault = _read_headers(lines[:MOST_FOLDED])
    if len(lines) > MOST_FOLDED:
        fault = SipError(f"more than {MOST_FOLDED} lines", 513)
    if end is None:
        fault = SipError("no empty line after the headers")
    try:
        body = body[: _body_length(lengths, len(body))]
    except SipError as error:
        fault = fault or error
    return _read_start(start.removesuffix("\r"), headers, body, fault)


def is_keepalive(datagram: bytes) -> bool:
    """Whether a datagram only holds a NAT's door open: up to four CRs, LFs and NULs."""
    return len(datagram) <= 4 and not datagram.strip(b"\r\n\0")


def respond(
    request: Request,
    status: int,
    phrase: str = "",
    *,
    to_tag: str = "",
    headers: Iterable[tuple[str, str]] = (),
    body: bytes = b"",
) -> Response:
    """The response with all that RFC 3261, 8.2.6 copies; SipError if the request has no Via to send it back by.

    `to_tag` goes into To unless there is one or the status is 100. Headers that the request lacks are left out.
    """
    asked = request.headers
    _required(asked, "Via")
    pairs = [("Via", line) for name, line in asked if name == "Via"]
    if status == 100:
        pairs += [("Timestamp", line) for line in asked.all("Timestamp")[:1]]
    elif status < 300:
        pairs += [("Record-Route", line) for name, line in asked if name == "Record-Route"]
    for name in ("From", "To", "Call-ID", "CSeq"):
        if (value := asked.get(name)) is not None:
            pairs.append((name, _tagged(value, to_tag) if name == "To" and status > 100 else value))
    phrase = phrase or PHRASES.get(status) or PHRASES.get(status // 100 * 100, "")
    return Response(status, phrase, Headers.copied(pairs, headers), body)


def caller_of(request: Request) -> tuple[str, str]:
    """Number and display name of the caller, both "" when withheld (RFC 3323, 3325).

    From the first readable of P-Asserted-Identity, Remote-Party-ID and From.
    """
    return _party_in(request, "P-Asserted-Identity", "Remote-Party-ID", "From") or ("", "")


def connected_of(message: Message) -> tuple[str, str] | None:
    """Number and name of whoever is at the other end now, as the peer asserts; None if it says nothing (RFC 5876)."""
    return _party_in(message, "P-Asserted-Identity", "Remote-Party-ID")


def referrer_of(request: Request) -> str:
    """The number of whoever passed the call on to us (Referred-By, RFC 3892), "" for nobody."""
    party = _party_in(request, "Referred-By")
    return party[0] if party else ""


def diverter_of(request: Request) -> str:
    """The number that was called before and forwarded the call by itself (Diversion, RFC 5806), "" for none."""
    party = _party_in(request, "Diversion")
    return party[0] if party else ""


def _party_in(message: Message, *sources: str) -> tuple[str, str] | None:
    privacy = (message.headers.get("Privacy") or "").lower()
    is_private = "id" in [item.strip(BLANKS) for item in privacy.split(";")]
    for header in sources:
        try:
            party = NameAddr.parse(_required(message.headers, header))
        except SipError:
            continue  # the next source may be readable; a broken From was refused before
        if is_private or _is_withheld(party):
            return "", ""
        return party.uri.number, "".join(sign for sign in party.name if sign.isprintable()).strip()
    return None


def _is_withheld(party: NameAddr) -> bool:
    anonymous = party.uri.user.lower() == "anonymous" or party.uri.host.lower() == "anonymous.invalid"
    return anonymous or (party.param("privacy") or "off").lower() != "off"


def session_description(message: Message) -> bytes:
    """The SDP that a message carries, of a multipart body the first (RFC 5621); b"" if there is none."""
    kind, _, params = (message.headers.get("Content-Type") or "").partition(";")
    kind = kind.strip(BLANKS).lower()
    if kind == SDP:
        return message.body
    if not kind.startswith("multipart/"):
        return b""
    boundary = _BOUNDARY.search(params)
    if boundary is None:
        return b""
    for part in message.body.split(b"--" + (boundary[1] or boundary[2]).encode(), MOST_PARTS)[1:]:
        head, _, content = part.replace(b"\r\n", b"\n").partition(b"\n\n")
        types = [line for line in head.lower().split(b"\n") if line.startswith((b"content-type:", b"c:"))]
        if types and types[0].partition(b":")[2].partition(b";")[0].strip() == SDP.encode():
            return content.removesuffix(b"\n").replace(b"\n", b"\r\n")
    return b""


def warning(code: int, text: str) -> tuple[str, str]:
    """The header that says why (RFC 3261, 20.43); the text is ours."""
    return "Warning", f"{code} bridge {quote(text)}"


def seconds_in(message: Message, header: str) -> int:
    """0 when absent or unreadable; `Retry-After: 18000;duration=3600 (comment)` is legal (RFC 3261, 20.33)."""
    text = (message.headers.get(header) or "").partition(";")[0].partition("(")[0].strip(BLANKS)
    return int(text[:9]) if text.isascii() and text.isdigit() else 0


def _text(head: bytes) -> str:
    """UTF-8, or Latin-1 where a peer writes names in an old code page: never a reason to refuse."""
    try:
        return head.decode("utf-8")
    except UnicodeDecodeError:
        return head.decode("latin-1")


def _read_headers(lines: list[str]) -> tuple[Headers, list[str], SipError | None]:
    """The headers, the Content-Lengths apart from them, and the first fault; faulty fields are left out."""
    fields, pairs, fault = _unfold(lines), [], None
    if len(fields) > MOST_LINES:
        fault = SipError(f"more than {MOST_LINES} header lines", 513)
    for field in fields[:MOST_LINES]:
        name, colon, value = field.partition(":")
        if not colon:
            fault = fault or SipError(f"a header without a colon: {field[:40]!r}")
        elif len(field) > MOST_LINE:
            fault = fault or SipError(f"a header line over {MOST_LINE} characters: {name[:40]!r}", 513)
        else:
            pairs.append((name.rstrip(BLANKS), value))
    try:
        headers = Headers(pairs)
    except SipError as error:
        fault = fault or error
        headers = Headers(pair for pair in pairs if _fits(pair))
    return headers.without("Content-Length"), list(headers.all("Content-Length")), fault


def _unfold(lines: list[str]) -> list[str]:
    """A line that begins with a blank continues the one before (RFC 3261, 7.3.1)."""
    fields: list[list[str]] = []
    for line in lines:
        whole = line.removesuffix("\r")
        if whole.startswith((" ", "\t")) and fields:
            fields[-1].append(whole.strip(BLANKS))
        elif whole:
            fields.append([whole])
    return [" ".join(field) for field in fields]


def _fits(pair: tuple[str, str]) -> bool:
    try:
        Headers([pair])
    except SipError:
        return False
    return True


def _body_length(lengths: list[str], arrived: int) -> int:
    if not lengths:
        return arrived
    length = number(lengths[0], MOST_NUMBER)
    if len(lengths) > 1:
        raise SipError("more than one Content-Length")
    if length > arrived:
        raise SipError(f"Content-Length {length}, but {arrived} bytes arrived")
    return length


def _read_start(start: str, headers: Headers, body: bytes, fault: SipError | None) -> Message:
    first, _, rest = start.partition(" ")
    if _BREAKS_LINE.search(start):
        raise SipError("CR or NUL in the start line", None)
    if _VERSION.fullmatch(first):
        return _read_response(first, rest, headers, body, fault)
    uri, _, version = rest.rstrip(BLANKS).rpartition(" ")
    if not first or not uri or not _VERSION.fullmatch(version):
        raise SipError(f"not SIP: {start[:60]!r}", None)
    if version.upper() != "SIP/2.0":
        fault = SipError(f"{version} is not spoken here", 505)
    if fault is None:
        return Request(first, uri, headers, body)
    if first == "ACK":
        raise SipError(str(fault), None) from fault
    raise FaultyRequestError(fault, Request(first, uri, headers)) from fault


def _read_response(version: str, rest: str, headers: Headers, body: bytes, fault: SipError | None) -> Response:
    code, _, phrase = rest.partition(" ")
    if version.upper() != "SIP/2.0" or not (code.isascii() and code.isdigit() and len(code) <= 10):
        raise SipError(f"not a status line: {version} {rest[:60]!r}", None)
    if fault is not None:
        raise SipError(str(fault), None) from fault
    return Response(int(code), phrase.strip(BLANKS), headers, body)


def _encode(start: str, headers: Headers, body: bytes) -> bytes:
    if _BREAKS_LINE.search(start):
        raise SipError("CR, LF or NUL in the start line", None)
    lines = [start, *(f"{name}: {value}" for name, value in headers if name != "Content-Length")]
    lines += [f"Content-Length: {len(body)}", "", ""]
    return "\r\n".join(lines).encode("utf-8", "replace") + body


def _required(headers: Headers, name: str) -> str:
    value = headers.get(name)
    if not value:
        raise SipError(f"there is no {name}")
    return value


def _tagged(value: str, tag: str) -> str:
    """With a tag; what has one or can't be read is copied as it is."""
    try:
        party = NameAddr.parse(value)
    except SipError:
        return value
    untagged = value.rstrip(" \t;")
    return value if party.tag or not tag else f"{untagged};tag={tag}"
