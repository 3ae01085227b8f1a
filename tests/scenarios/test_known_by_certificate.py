"""A PBX of another make is known by its TLS certificate, wherever it calls from; one that shows another is not let in."""

from __future__ import annotations

from pathlib import Path

from ..conftest import HasLog, needs
from ..interop import BARESIP, interop
from ..rig.baresip import Baresip
from ..rig.certificates import Authority
from ..rig.headset import TONE_HZ
from ..rig.ports import free_sip_port
from ..rig.waiting import wait_for
from .conftest import Desks

THEIRS_HZ = 440


@interop(BARESIP, "TLS", "trunk by certificate", "incoming call", "two-way tone")
async def test_only_a_pbx_that_shows_its_certificate_is_let_in(
    desks: Desks, tmp_path: Path, evidence: list[HasLog]
) -> None:
    needs("baresip")
    authority, tls_port = Authority(tmp_path, "authority"), free_sip_port()
    ours = authority.signs("127.0.0.1")
    desk = await desks(
        "pbx.invalid",
        trunk={
            "register": False,
            "codecs": ["PCMU"],
            "known_by": "certificate",
            "certificate_names": ["pbx.example"],
        },
        sip={
            "strangers": "refuse",
            "tls_port": tls_port,
            "tls_certificate": str(ours.certificate),
            "tls_key": str(ours.key),
            "tls_ca": str(authority.root),
        },
    )

    def phone(name: str) -> Baresip:
        """It shows a certificate of this name."""
        pair, both = authority.signs(name), tmp_path / f"{name}.pem"
        both.write_bytes(pair.certificate.read_bytes() + pair.key.read_bytes())
        made = Baresip(
            tmp_path / name, "<sip:600@127.0.0.1;transport=tls>;regint=0", sip_port=free_sip_port(), hz=THEIRS_HZ,
            tls={"certificate": both, "authority": authority.root},
        )  # fmt: skip
        evidence.append(made)
        return made

    async with phone("evil.example") as stranger:
        stranger.do("dial", f"sip:1001@127.0.0.1:{tls_port}")
        await wait_for(lambda: "403 Forbidden" in stranger.log(), what="the refusal of its call")
        assert not desk.anna.calls
    async with phone("pbx.example") as known:
        known.do("dial", f"sip:1001@127.0.0.1:{tls_port}")
        await desk.anna.talks()
        await desk.hear_each_other(THEIRS_HZ, lambda: known.is_hearing(TONE_HZ))
        known.do("hangup")
        await desk.anna.is_alone()
    await desk.records(("incoming", "200"))
