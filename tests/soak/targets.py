"""What reads the wire, each with valid bytes to begin with: nothing but its one error may come of whatever is fed to it."""

from __future__ import annotations

from collections.abc import Callable
from contextlib import suppress

from aioice import stun as ice

from bridge.calls.commands import Secrecy
from bridge.media import rtcp, sdp
from bridge.media.digits import HeardKeys
from bridge.media.hub import stun_username
from bridge.media.objection import objection
from bridge.media.packet import BUFFER_BYTES, HEADER, LONGEST_DATAGRAM, RTP, make_plain
from bridge.media.page_sdp import parse_page_offer
from bridge.media.pbx_session import PbxSession
from bridge.media.reports import Reports
from bridge.media.source import Source
from bridge.media.stream import Stream
from bridge.sip import dialog_info, message
from bridge.sip.digest import authorise, challenges
from bridge.sip.framer import Framer
from bridge.sip.headers import SipError
from bridge.sip.message import Response, respond

from ..media.offers import ASTERISK, CHROMIUM, FIREFOX
from ..sip.desks import Called, Calling
from ..sip.notifier import document
from ..sip.parties import ANSWER, OFFER, reply
from ..sip.samples import INVITES

Target = Callable[[bytes], object]
MOST_STEPS = 2_000
"""Timers that may fire until a call and everything about it has ended."""


def sip(data: bytes) -> None:
    with suppress(SipError):
        message.parse(data).encode()


def stream(data: bytes) -> None:
    """In two pieces and whole."""
    Framer().feed(data, 0.0)
    framer = Framer()
    framer.feed(data[: len(data) // 2], 0.0)
    framer.feed(data[len(data) // 2 :], 1.0)


def called(data: bytes) -> None:
    """Within a call that came in, and beside it; whatever it was, nothing is left in the end."""
    desk = Called(("Supported", "100rel, timer, replaces")).confirmed()
    _survives(desk, data)


def calling(data: bytes) -> None:
    """While a call of ours is on its way, and in it."""
    desk = Calling()
    _survives(desk, data)


def _survives(desk: Called | Calling, data: bytes) -> None:
    desk.gets_bytes(data)
    for usage in desk.agent.usages:
        desk.does(usage, usage.hang_up(16, desk.now))
    for _ in range(MOST_STEPS):
        when = desk.agent.next_deadline
        if when is None:
            break
        desk.waits(when)
        for usage in desk.agent.usages:  # whoever is called again by what came: hung up as well
            desk.does(usage, usage.hang_up(16, desk.now))
    assert desk.agent.pending == 0, "something is left of it"


def challenge(data: bytes) -> None:
    with suppress(SipError):
        answer = message.parse(data)
        if isinstance(answer, Response):
            for each in challenges(answer):
                fields = {"username": "1001", "password": "s3cret", "nc": 1, "cnonce": "c"}
                authorise(each, method="INVITE", uri="sip:1001@192.0.2.1", **fields)  # type: ignore[arg-type]


def extension(data: bytes) -> None:
    with suppress(SipError):
        dialog_info.parse(data)


def description(data: bytes) -> None:
    with suppress(sdp.SdpError):
        for section in sdp.parse(data):
            _ = section.codecs, section.direction


def page(data: bytes) -> None:
    with suppress(sdp.SdpError):
        parse_page_offer(data.decode(errors="replace"))


def negotiation(data: bytes) -> None:
    """As an offer, the first one or a later one, or as the answer to ours."""
    here, secrecy = ("192.0.2.1", 4000), list(Secrecy)[len(data) % len(Secrecy)]
    session = PbxSession(1, bytes)
    session.secrecy, session.ipv6 = secrecy, True
    session.begin("AB:" * 31 + "CD")
    if len(data) % 2:
        objection(data, ("PCMU", "opus"), secrecy)
        with suppress(sdp.SdpError):
            session.invited(data)
            session.answer("PCMU", here)
        return
    session.offer(["PCMU", "opus"], here)
    with suppress(sdp.SdpError):
        session.answered(data)
        _ = session.terms, session.event_type, session.wanted(("PCMU",))
        session.reoffered(data, here, ("PCMU", "opus"))


def stun(data: bytes) -> None:
    assert isinstance(stun_username(data), str)
    with suppress(Exception):  # aioice raises many kinds, and the socket's reader expects them
        ice.parse_message(data)


def report(data: bytes) -> None:
    with suppress(rtcp.RtcpError):
        rtcp.parse(data)
    Reports(cname="fuzz", ssrc=1, clock_rate=8000, wall=0.0).read(data, 1, 1.0)


def voice(data: bytes) -> None:
    """As it goes through the relay, and to whoever hears keys."""
    data = data[:LONGEST_DATAGRAM]
    if len(data) <= HEADER:
        return  # what is shorter never comes to the relay
    buffer = bytearray(BUFFER_BYTES)
    view = memoryview(buffer)
    buffer[: len(data)] = data
    source, where = Source(), ("192.0.2.9", 4000)
    source.follow(where)
    _, _, sequence, timestamp, ssrc = RTP.unpack_from(view)
    source.believes(where, ssrc, sequence, voice=True)
    HeardKeys().take(timestamp, data[HEADER:])
    up = Stream(view, ssrc=1, sequence=1, timestamp=1, payload_type=0, clock_rate=8000)
    assert 0 <= up.rewrite(len(data), 1.0) <= len(data)
    assert 0 <= make_plain(view, len(data)) <= len(data)


RTCP = rtcp.write(rtcp.Report(ssrc=1, sender=None, blocks=()), "cname")
SENT = rtcp.write(
    rtcp.Report(ssrc=1, sender=rtcp.Sender(ntp=1 << 40, timestamp=9, packets=8, octets=7), blocks=()), "cname"
)
VOICE = bytes.fromhex("9008000100000002000000030bede0001000aabb") + bytes(160)
KEY = bytes.fromhex("8065000100000002000000030b8a00a0")
STUN = bytes.fromhex("0001000c2112a442") + bytes(12) + bytes.fromhex("00060005") + b"ab:cd" + bytes(3)
CHALLENGES = [
    b"SIP/2.0 401 Unauthorized\r\nVia: SIP/2.0/UDP h\r\nWWW-Authenticate: " + line + b"\r\n\r\n"
    for line in (
        b'Digest realm="a, b", nonce="n", qop="auth,auth-int", algorithm=SHA-256, opaque="o", stale=true',
        b'Digest realm="pbx", nonce="n", algorithm=MD5-sess',
    )
]
DESCRIPTIONS = [text.encode() for text in (ASTERISK, CHROMIUM, FIREFOX)] + [OFFER, ANSWER]


def _to_the_called() -> list[bytes]:
    """Everything that may come within a call or end it; tags and branches are those of every desk of its kind."""
    desk = Called().confirmed()
    refer = ("Refer-To", "<sip:300@192.0.2.1>")
    notify = (("Event", "dialog"), ("Subscription-State", "active;expires=60"))
    requests = [
        desk.within("INVITE", 2, OFFER, ("Session-Expires", "90;refresher=uac"), ("Require", "timer")),
        desk.within("UPDATE", 2),
        desk.within("INFO", 2, b"Signal=5\r\nDuration=160\r\n", ("Content-Type", "application/dtmf-relay")),
        desk.within("REFER", 2, b"", refer),
        desk.within("NOTIFY", 2, document("confirmed", 1), *notify),
        desk.within("BYE", 2, b"", ("Reason", "Q.850;cause=16")),
        desk.within("PRACK", 2, b"", ("RAck", "1 1 INVITE")),
        desk.within("ACK", 1),
        desk.cancel(("Reason", "SIP;cause=200")),
        desk.invite,
    ]
    return [request.encode() for request in requests]


def _to_the_calling() -> list[bytes]:
    desk = Calling()
    reliable = (("Require", "100rel"), ("RSeq", "7"))
    statuses = [
        reply(desk.invite, 180),
        reply(desk.invite, 183, headers=reliable, sdp=ANSWER),
        reply(desk.invite, 200, headers=(("Session-Expires", "90;refresher=uas"),), sdp=ANSWER),
        reply(desk.invite, 200, tag="fork", sdp=ANSWER),
        reply(desk.invite, 486),
        reply(desk.invite, 302, headers=(("Contact", "<sip:else@192.0.2.9>"),)),
        respond(desk.invite, 401, to_tag="bob", headers=[("WWW-Authenticate", 'Digest realm="p", nonce="n"')]),
        respond(desk.invite, 503, to_tag="bob", headers=[("Retry-After", "5")]),
    ]
    return [response.encode() for response in statuses]


TARGETS: dict[Target, list[bytes]] = {
    sip: list(INVITES.values()),
    stream: list(INVITES.values()),
    called: _to_the_called(),
    calling: _to_the_calling(),
    challenge: CHALLENGES,
    extension: [document("confirmed", 1), document("early", 2, full=False)],
    description: DESCRIPTIONS,
    page: DESCRIPTIONS,
    negotiation: DESCRIPTIONS,
    stun: [STUN],
    report: [RTCP, SENT],
    voice: [VOICE, KEY],
}
