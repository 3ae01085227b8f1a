"""The settings: read once from a TOML file and the environment, frozen, checked before anything starts.

A wrong value is reported with the file's line and what would be right. Environment variables win over the file:
`BRIDGE_HTTP__PORT=8080` is `port` of `[http]`. Secrets never stand in the file: it names the variable that holds them.
"""

from __future__ import annotations

import os
import re
import tomllib
from ipaddress import IPv4Address, IPv6Address, ip_address
from pathlib import Path
from typing import Annotated, Any, Literal
from urllib.parse import urlsplit
from zoneinfo import ZoneInfo, ZoneInfoNotFoundError

from pydantic import (
    AfterValidator,
    BaseModel,
    ConfigDict,
    Field,
    IPvAnyNetwork,
    PrivateAttr,
    SecretStr,
    ValidationError,
    model_validator,
)
from pydantic_settings import BaseSettings, PydanticBaseSettingsSource, SettingsConfigDict

from .errors import ConfigError
from .tones import PLANS

Port = Annotated[int, Field(ge=1, le=65535)]
_TURN = re.compile(
    r"turns?:([a-z0-9.-]+|\[[0-9a-f:.]+\])(?::(\d{1,5}))?(\?transport=(udp|tcp))?", re.ASCII | re.IGNORECASE
)
_SERVER = re.compile(r"([\w.-]+|\[[0-9A-Fa-f:.]+\])(?::(\d{1,5}))?")


def _address(text: str, name: str) -> IPv4Address | IPv6Address:
    try:
        return ip_address(text)
    except ValueError:
        raise ValueError(f"{name} must be an IP address, not {text!r}") from None


def _known_country(code: str) -> str:
    if code.upper() not in PLANS:
        raise ValueError(
            f"its tones are not known here; those of {', '.join(sorted(PLANS))} are, all others have 425 Hz"
        )
    return code.upper()


def _known_music(music: str) -> str:
    if music not in ("pbx", "none") and not Path(music).is_file():
        raise ValueError(f'it must be "pbx", "none", or a sound file: there is no {music}')
    return music


HoldMusic = Annotated[str, AfterValidator(_known_music)]


def _check_announcement(early_media: str | None, file: Path | None) -> None:
    if early_media == "announce" and file is None:
        raise ValueError('early_media = "announce" needs announcement, the path of an audio file')


class _Section(BaseModel):
    model_config = ConfigDict(frozen=True, extra="forbid")


class Http(_Section):
    host: str = "127.0.0.1"
    port: Annotated[int, Field(ge=0, le=65535)] = 8090
    public_url: str = "http://bridge.localhost:8090"
    """As browsers and Bitrix24 reach it; without a path."""


class Metrics(_Section):
    host: str = "127.0.0.1"
    port: Annotated[int, Field(ge=0, le=65535)] = 0
    """Of `GET /metrics`, for Prometheus; 0: nobody is told. It names portals and trunks: keep it from strangers."""


class Sip(_Section):
    host: str | tuple[str, ...] = "127.0.0.1"
    """One address, or one of IPv4 and one of IPv6."""
    port: Annotated[int, Field(ge=0, le=65535)] = 5080
    """Of UDP and TCP."""
    advertised: str = ""
    """The address the PBX reaches us by, if not `host` (NAT)."""
    tls_port: Annotated[int, Field(ge=0, le=65535)] = 5061
    tls_certificate: Path | None = None
    """With it TLS is listened for; a PEM file with the chain."""
    tls_key: Path | None = None
    tls_ca: Path | None = None
    """Who vouches for PBXs that are known by their certificate."""
    strangers: Literal["drop", "refuse"] = "drop"
    """What requests from unknown addresses get: silence, or 403."""
    realm: str = "bridge"
    """Named where a PBX has to prove who it is."""
    dns_servers: tuple[str, ...] = ()
    """`host` or `host:port`, instead of the system's."""

    @property
    def hosts(self) -> tuple[str, ...]:
        return (self.host,) if isinstance(self.host, str) else self.host

    @model_validator(mode="after")
    def _hosts(self) -> Sip:
        versions = [_address(host, "host").version for host in self.hosts]
        if not versions or len(set(versions)) < len(versions):
            raise ValueError('host must be one address, or one of IPv4 and one of IPv6: ["192.0.2.1", "2001:db8::1"]')
        if self.advertised:
            _address(self.advertised, "advertised")
        return self


EngineAddress = Annotated[str, Field(pattern=r"^\d+\.\d+\.\d+\.\d+:\d{1,5}$")]


class Media(_Section):
    browser_address: str = "127.0.0.1"
    """Where the browser legs' one UDP port is bound and what pages are told."""
    browser_port: Annotated[int, Field(ge=0, le=65535)] = 30000
    browser_advertised: str = ""
    """What pages are told instead, where a NAT stands in between: `address` or `address:port`."""
    pbx_address: str = "127.0.0.1"
    """Towards PBXs; "auto": whichever of our addresses packets to the PBX leave from, even if that changes during a call."""
    pbx_address6: str = ""
    """Of IPv6, beside the other, or "auto"; "": PBXs that offer voice over IPv6 hear 488."""
    pbx_ports: tuple[Port, Port] = (21000, 21999)
    """First and last UDP port towards PBXs, below 32768; a call takes two."""
    workers: Annotated[int, Field(ge=0, le=64)] = 1
    """Processes that carry the voice, each with the next browser port and its share of `pbx_ports`; 0 or 1: the bridge itself."""

    hold_music: HoldMusic = "pbx"
    """What callers on hold hear: `pbx`, what their PBX plays, which is told of the hold; a file of ours, or `none`, of which it is told
    nothing."""
    rejoin_music: bool = False
    """While a call waits for its operator's next page the file is heard as well, after two seconds; else comfort noise."""

    turn_urls: tuple[str, ...] = ()
    """TURN servers for pages whose network lets no UDP out to `browser_port`; none by default."""
    turn_secret_env: str = ""
    """The variable that holds their shared secret (coturn: `static-auth-secret`)."""
    turn_seconds: Annotated[int, Field(ge=60, le=604_800)] = 3600
    """How long the credentials are valid that pages get; they are replaced after half of it."""
    engine: Literal["own", "rtpengine"] = "own"
    """Who carries the voice: the bridge, or an rtpengine, which has its own addresses and ports; PBXs hear plain RTP from it."""
    rtpengine: EngineAddress | Annotated[tuple[EngineAddress, ...], Field(min_length=1)] = "127.0.0.1:2223"
    """Where its ng protocol is spoken (`listen-ng`): address and port."""
    rtpengine_recordings: Path | None = None
    """Its `--recording-dir` (`--recording-method=pcap`) as this machine sees it: what it writes there becomes our recordings and is
    deleted. The clocks of both machines must agree."""

    @property
    def has_ipv6(self) -> bool:
        """PBXs may speak to us over IPv6."""
        return self.engine == "own" and self.pbx_address6 != ""

    @property
    def engine_addresses(self) -> tuple[tuple[str, int], ...]:
        """Of each rtpengine."""
        each = (self.rtpengine,) if isinstance(self.rtpengine, str) else self.rtpengine
        return tuple((host, int(port)) for host, _, port in (address.partition(":") for address in each))

    @property
    def turn_secret(self) -> SecretStr:
        return _secret(self.turn_secret_env)

    def share(self, index: int) -> Media:
        """What one of several workers has for its own."""
        first, last = self.pbx_ports
        pairs = (last - first - first % 2 + 1) // 2 // self.workers
        begin = first + first % 2 + 2 * pairs * index
        told = self.browser_told
        advertised = f"{told[0]}:{told[1] + index}" if told and told[1] else self.browser_advertised
        return self.model_copy(
            update={
                "browser_port": self.browser_port + index if self.browser_port else 0,
                "browser_advertised": advertised,
                "pbx_ports": (begin, begin + 2 * pairs - 1),
            }
        )

    @property
    def browser_told(self) -> tuple[str, int | None] | None:
        """`browser_advertised` in its parts; None if nothing is advertised, port None for the port itself."""
        host, _, port = self.browser_advertised.partition(":")
        return (host, int(port) if port else None) if host else None

    @model_validator(mode="after")
    def _ports(self) -> Media:
        if not re.fullmatch(r"(\d+\.\d+\.\d+\.\d+(:\d{1,5})?)?", self.browser_advertised, re.ASCII):
            raise ValueError('browser_advertised must be an IPv4 address, or "address:port"')
        for url in self.turn_urls:
            # A browser that can't read it makes no connection at all.
            parts = _TURN.fullmatch(url)
            if not parts or not 0 < int(parts[2] or 1) < 65_536:
                raise ValueError(
                    f'turn_urls: "{url}" is none; one is "turns:turn.example.com:443?transport=tcp", without user and password'
                )
        if self.turn_urls and not self.turn_secret_env:
            raise ValueError("turn_urls want turn_secret_env, the variable with the TURN server's shared secret")
        first, last = self.pbx_ports
        if last >= 32768 or last - first < 1:
            raise ValueError(
                "pbx_ports must be two ports, first < last, both below 32768 (above begin the ephemeral ports)"
            )
        if (last - first - first % 2 + 1) // 2 < self.workers:
            raise ValueError(f"pbx_ports are too few for {self.workers} workers: each needs a pair of its own")
        if self.browser_port and self.browser_port + max(self.workers, 1) > 65_536:
            raise ValueError(f"browser_port: {self.workers} workers take as many ports from it on, up to 65535")
        return self


class Store(_Section):
    url: str = "sqlite+aiosqlite:///var/bridge.db"


class Keys(_Section):
    env: str = "BRIDGE_SECRET_KEYS"
    """The variable that holds the keys, newest first, separated by commas."""
    file: Path | None = None
    """Or a file that holds them, one a line; made on first start if it is missing."""


class Recordings(_Section):
    """Where recordings of calls lie, and how long. Whether calls are recorded is said at the portal and its lines."""

    directory: Path | None = None
    """`recordings` in the state directory by default."""
    format: Literal["mp3", "wav"] = "mp3"
    keep_days: Annotated[float, Field(ge=0, le=36_500)] = 0
    """After Bitrix24 has them; 0: they are deleted then."""
    most_gb: Annotated[float, Field(gt=0)] = 20
    """Of all of them: the oldest that Bitrix24 has go first, and if that is not enough no more are made."""
    least_free_mb: Annotated[int, Field(ge=0)] = 500
    """What the disk must have left for a recording to begin or go on."""
    encrypted: bool = False
    """They lie there sealed with `keys`, while they are made as well."""


class Transcripts(_Section):
    token_env: str = ""
    """The variable that holds the token of a speech recogniser; without one its door stays shut."""

    @property
    def token(self) -> SecretStr | None:
        return _secret(self.token_env) if self.token_env else None


class Calls(_Section):
    ring_seconds: Annotated[float, Field(gt=0, le=300)] = 30
    rejoin_seconds: Annotated[float, Field(gt=0, le=300)] = 30
    lookup_seconds: Annotated[float, Field(gt=0, le=10)] = 1
    """How long a call that rings the responsible first waits for the CRM."""
    responsible_seconds: Annotated[float, Field(gt=0, le=300)] = 10
    """How long the responsible rings alone, out of `ring_seconds`."""
    card_seconds: Annotated[float, Field(ge=0, le=60)] = 8
    """How long the card of an outgoing call that reached nobody says why."""
    most: Annotated[int, Field(ge=1, le=4000)] = 500
    """Calls at once; the PBX gets 503 and Retry-After for one more."""
    most_cpu: Annotated[float, Field(gt=0, le=4)] = 0.9
    """Share of a core that the bridge may use before it takes no more calls."""
    late_seconds: Annotated[float, Field(gt=0, le=60)] = 0.1
    """By which its loop may be late, on average, before it takes no more calls: five frames of voice."""


class _Numbers(_Section):
    """How telephone numbers are written; a trunk's own settings win over those of the operator's portal."""

    region: Annotated[str | None, Field(pattern="^[A-Z]{2}$")] = None
    """ISO 3166: where a number without country code belongs."""
    internal_digits: Annotated[int | None, Field(ge=0, le=9)] = None
    """Numbers with so many digits at most are extensions of the PBX: never changed, never looked up."""
    outside_prefix: Annotated[str | None, Field(pattern=r"^[0-9*#]{0,5}$")] = None
    """What the PBX wants before an outside number; taken off where it shows one with it."""
    dial_format: Literal["typed", "e164", "digits", "national"] | None = None
    """How the PBX wants outside numbers: as they were typed, `+4930…`, `4930…`, or `030…` and abroad `0044…`."""
    caller_strip: Annotated[str | None, Field(pattern=r"^\+?[0-9*#]{0,8}$")] = None
    """Taken off outside callers' numbers as the PBX shows them …"""
    caller_add: Annotated[str | None, Field(pattern=r"^\+?[0-9]{0,8}$")] = None
    """… and this put before them: "+" where it shows the country code without it."""


class _Sounds(_Section):
    """What is heard where nobody speaks; a line's word counts before a trunk's, a trunk's before a portal's."""

    tones: Annotated[str, AfterValidator(_known_country)] | None = None
    """ISO 3166: whose ringing, busy and other tones operators hear, and callers where early_media is a ringback tone;
    the region's if not said."""
    hold_music: HoldMusic | None = None
    """As in [media], if not said."""


class Worker(_Section):
    """When Bitrix24 calls a widget's page slow, and how many a day it bears; some portals say 3 s and 3 times."""

    slow_seconds: Annotated[float, Field(gt=0, le=60)] = 5
    slow_loads: Annotated[int, Field(ge=1, le=1000)] = 10


Prefix = Annotated[str, Field(pattern=r"^[+*0-9][0-9*#]{0,15}$")]
Clock = Annotated[str, Field(pattern=r"^([01][0-9]|2[0-3]):[0-5][0-9]$")]


class Tolls(_Section):
    """What a portal's operators may dial. Extensions and numbers of three digits (emergency calls) are never refused."""

    allowed: tuple[Prefix, ...] = ()
    """How numbers begin that may be dialled, as the CRM knows them: `+49`. Empty: all that are not forbidden."""
    forbidden: tuple[Prefix, ...] = ()
    operator_per_minute: Annotated[int, Field(ge=0)] = 0
    """Numbers dialled within any sixty seconds; 0: no limit."""
    portal_per_minute: Annotated[int, Field(ge=0)] = 0
    at_once: Annotated[int, Field(ge=0)] = 0
    """Outgoing calls of the portal; 0: no limit."""
    night: tuple[Clock, Clock] | None = None
    """When it begins and ends; wants `time_zone`."""
    night_allowed: tuple[Prefix, ...] = ()
    """How numbers begin that may be dialled at night; empty: none."""
    time_zone: str = ""
    """Of the portal, as `Europe/Berlin`."""

    @model_validator(mode="after")
    def _night(self) -> Tolls:
        if self.night and not self.time_zone:
            raise ValueError('night wants the time_zone of the portal, such as "Europe/Berlin"')
        if self.night and self.night[0] == self.night[1]:
            raise ValueError("night begins when it ends: name two different times, or leave it out")
        try:
            if self.time_zone:
                ZoneInfo(self.time_zone)
        except (ZoneInfoNotFoundError, ValueError, OSError):
            raise ValueError(f'time_zone: no such zone as "{self.time_zone}"; one is "Europe/Berlin"') from None
        return self


RecordedCalls = Literal["never", "always", "asked"]


class PortalRecording(_Section):
    """Which calls of a portal are recorded, and what both sides are told of it."""

    calls: RecordedCalls = "never"
    """asked: when the operator asks for it, on the phone page."""
    pausable: bool = True
    announcement: str = ""
    """What both hear before: nothing, `beep`, or a sound file."""
    beep_seconds: Annotated[float, Field(ge=0, le=600)] = 0
    """A beep so often while it runs; 0: none."""

    @model_validator(mode="after")
    def _announcement(self) -> PortalRecording:
        if self.announcement not in ("", "beep") and not Path(self.announcement).is_file():
            raise ValueError(f'announcement must be "", "beep", or a sound file: there is no {self.announcement}')
        return self


class Portal(_Numbers, _Sounds):
    url: str
    client_id: str
    client_secret_env: str
    region: Annotated[str | None, Field(pattern="^[A-Z]{2}$")] = "RU"
    trunks: tuple[str, ...] = ()
    """PBXs at which the portal's administrators may add operators; empty: those of its operators in this file, or all if it
    is the only portal and has none here."""
    prefer_responsible: bool = False
    """A client's call rings whoever looks after them first."""
    hold_reminder_seconds: Annotated[int, Field(ge=0, le=120)] = 0
    """After so long, and then so often, a quiet beep reminds an operator of a call on hold; 0: never."""
    phone_width: Annotated[int, Field(ge=300, le=2000)] = 520
    dial_from_card: bool = True
    """Make the call of a click when its card is drawn, before the portal's event arrives."""
    plan: Literal["ordinary", "enterprise"] = "ordinary"
    """Of Bitrix24: 2 requests a second and 50 at once, or 5 and 250."""
    line: Annotated[str, Field(pattern=r"^(\+?[0-9]{1,32})?$")] = ""
    """The number under which the portal's calls are logged; the install page can choose another one."""
    line_name: Annotated[str, Field(max_length=100)] = "Telephone"
    roll_out: tuple[Annotated[int, Field(gt=0)], ...] = ()
    """Bitrix24 user ids: only their pages load the telephone. Empty: everybody's."""
    tolls: Tolls = Tolls()
    recording: PortalRecording = PortalRecording()

    @property
    def id(self) -> str:
        """What the portal is called inside the bridge: the host (and port) of its url here, whatever its domain becomes."""
        return urlsplit(self.url).netloc.lower()

    @property
    def client_secret(self) -> SecretStr:
        return _secret(self.client_secret_env)

    @model_validator(mode="after")
    def _url(self) -> Portal:
        _check_url(self.url)
        return self


EarlyMedia = Literal["none", "ringback", "announce"]


class Trunk(_Numbers, _Sounds):
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
            _address(self.advertised, "advertised")
        if self.kind == "trunk" and self.register_accounts and not (self.user and self.password_env):
            raise ValueError(
                "a trunk that registers needs user and password_env; register = false for one that does not"
            )
        if self.known_by == "credentials" and not (self.caller_user or self.user):
            raise ValueError("a trunk that is known by credentials needs caller_user and caller_password_env")
        if self.sips and self.transport not in {"tls", "wss"}:
            raise ValueError('sips wants transport = "tls" or "wss": encrypted on every hop, this one included')
        _check_announcement(self.early_media, self.announcement)
        return self

    @property
    def password(self) -> SecretStr:
        return _secret(self.password_env)

    @property
    def caller_password(self) -> SecretStr:
        return _secret(self.caller_password_env or self.password_env)


class Line(_Sounds):
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
        _check_announcement(self.early_media, self.announcement)
        return self


class OperatorAccount(_Section):
    portal: str
    """The url of one of the portals."""
    user_id: Annotated[int, Field(gt=0)]
    extension: str
    trunk: str
    sip_user: str
    """The account at the PBX; at a trunk of kind trunk, what is dialled to reach the operator there."""
    password_env: str = ""
    caller_id: str = ""
    """The number that their calls show, if the trunk does not know it by the account."""

    @property
    def password(self) -> SecretStr:
        if not self.password_env:
            raise ConfigError(f"operator {self.sip_user}: password_env is not set")
        return _secret(self.password_env)


class Settings(BaseSettings):
    """Everything that can be set."""

    model_config = SettingsConfigDict(env_prefix="BRIDGE_", env_nested_delimiter="__", frozen=True, extra="forbid")

    http: Http = Http()
    metrics: Metrics = Metrics()
    sip: Sip = Sip()
    media: Media = Media()
    store: Store = Store()
    keys: Keys = Keys()
    calls: Calls = Calls()
    recordings: Recordings = Recordings()
    transcripts: Transcripts = Transcripts()
    worker: Worker = Worker()
    oauth_hosts: tuple[str, ...] = ("https://oauth.bitrix.info", "https://oauth.bitrix24.tech")
    """Where access tokens are verified and refreshed; no other host ever sees a client secret."""
    state_dir: Path = Path("var")
    """Journal, control socket, made keys, recordings."""
    _source: tuple[Path | str, str] = PrivateAttr(default=("settings", ""))
    """The file and its text."""
    portal: tuple[Portal, ...] = ()
    trunk: tuple[Trunk, ...] = ()
    line: tuple[Line, ...] = ()
    operator: tuple[OperatorAccount, ...] = ()

    @classmethod
    def settings_customise_sources(
        cls,
        settings_cls: type[BaseSettings],
        init_settings: PydanticBaseSettingsSource,
        env_settings: PydanticBaseSettingsSource,
        dotenv_settings: PydanticBaseSettingsSource,
        file_secret_settings: PydanticBaseSettingsSource,
    ) -> tuple[PydanticBaseSettingsSource, ...]:
        return env_settings, init_settings

    @property
    def places(self) -> tuple[Portal | Trunk | Line, ...]:
        """Where it can be said what is heard."""
        return *self.portal, *self.trunk, *self.line

    @property
    def music(self) -> dict[str, tuple[str, ...]]:
        """Files that callers on hold hear, and where each is named first: keys of the settings, as in `place`."""
        named: list[tuple[str | None, tuple[str, ...]]] = [(self.media.hold_music, ("media", "hold_music"))]
        kinds: tuple[tuple[str, tuple[_Sounds, ...]], ...] = (
            ("portal", self.portal),
            ("trunk", self.trunk),
            ("line", self.line),
        )
        for kind, places in kinds:
            named += [(each.hold_music, (kind, str(at), "hold_music")) for at, each in enumerate(places)]
        return {file: where for file, where in reversed(named) if file and file not in ("pbx", "none")}

    def place(self, where: tuple[str, ...]) -> str:
        """Where in the file a setting stands, to begin a message with."""
        path, text = self._source
        line = _line_of(text, list(where))
        return f"{path}{f':{line}' if line else ''}: {'.'.join(where)}"

    def _beyond_an_rtpengine(self) -> str:
        """What is wished that an rtpengine does not do here; "" if nothing is."""
        for trunk in self.trunk:
            if trunk.srtp not in ("never", "allowed"):
                return f'trunk {trunk.name}: srtp = "{trunk.srtp}"'
            if trunk.transcode == "opus-to-browser":
                return f'trunk {trunk.name}: transcode = "opus-to-browser"'
        if {self.media.hold_music, *(place.hold_music for place in self.places)} - {None, "pbx"}:
            return "hold_music"
        modes = {*(portal.recording.calls for portal in self.portal), *(line.record for line in self.line)}
        if not modes - {None, "never"}:
            return ""
        if any(portal.recording.beep_seconds for portal in self.portal):
            return "a beep while a call is recorded (beep_seconds)"
        return "" if self.media.rtpengine_recordings else "recording calls without media.rtpengine_recordings"

    @model_validator(mode="after")
    def _references(self) -> Settings:
        portals, trunks = {p.id for p in self.portal}, {t.name for t in self.trunk}
        if len(portals) < len(self.portal):
            raise ValueError("portal: two portals have the same url")
        if len(trunks) < len(self.trunk):
            raise ValueError("trunk: two trunks have the same name")
        for trunk in self.trunk:
            if trunk.voice == "ipv6" and not self.media.has_ipv6:
                raise ValueError(
                    f'trunk "{trunk.name}": voice = "ipv6" needs media.pbx_address6, our address for it, and media.engine = "own"'
                )
        for account in self.operator:
            if portal_id(account.portal) not in portals:
                raise ValueError(f'operator: no [[portal]] has the url "{account.portal}"')
            if account.trunk not in trunks:
                raise ValueError(f'operator: no [[trunk]] has the name "{account.trunk}"')
        for portal in self.portal:
            for name in portal.trunks:
                if name not in trunks:
                    raise ValueError(f'portal {portal.id}: no [[trunk]] has the name "{name}"')
        for line in self.line:
            if portal_id(line.portal) not in portals:
                raise ValueError(f'line {line.number}: no [[portal]] has the url "{line.portal}"')
            if line.trunk and line.trunk not in trunks:
                raise ValueError(f'line {line.number}: no [[trunk]] has the name "{line.trunk}"')
        if self.media.rejoin_music and not self.music:
            raise ValueError("media.rejoin_music needs hold_music, a sound file")
        if self.media.engine == "rtpengine" and (wish := self._beyond_an_rtpengine()):
            raise ValueError(f'{wish} needs media.engine = "own"')
        users = [(a.trunk, a.sip_user) for a in self.operator]
        if len(set(users)) < len(users):
            raise ValueError("operator: two operators have the same sip_user on one trunk")
        return self


def portal_id(url: str) -> str:
    return urlsplit(url).netloc.lower()


def load(path: Path) -> Settings:
    """The settings of a file, or ConfigError whose text a person can act on."""
    try:
        text = path.read_text(encoding="utf-8")
    except OSError as error:
        raise ConfigError(f"{path}: {error.strerror}") from None
    except UnicodeDecodeError:
        raise ConfigError(f"{path}: not UTF-8 text") from None
    try:
        values = tomllib.loads(text)
    except tomllib.TOMLDecodeError as error:
        raise ConfigError(f"{path}: {error}") from None
    try:
        settings = Settings(**values)
        settings._source = path, text
        return settings
    except ValidationError as error:
        raise ConfigError("\n".join(_explain(path, text, item) for item in error.errors())) from None


def _explain(path: Path, text: str, item: Any) -> str:
    where = [str(part) for part in item["loc"]]
    message = item["msg"].removeprefix("Value error, ")
    if item["type"] == "extra_forbidden":
        message = "no such setting"
    given = "" if item["type"] in {"missing", "extra_forbidden", "value_error"} else f", not {item['input']!r}"
    line = _line_of(text, where)
    return f"{path}{f':{line}' if line else ''}: {'.'.join(where) or 'settings'}: {message}{given}"


def _line_of(text: str, where: list[str]) -> int:
    """The line of a key as precisely as it can be found: key, else its table's header, else 0."""
    if not where:
        return 0
    index = int(where[1]) if len(where) > 1 and where[1].isdigit() else 0
    key = next((part for part in reversed(where[1:]) if not part.isdigit()), "")
    seen, header, inside = -1, 0, False
    for number, line in enumerate(text.splitlines(), 1):
        if match := re.match(r"\s*\[\[?\s*([\w.-]+)\s*\]", line):
            seen += match[1] == where[0]
            inside = match[1] == where[0] and seen == index
            header = number if inside else header
        elif re.match(rf"\s*{re.escape(key if inside else where[0])}\s*=", line) and (inside or seen < 0):
            return number
    return header


def _check_url(url: str) -> None:
    parts = urlsplit(url)
    if parts.scheme not in {"http", "https"} or not parts.netloc or parts.path.strip("/"):
        raise ValueError('must be a url without a path, such as "https://acme.bitrix24.com"')


def _secret(variable: str) -> SecretStr:
    if value := os.environ.get(variable):
        return SecretStr(value)
    raise ConfigError(f"the environment variable {variable} is not set")
