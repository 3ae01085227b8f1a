"""Offers as browsers and PBXs write them."""

from __future__ import annotations

FINGERPRINT = ":".join(f"{n:02X}" for n in range(0x40, 0x60))


def _text(block: str) -> str:
    return "\r\n".join(block.strip().splitlines()) + "\r\n"


CHROMIUM = _text(f"""
v=0
o=- 4611731400430051336 2 IN IP4 127.0.0.1
s=-
t=0 0
a=group:BUNDLE 0
a=extmap-allow-mixed
a=msid-semantic: WMS
m=audio 9 UDP/TLS/RTP/SAVPF 111 63 9 0 8 13 110 126
c=IN IP4 0.0.0.0
a=rtcp:9 IN IP4 0.0.0.0
a=candidate:1 1 udp 2113937151 5a7d3c1e-0d1f-4b8e-9c77-0b6f2f9d1a11.local 51234 typ host generation 0
a=ice-ufrag:hT9w
a=ice-pwd:1zW7Xk9cC3yWq0q4bQ8aVn5B
a=ice-options:trickle
a=fingerprint:sha-256 {FINGERPRINT}
a=setup:actpass
a=mid:0
a=extmap:1 urn:ietf:params:rtp-hdrext:ssrc-audio-level
a=sendrecv
a=msid:- 8b2d
a=rtcp-mux
a=rtcp-rsize
a=rtpmap:111 opus/48000/2
a=rtcp-fb:111 transport-cc
a=fmtp:111 minptime=10;useinbandfec=1
a=rtpmap:63 red/48000/2
a=fmtp:63 111/111
a=rtpmap:9 G722/8000
a=rtpmap:0 PCMU/8000
a=rtpmap:8 PCMA/8000
a=rtpmap:13 CN/8000
a=rtpmap:110 telephone-event/48000
a=rtpmap:126 telephone-event/8000
a=ssrc:1234 cname:abc
""")

FIREFOX = _text(f"""
v=0
o=mozilla...THIS_IS_SDPARTA-99.0 830144 0 IN IP4 0.0.0.0
s=-
t=0 0
a=fingerprint:sha-256 {FINGERPRINT}
a=group:BUNDLE 0 1
a=ice-options:trickle
a=msid-semantic:WMS *
m=audio 9 UDP/TLS/RTP/SAVPF 109 9 0 8 101
c=IN IP4 0.0.0.0
a=sendrecv
a=extmap:1 urn:ietf:params:rtp-hdrext:ssrc-audio-level
a=fmtp:109 maxplaybackrate=48000;stereo=1;useinbandfec=1
a=fmtp:101 0-15
a=ice-pwd:6f0b4b2a1c9d4e8fa0b1c2d3e4f50617
a=ice-ufrag:d3adbeef
a=mid:0
a=rtcp-mux
a=rtpmap:109 opus/48000/2
a=rtpmap:9 G722/8000/1
a=rtpmap:0 PCMU/8000
a=rtpmap:8 PCMA/8000
a=rtpmap:101 telephone-event/8000
a=setup:actpass
m=application 9 UDP/DTLS/SCTP webrtc-datachannel
c=IN IP4 0.0.0.0
a=mid:1
a=sctp-port:5000
""")

ASTERISK = _text("""
v=0
o=- 1391527316 1391527316 IN IP4 10.1.2.3
s=Asterisk
c=IN IP4 10.1.2.3
t=0 0
m=audio 14628 RTP/AVP 8 0 9 107 101
a=rtpmap:8 PCMA/8000
a=rtpmap:0 PCMU/8000
a=rtpmap:9 G722/8000
a=rtpmap:107 opus/48000/2
a=fmtp:107 useinbandfec=1
a=rtpmap:101 telephone-event/8000
a=fmtp:101 0-16
a=ptime:20
a=maxptime:140
a=sendrecv
""")

ODD_PBX = _text("""
v=0
o=root 1 1 IN IP4 10.0.0.9
s=call
t=0 0
y=0100000001
a=sendonly
m=image 5000 udptl t38
c=IN IP4 10.0.0.9
a=T38FaxVersion:0
m=audio 4000/2 RTP/SAVP 0
c=IN IP4 10.0.0.9
m=audio 4002/2 RTP/AVP 18 3 8 101 13
i=voice
c=IN IP4 10.0.0.9/127
b=AS:84
a=rtpmap:18 G729/8000
a=rtpmap:x nonsense
a=rtpmap:101 TELEPHONE-EVENT/8000
a=silenceSupp:off - - - -
a=ptime:30
m=text 0 RTP/AVP 98
""")

WEBRTC_ASTERISK = _text(f"""
v=0
o=- 1391527316 1391527316 IN IP4 10.1.2.3
s=Asterisk
c=IN IP4 10.1.2.3
t=0 0
a=msid-semantic:WMS *
a=group:BUNDLE audio-0
m=audio 14628 UDP/TLS/RTP/SAVPF 8 0 101
a=connection:new
a=setup:actpass
a=fingerprint:SHA-256 {FINGERPRINT}
a=ice-ufrag:3f1c5c0a2b7d2f11
a=ice-pwd:5a0a1d1c3a6e0f2b4b9a7c8d
a=candidate:Ha010203 1 UDP 2130706431 10.1.2.3 14628 typ host
a=candidate:H6 1 UDP 2130706175 fd00::3 14628 typ host
a=candidate:Sc0000201 1 UDP 1694498815 192.0.2.1 14628 typ srflx raddr 10.1.2.3 rport 14628
a=candidate:Ha010203 2 UDP 2130706430 10.1.2.3 14629 typ host
a=candidate:T 1 TCP 2130706429 10.1.2.3 9 typ host tcptype active
a=candidate:M 1 UDP 2130706428 5a7d3c1e-0d1f-4b8e-9c77-0b6f2f9d1a11.local 14630 typ host
a=candidate:N 1 UDP 2130706427 media.example.com 14630 typ host
a=rtpmap:8 PCMA/8000
a=rtpmap:0 PCMU/8000
a=rtpmap:101 telephone-event/8000
a=fmtp:101 0-16
a=ptime:20
a=sendrecv
a=rtcp-mux
a=ssrc:1185523361 cname:1
a=mid:audio-0
""")
