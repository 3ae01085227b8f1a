"""The sections of the bridge itself: its doors, its voice, its memory."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Annotated, Literal

from pydantic import (
    Field,
    SecretStr,
    model_validator,
)

from .section import HoldMusic, Section, address, secret

Port = Annotated[int, Field(ge=1, le=65535)]


_TURN = re.compile(
    r"turns?:([a-z0-9.-]+|\[[0-9a-f:.]+\])(?::(\d{1,5}))?(\?transport=(udp|tcp))?", re.ASCII | re.IGNORECASE
)


class Http(Section):
    host: str = "127.0.0.1"
    port: Annotated[int, Field(ge=0, le=65535)] = 8090
    public_url: str = "http://bridge.localhost:8090"
    """As browsers and Bitrix24 reach it; without a path."""


class Metrics(Section):
    host: str = "127.0.0.1"
    port: Annotated[int, Field(ge=0, le=65535)] = 0
    """Of `GET /metrics`, for Prometheus; 0: nobody is told. It names portals and trunks: keep it from strangers."""


class Sip(Section):
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
        versions = [address(host, "host").version for host in self.hosts]
        if not versions or len(set(versions)) < len(versions):
            raise ValueError('host must be one address, or one of IPv4 and one of IPv6: ["192.0.2.1", "2001:db8::1"]')
        if self.advertised:
            address(self.advertised, "advertised")
        return self


EngineAddress = Annotated[str, Field(pattern=r"^\d+\.\d+\.\d+\.\d+:\d{1,5}$")]


class Media(Section):
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
        return secret(self.turn_secret_env)

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


class Store(Section):
    url: str = "sqlite+aiosqlite:///var/bridge.db"


class Keys(Section):
    env: str = "BRIDGE_SECRET_KEYS"
    """The variable that holds the keys, newest first, separated by commas."""
    file: Path | None = None
    """Or a file that holds them, one a line; made on first start if it is missing."""


class Recordings(Section):
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


class Transcripts(Section):
    token_env: str = ""
    """The variable that holds the token of a speech recogniser; without one its door stays shut."""

    @property
    def token(self) -> SecretStr | None:
        return secret(self.token_env) if self.token_env else None


class Calls(Section):
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


class Worker(Section):
    """When Bitrix24 calls a widget's page slow, and how many a day it bears; some portals say 3 s and 3 times."""

    slow_seconds: Annotated[float, Field(gt=0, le=60)] = 5
    slow_loads: Annotated[int, Field(ge=1, le=1000)] = 10
