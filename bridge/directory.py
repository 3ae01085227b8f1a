"""The settings as calls know them: who stands behind which account and line, and what each PBX and portal is allowed."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from zoneinfo import ZoneInfo

import structlog

from .calls import commands as do
from .calls.events import Operator
from .calls.recording import BEEP, RecordingMode, RecordingRules
from .calls.routing import RINGBACK, Directory, TrunkPolicy
from .calls.sounds import SoundBook, Sounds
from .calls.tolls import TollRules
from .config import Line, Portal, PortalRecording, Settings, Tolls, Trunk, portal_id
from .numbers import Numbers
from .sip.peer import Account

log = structlog.get_logger()


def directory(
    settings: Settings,
    manned: Mapping[Operator, Sequence[Account]],
    chosen_region: Callable[[str], str] = lambda portal: "",
    met_at: Callable[[str], str] = lambda trunk: "",
) -> Directory:
    """Who stands behind which account and line. `chosen_region`: what a portal's administrator chose on the page, or "".

    `met_at`: the address at which a trunk's PBX is met now, "" as long as its name was not looked up.
    """
    people = {
        (account.trunk, account.sip_user): operator for operator, accounts in manned.items() for account in accounts
    }
    for line in settings.line:
        for user in line.operators:
            if manned and Operator(portal_id(line.portal), user) not in manned:
                log.warning("line_rings_nobody", line=line.number, portal=portal_id(line.portal), user=user)
    plain = settings.media.engine == "rtpengine"
    return Directory(
        accounts=people,
        lines={
            line.number: tuple(Operator(portal_id(line.portal), user) for user in line.operators)
            for line in settings.line
        },
        trunks={
            trunk.name: TrunkPolicy(
                decline_status=trunk.decline_status,
                dtmf=trunk.dtmf,
                follow_transfers=trunk.follow_transfers,
                codecs=trunk.codecs,
                early=early_media(trunk) or "",
                media=do.MediaPolicy(
                    latch=do.Latch(trunk.latch),
                    srtp=do.Secrecy.NEVER if plain else do.Secrecy(trunk.srtp),
                    towards=met_at(trunk.name),
                    ipv6_first=is_met_over_ipv6(trunk, settings, met_at(trunk.name)),
                    transcode=do.Transcode(trunk.transcode),
                    rejoin_music=settings.media.rejoin_music,
                ),
            )
            for trunk in settings.trunk
        },
        numbers=Numbers(settings, chosen_region),
        recordings={portal.id: recording_rules(portal.recording) for portal in settings.portal},
        recorded_lines={line.number: RecordingMode(line.record) for line in settings.line if line.record is not None},
        tolls={portal.id: toll_rules(portal.tolls) for portal in settings.portal},
        early_lines={line.number: early for line in settings.line if (early := early_media(line)) is not None},
        preferring_lines={
            line.number: line.prefer_responsible for line in settings.line if line.prefer_responsible is not None
        },
        preferring_portals=frozenset(portal.id for portal in settings.portal if portal.prefer_responsible),
        sounds=sound_book(settings),
        lookup_seconds=settings.calls.lookup_seconds,
        responsible_seconds=settings.calls.responsible_seconds,
        ring_seconds=settings.calls.ring_seconds,
        rejoin_seconds=settings.calls.rejoin_seconds,
        card_seconds=settings.calls.card_seconds,
    )


def is_met_over_ipv6(trunk: Trunk, settings: Settings, met_at: str) -> bool:
    """Our own offers to this PBX are for voice over IPv6."""
    if not settings.media.has_ipv6 or trunk.voice != "auto":
        return settings.media.has_ipv6 and trunk.voice == "ipv6"
    return ":" in (met_at or trunk.address[0]) or all(":" in host for host in settings.sip.hosts)


def early_media(place: Trunk | Line) -> str | None:
    """What callers of a trunk or line hear before the answer; None if it is not said there."""
    match place.early_media:
        case "ringback":
            return RINGBACK
        case "announce":
            return str(place.announcement)
        case said:
            return None if said is None else ""


def sound_book(settings: Settings) -> SoundBook:
    return SoundBook(
        lines={line.number: sounds(line) for line in settings.line},
        trunks={trunk.name: sounds(trunk) for trunk in settings.trunk},
        portals={
            portal.id: replace(sounds(portal), reminder=portal.hold_reminder_seconds) for portal in settings.portal
        },
        everywhere=Sounds(music=music(settings.media.hold_music)),
    )


def sounds(place: Portal | Trunk | Line) -> Sounds:
    return Sounds(tones=place.tones, music=music(place.hold_music))


def music(said: str | None) -> str | None:
    return said if said in (None, do.PBX_MUSIC, do.NO_MUSIC) else music_path(said)


def music_path(file: str) -> str:
    """As the voice room knows it."""
    return str(Path(file).absolute())


def toll_rules(tolls: Tolls) -> TollRules:
    begin, end = (int(clock[:2]) * 60 + int(clock[3:]) for clock in tolls.night) if tolls.night else (0, 0)
    return TollRules(
        allowed=tolls.allowed,
        forbidden=tolls.forbidden,
        operator_per_minute=tolls.operator_per_minute,
        portal_per_minute=tolls.portal_per_minute,
        at_once=tolls.at_once,
        night=(begin, end) if tolls.night else None,
        night_allowed=tolls.night_allowed,
        zone=ZoneInfo(tolls.time_zone) if tolls.time_zone else None,
    )


def recording_rules(recording: PortalRecording) -> RecordingRules:
    sound = recording.announcement
    return RecordingRules(
        mode=RecordingMode(recording.calls),
        pausable=recording.pausable,
        announcement=sound if sound in ("", BEEP) else str(Path(sound).absolute()),
        beep_seconds=recording.beep_seconds,
    )
