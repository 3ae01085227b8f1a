"""Messages as they come over the wire, written after what three kinds of PBX send."""

from __future__ import annotations

from textwrap import dedent


def wire(text: str) -> bytes:
    """An indented message in plain text as bytes with CRLF."""
    return dedent(text).lstrip("\n").replace("\n", "\r\n").encode()


SDP = "v=0\r\no=- 1 1 IN IP4 192.0.2.10\r\ns=-\r\nc=IN IP4 192.0.2.10\r\nt=0 0\r\nm=audio 16000 RTP/AVP 8 0\r\n"

ASTERISK = (
    wire("""
    INVITE sip:1001@192.0.2.20:5080 SIP/2.0
    Via: SIP/2.0/UDP 192.0.2.10:5060;rport;branch=z9hG4bKPj3f1c8c1e-5b8b-4b7e-9f1e-0d2a6c1b9a77
    From: "Мария Кюри" <sip:+74951234567@192.0.2.10>;tag=8a1f0c52-7d3e-4a2b-9c8d-1e0f2a3b4c5d
    To: <sip:1001@192.0.2.20>
    Contact: <sip:asterisk@192.0.2.10:5060>
    Call-ID: 7d3d9f0a-1c56-4f0b-8f7e-6a2c9b8d7e6f
    CSeq: 21342 INVITE
    Allow: OPTIONS, REGISTER, SUBSCRIBE, NOTIFY, PUBLISH, INVITE, ACK, BYE, CANCEL, UPDATE, PRACK, INFO, MESSAGE, REFER
    Supported: 100rel, timer, replaces, norefersub, histinfo
    Session-Expires: 1800
    Min-SE: 90
    P-Asserted-Identity: "Мария Кюри" <sip:+7(495)123-45-67@192.0.2.10>
    Max-Forwards: 70
    User-Agent: Asterisk PBX 20.5.0
    Content-Type: application/sdp

    """)
    + SDP.encode()
)

FREESWITCH = (
    wire("""
    INVITE sip:gw+office@192.0.2.20:5080;transport=udp;gw=office SIP/2.0
    Via: SIP/2.0/UDP 192.0.2.30;rport;branch=z9hG4bKtaU6y7QgQ4m8e
    Max-Forwards: 69
    From: "Extension 1000" <sip:1000@192.0.2.30>;tag=y3rX2eXy3jF0S
    To: <sip:gw+office@192.0.2.20:5080;transport=udp;gw=office>
    Call-ID: 4f1f7a0d-9a3c-123c-5f8b-0242ac110002
    CSeq: 87654321 INVITE
    Contact: <sip:mod_sofia@192.0.2.30:5060>
    User-Agent: FreeSWITCH-mod_sofia/1.10.11-release~64bit
    Allow: INVITE, ACK, BYE, CANCEL, OPTIONS, MESSAGE, INFO, UPDATE, REGISTER, REFER, NOTIFY, PUBLISH, SUBSCRIBE
    Supported: timer, path, replaces
    Allow-Events: talk, hold, conference, presence, as-feature-event, dialog, line-seize, call-info, sla, refer
    Content-Type: application/sdp
    Content-Disposition: session
    X-FS-Support: update_display,send_info
    Remote-Party-ID: "Extension 1000" <sip:1000@192.0.2.30>;party=calling;screen=yes;privacy=off

    """)
    + SDP.encode()
)

KAMAILIO = (
    wire("""
    INVITE sip:1001@192.0.2.20:5080 SIP/2.0
    Record-Route: <sip:192.0.2.41;transport=tcp;r2=on;lr;ftag=a73kszlfl;did=4b2.6f81>
    Record-Route: <sip:192.0.2.40;r2=on;lr;ftag=a73kszlfl;did=4b2.6f81>
    Via: SIP/2.0/UDP 192.0.2.40;branch=z9hG4bK7a4d.5f2c1b7e3a9d8c6f.0,SIP/2.0/TCP 10.0.0.7:49152;received=198.51.100.7;rport=49152;branch=z9hG4bK-524287-1
    v: SIP/2.0/WSS df7jal23ls0d.invalid;branch=z9hG4bK56sdasks
    f: sip:anonymous@anonymous.invalid;tag=a73kszlfl
    t: <sip:1001@pbx.example>
    i: 1j9FpLxk3uxtm8tn@10.0.0.7
    CSeq: 0000314 INVITE
    m: "Phone" <sip:1jk@10.0.0.7:49152;transport=tcp;ob>;+sip.instance="<urn:uuid:00000000-0000-1000-8000-000a95a0e128>";reg-id=1,
     <sip:spare@10.0.0.8>
    k: replaces,  outbound , gruu
    Max-Forwards: 16
    P-hint: outbound
    c: application/sdp

    """)
    + SDP.encode()
)

INVITES = {"asterisk": ASTERISK, "freeswitch": FREESWITCH, "kamailio": KAMAILIO}

RINGING = wire("""
    SIP/2.0 180 Ringing
    Via: SIP/2.0/UDP 192.0.2.20:5080;branch=z9hG4bK74bf9;received=192.0.2.20;rport=5080
    From: <sip:1001@192.0.2.20>;tag=1928301774
    To: <sip:300@192.0.2.10>;tag=314159
    Call-ID: a84b4c76e66710
    CSeq: 314 INVITE
    Contact: <sip:300@192.0.2.10>

    """)
