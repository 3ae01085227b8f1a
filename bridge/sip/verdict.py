"""What a faulty message earns (RFC 3261, 8.2, 16.3, 18.3), as far as it can be told without state.

With state come 481 and 482 (transactions, dialogs) and 488 (the session). What can't even be represented, a wrong version
or a wrong Content-Length among it, `parse` has refused before.
"""

from __future__ import annotations

import re
from collections.abc import Callable
from dataclasses import dataclass

from .address import NameAddr, Uri, Via
from .headers import BLANKS, LISTS, MOST_VALUES, Headers, SipError, number
from .message import SDP, Request, Response, session_description, warning

OPTION_TAGS = frozenset({
    "100rel", "timer", "replaces", "norefersub", "outbound", "path", "gruu", "tdialog", "from-change",
})  # fmt: skip
"""Extensions that a peer may demand of us in Require."""

_MANDATORY = ("Via", "From", "To", "Call-ID", "CSeq")
_ONCE = ("From", "To", "Call-ID", "CSeq", "Max-Forwards")
_COUNTED = ("Via", "Route", "Record-Route", "Contact")
_ADDRESSES = ("From", "To", "Contact", "Record-Route")
_CONTROL = re.compile(r"[\x00-\x08\x0a-\x1f\x7f]")
_BAD_ESCAPE = re.compile(r"%(?![0-9A-Fa-f]{2})")
_SCHEME = re.compile(r"([A-Za-z][A-Za-z0-9+.-]*):")
_BODIES = {
    **dict.fromkeys(("INVITE", "UPDATE", "PRACK"), (SDP, "multipart/mixed", "multipart/alternative")),
    "INFO": ("application/dtmf-relay", "application/dtmf"),
}
"""Content types by method; the bodies of other methods are judged by whoever uses them."""


@dataclass(frozen=True, slots=True)
class Verdict:
    """The answer that a request earns: 0 = none, it is fine; -1 = none, drop it."""

    status: int
    phrase: str = ""
    headers: tuple[tuple[str, str], ...] = ()


FINE = Verdict(0)
DROP = Verdict(-1)


def judge_request(
    request: Request,
    *,
    ours: Callable[[Uri], bool],
    methods: frozenset[str],
    extensions: frozenset[str] = OPTION_TAGS,
    is_secure: bool = True,
) -> Verdict:
    """The first fault decides. `ours` knows our Request-URIs, `methods` are served, `extensions` may be required; `is_secure` is
    the way that it came.

    An ACK is never answered, and dropped only if no transaction could find it.
    """
    if "Via" not in request.headers:
        return DROP
    try:
        _check_headers(request)
        if request.method == "ACK":
            return FINE
        _check_values(request.headers)
        return (
            _judge_uri(request.uri, ours, is_secure=is_secure)
            or _judge_method(request.method, methods)
            or _judge_extensions(request, extensions)
            or _judge_body(request)
            or _judge_accept(request)
            or FINE
        )
    except SipError as fault:
        return DROP if request.method == "ACK" else Verdict(fault.status or 400, _phrase(fault))


def judge_response(response: Response) -> bool:
    """Whether a response may go on to its transaction; False = drop it (RFC 3261, 8.1.3.3, 18.1.2)."""
    try:
        well_formed = bool(response.call_id and response.via.branch)
        _, _, _ = response.cseq, response.from_tag, response.to_tag
        alone = len(response.headers.all("Via")) == 1
    except SipError:
        return False
    return well_formed and alone and 100 <= response.status <= 699


def _check_headers(request: Request) -> None:
    """SipError for what makes a request impossible to match."""
    headers = request.headers
    for name in _MANDATORY:
        if not headers.get(name):
            raise SipError(f"Missing {name} header")
    for name in _ONCE:
        if len(headers.all(name)) > 1:
            raise SipError(f"Multiple {name} headers")
    if request.cseq[1] != request.method:
        raise SipError("CSeq method does not match")
    for name in _COUNTED:
        if len(headers.all(name)) > MOST_VALUES:
            raise SipError(f"Too many {name} values", 513)
    for name in {name for name, _ in headers} & LISTS:
        headers.all(name)  # so that nobody meets a list later that can't be read
    _readable("Via", Via.parse, headers.all("Via"))


def _check_values(headers: Headers) -> None:
    """SipError for what a user agent could not work with."""
    for name in _ADDRESSES:
        values = headers.all(name)
        if values != ("*",) or name != "Contact":
            _readable(name, NameAddr.parse, values)
    _readable("Max-Forwards", lambda text: number(text, 255), headers.all("Max-Forwards"))
    for name, value in headers:
        if _CONTROL.search(name) or _CONTROL.search(value):
            raise SipError("Control character in a header")


def _readable(name: str, read: Callable[[str], object], values: tuple[str, ...]) -> None:
    for value in values:
        try:
            read(value)
        except SipError as error:
            raise SipError(f"Malformed {name} header", error.status) from error


def _judge_uri(text: str, ours: Callable[[Uri], bool], *, is_secure: bool) -> Verdict | None:
    scheme = _SCHEME.match(text)
    if scheme and scheme[1].lower() not in {"sip", "sips", "tel"}:
        return Verdict(416)
    try:
        uri = Uri.parse(text)
    except SipError:
        return Verdict(400, "Malformed Request-URI")
    if _BAD_ESCAPE.search(text):
        return Verdict(400, "Malformed Request-URI")
    if not ours(uri):
        return Verdict(404)
    if uri.is_secure and not is_secure:
        return Verdict(
            480, headers=(warning(380, "SIPS not allowed over this transport"),)
        )  # RFC 5630, 5.1.1.1 and 6.2
    return Verdict(400, "Headers in Request-URI") if uri.headers else None


def _judge_method(method: str, methods: frozenset[str]) -> Verdict | None:
    return None if method in methods else Verdict(405, headers=(("Allow", ", ".join(sorted(methods))),))


def _judge_extensions(request: Request, extensions: frozenset[str]) -> Verdict | None:
    """CANCEL, like ACK, has no say in extensions (RFC 3261, 8.2.2.3)."""
    unknown = [tag for tag in request.headers.all("Require") if tag.lower() not in extensions]
    if not unknown or request.method == "CANCEL":
        return None
    return Verdict(420, headers=(("Unsupported", ", ".join(unknown)),))


def _judge_body(request: Request) -> Verdict | None:
    headers, accepted = request.headers, _BODIES.get(request.method)
    encoding = (headers.get("Content-Encoding") or "identity").lower()
    if encoding != "identity":
        return Verdict(415, headers=(("Accept-Encoding", "identity"),))
    if not request.body or accepted is None or _is_optional(headers.get("Content-Disposition") or ""):
        return None
    kind = (headers.get("Content-Type") or "").partition(";")[0].strip(BLANKS).lower()
    if kind in accepted and (not kind.startswith("multipart/") or session_description(request)):
        return None
    return Verdict(415, headers=(("Accept", ", ".join(accepted)),))


def _judge_accept(request: Request) -> Verdict | None:
    """Whoever invites has to take a description; no Accept is as good as one of SDP (RFC 3261, 20.1)."""
    accepted = [item.partition(";")[0].strip(BLANKS).lower() for item in request.headers.all("Accept")]
    if request.method != "INVITE" or not accepted or {SDP, "application/*", "*/*"} & set(accepted):
        return None
    return Verdict(406)


def _is_optional(disposition: str) -> bool:
    return any(part.replace(" ", "").lower() == "handling=optional" for part in disposition.split(";")[1:])


def _phrase(fault: SipError) -> str:
    return str(fault) if fault.status == 400 else ""
