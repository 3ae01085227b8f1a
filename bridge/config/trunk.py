"""PBXs, and the lines that lead to operators."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Annotated, Literal

from pydantic import (
    Field,
    IPvAnyNetwork,
    SecretStr,
    model_validator,
)

from .section import Numbers, RecordedCalls, Sounds, address, check_announcement, secret

_SERVER = re.compile(r"([\w.-]+|\[[0-9A-Fa-f:.]+\])(?::(\d{1,5}))?")


EarlyMedia = Literal["none", "ringback", "announce"]


class Trunk(Numbers, Sounds):
    name: str
    server: str
    """`host` or `host:port` of the PBX; IPv6 in brackets. A name without a port is looked up as RFC 3263 says."""
    transport: Literal["auto", "udp", "tcp", "tls", "ws", "wss"] = "udp"
    """auto: what the server's DNS prefers (NAPTR, SRV), else udp."""
    domain: str = ""
    """The SIP domain of its addresses, if not the server's host."""
    route: bool = False
    """The server is an outbound proxy: requests name it in a Route header."""
    sips: bool = False
    """Its addresses are sips: ones, encrypted on every hop (RFC 5630); wants `tls` or `wss`."""
    path: Annotated[str, Field(pattern=r"^/[^\s?#]*$")] = "/ws"
    """Of its WebSocket."""
    advertised: str = ""
    """The address this PBX reaches us by, if not that of [sip]."""
    nat: bool = False
    """Register with the address that the PBX sees us at."""
    outbound: bool = False
    """Tell its registrar who we are, and keep the flow that it reaches us by alive (RFC 5626), if it wants that."""
    networks: tuple[IPvAnyNetwork, ...] = ()
    """Addresses it also calls from, as `192.0.2.0/28`."""
    udp_limit: Annotated[int, Field(ge=0, le=65000)] = 1300
    """Bytes; a larger request goes by TCP if the PBX takes it (RFC 3261, 18.1.1). 0: never."""
    tls_ca: Path | None = None
    """Who vouches for its certificate, if not the system's authorities; its own certificate will do."""
    tls_name: str = ""
    """What its certificate must name, if not the domain."""
    tls_wildcards: bool = False
    """`*.example.com` is good enough."""
    tls_certificate: Path | None = None
    """What we show where it asks for one."""
    tls_key: Path | None = None
    kind: Literal["accounts", "trunk"] = "accounts"
    """accounts: one for every operator; trunk: one for all, its numbers lead to [[line]] and to operators' sip_user."""
    user: str = ""
    """Of the trunk itself: who registers, and who answers its challenges."""
    password_env: str = ""
    known_by: Literal["address", "credentials", "certificate"] = "address"
    """How we know that a call comes from this PBX."""
    certificate_names: tuple[str, ...] = ()
    """What its certificate names, if not the domain."""
    caller_user: str = ""
    """What the PBX proves itself with, if known by credentials; `user` by default."""
    caller_password_env: str = ""
    caller_id: str = ""
    """The number that a trunk's calls show, if the operator has none of their own."""
    identity: Literal["none", "asserted", "preferred"] = "none"
    """Which header tells the PBX who calls: P-Asserted-Identity, P-Preferred-Identity."""
    withhold: bool = False
    """Callers' numbers are not shown to those who are called."""
    max_calls: Annotated[int, Field(ge=0)] = 0
    """At once; above, the PBX hears 503. 0: as many as the bridge takes."""
    max_calls_per_second: Annotated[int, Field(ge=1, le=10000)] = 1000
    """That the PBX may begin."""
    register_accounts: Annotated[bool, Field(alias="register")] = True
    expires: Annotated[int, Field(ge=10, le=86400)] = 300
    check_seconds: Annotated[int, Field(ge=0, le=3600)] = 60
    """How often the PBX is asked whether it is there (OPTIONS); `bridge trunks` tells. 0: never."""
    decline_status: Literal[486, 603] = 486
    """What the PBX hears when an operator declines; 603 stops its other branches too."""
    dtmf: Literal["rfc4733", "info"] = "rfc4733"
    """How the PBX is told keys; `rfc4733` falls back to INFO where it takes no telephone-event."""
    follow_transfers: bool = True
    """Call whom the PBX wants called in its place (REFER), if it is a number."""
    early_media: EarlyMedia = "none"
    """What a caller hears from us before anybody answers: nothing (the PBX plays its tone), a ringback tone, or `announcement`."""
    announcement: Path | None = None
    """WAV, MP3 or the like; what is longer than half a minute is not heard."""
    busy_lamps: bool = False
    """Ask the PBX who of the operators is in a call at another telephone (SUBSCRIBE, dialog package)."""
    codecs: tuple[Literal["PCMU", "PCMA", "G722", "opus"], ...] = ("PCMU", "PCMA", "G722", "opus")

    srtp: Literal["never", "allowed", "required", "dtls", "webrtc"] = "allowed"
    """Encrypted voice: never, if the PBX offers it, no call without; our own offers bear keys in the SDP where it is `required` (wants a `tls` transport), and DTLS with the two last, which refuse everything else."""
    voice: Literal["auto", "ipv4", "ipv6"] = "auto"
    """What our own offers are for; auto: IPv6 if `server` is such an address, or the only kind of [sip]. The PBX's offers are followed."""
    transcode: Literal["when-needed", "opus-to-browser"] = "when-needed"
    """opus-to-browser: operators hear and speak opus whatever the PBX speaks, for bad networks; it costs CPU."""
    latch: Literal["never", "port", "address"] = "port"
    """Whom the PBX's voice may come from beside the address of its SDP: nobody, another port of that host, any host (NAT)."""

    @property
    def cautions(self) -> tuple[str, ...]:
        """What is allowed and yet no good idea, with what to do."""
        if self.srtp == "required" and self.transport not in ("tls", "wss"):
            return (
                f'srtp = "required", but the keys travel in signalling that anybody on the way can read: transport is '
                f'"{self.transport}". Set transport = "tls", or srtp = "dtls", where keys are agreed without it.',
            )
        return ()

    @property
    def address(self) -> tuple[str, int | None]:
        """Host, IPv6 without brackets, and the port if one is given."""
        match = _SERVER.fullmatch(self.server)
        assert match is not None, "checked below"
        host, port = match.groups()
        return host.strip("[]"), int(port) if port else None

    @model_validator(mode="after")
    def _server(self) -> Trunk:
        if not _SERVER.fullmatch(self.server):
            raise ValueError('server must be "host" or "host:port"')
        if self.advertised:
            address(self.advertised, "advertised")
        if self.kind == "trunk" and self.register_accounts and not (self.user and self.password_env):
            raise ValueError(
                "a trunk that registers needs user and password_env; register = false for one that does not"
            )
        if self.known_by == "credentials" and not (self.caller_user or self.user):
            raise ValueError("a trunk that is known by credentials needs caller_user and caller_password_env")
        if self.sips and self.transport not in {"tls", "wss"}:
            raise ValueError('sips wants transport = "tls" or "wss": encrypted on every hop, this one included')
        check_announcement(self.early_media, self.announcement)
        return self

    @property
    def password(self) -> SecretStr:
        return secret(self.password_env)

    @property
    def caller_password(self) -> SecretStr:
        return secret(self.caller_password_env or self.password_env)


class Line(Sounds):
    """A dialled number that rings several operators at once."""

    number: str
    portal: str
    """The url of one of the portals."""
    operators: Annotated[tuple[int, ...], Field(min_length=1)]
    """Bitrix24 user ids."""
    prefer_responsible: bool | None = None
    """As of the portal, if not said."""
    early_media: EarlyMedia | None = None
    """As of the trunk, if not said."""
    announcement: Path | None = None
    trunk: str = ""
    """The only one that may deliver calls for it, of those of kind trunk."""
    record: RecordedCalls | None = None
    """As of the portal, if not said."""

    @model_validator(mode="after")
    def _announcement(self) -> Line:
        check_announcement(self.early_media, self.announcement)
        return self
