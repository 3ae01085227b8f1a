"""sipp as the other side of a call: scripts written as steps, run against one address, with an error that names the step."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Callable, Iterable
from contextlib import asynccontextmanager
from pathlib import Path

SDP = """v=0
o=- 1 {version} IN IP4 [local_ip]
s=-
c=IN IP4 [local_ip]
t=0 0
{media}"""
AUDIO = "m=audio 16000 RTP/AVP 0 101\na=rtpmap:0 PCMU/8000\na=rtpmap:101 telephone-event/8000\n"
FAX = "m=audio 0 RTP/AVP 0\nm=image 16002 udptl t38\na=T38FaxVersion:0\na=T38MaxBitRate:14400\n"

_SEND = "<send{retrans}><![CDATA[\n\n{text}\n]]></send>"


def sdp(media: str = AUDIO, version: int = 1) -> str:
    return SDP.format(version=version, media=media)


def ask(method: str, *, cseq: int = 1, headers: Iterable[str] = (), body: str = "", kind: str = "application/sdp",
        branch: str = "[branch]") -> str:  # fmt: skip
    """A request of the calling side; within the dialog once a response was received with `within`.

    A CANCEL and the ACK to a refusal need the `branch` of their INVITE.
    """
    first = method in {"INVITE", "CANCEL"} and cseq == 1
    uri = "sip:[service]@[remote_ip]:[remote_port]" if first else "[next_url]"
    to = "To: <sip:[service]@[remote_ip]:[remote_port]>" + ("" if first else "[peer_tag_param]")
    lines = [f"{method} {uri} SIP/2.0", f"Via: SIP/2.0/[transport] [local_ip]:[local_port];branch={branch}"]
    lines += ["Max-Forwards: 70", "From: <sip:+493012345@[local_ip]:[local_port]>;tag=[pid]s[call_number]", to]
    number = f"{cseq} {method}"
    lines += ["Call-ID: [call_id]", f"CSeq: {number}", "Contact: <sip:pbx@[local_ip]:[local_port]>", *headers]
    return _message(lines, body, kind, method != "ACK")


def reply(status: str, *, headers: Iterable[str] = (), body: str = "", tag: str = "pbx") -> str:
    """To the last request; without `tag` its To has one already."""
    to = f"[last_To:];tag={tag}" if tag else "[last_To:]"
    lines = [f"SIP/2.0 {status}", "[last_Via:]", "[last_From:]", to, "[last_Call-ID:]", "[last_CSeq:]"]
    lines += ["Contact: <sip:pbx@[local_ip]:[local_port]>", *headers]
    return _message(lines, body, "application/sdp", False)


KEPT = ("Via", "From", "To", "CSeq")


def keeps_invite() -> str:
    """Takes an INVITE that `to_the_invite` answers after other requests."""
    kept = "".join(f'<ereg regexp=".*" search_in="hdr" header="{k}:" assign_to="{k.lower()}"/>' for k in KEPT)
    return f'<recv request="INVITE"><action>{kept}</action></recv>'


def to_the_invite(status: str, *, headers: Iterable[str] = (), body: str = "", tag: str = "pbx") -> str:
    text = reply(status, headers=headers, body=body, tag=tag)
    for name in KEPT:
        text = text.replace(f"[last_{name}:]", f"{name}:[${name.lower()}]")
    return text


def gets(status: int, *, within: bool = False, optional: bool = False) -> str:
    rest = ' rrs="true"' * within + ' optional="true"' * optional
    return f'<recv response="{status}"{rest}/>'


def asked(method: str) -> str:
    return f'<recv request="{method}"/>'


def pause(seconds: float) -> str:
    return f'<pause milliseconds="{seconds * 1000:.0f}"/>'


RINGING = [gets(100, optional=True), gets(180, optional=True)]


def called(*steps: str, headers: Iterable[str] = (), body: str = "") -> list[str]:
    """It calls, is answered, does these steps, and hangs up."""
    begin = [ask("INVITE", headers=headers, body=body or sdp()), *RINGING, gets(200, within=True), ask("ACK")]
    return [*begin, *steps, ask("BYE", cseq=9), gets(200)]


def _message(lines: list[str], body: str, kind: str, again: bool) -> str:
    lines += [f"Content-Type: {kind}"] * bool(body) + ["Content-Length: [len]", "", body]
    return _SEND.format(retrans=' retrans="500"' * again, text="\n".join(lines))


@asynccontextmanager
async def sipp(
    directory: Path, steps: Iterable[str], *, port: int, to: int = 0, service: str = "1001"
) -> AsyncIterator[Callable[[str], bool]]:
    """One call by this script: to the port `to`, or waited for. On leaving, every step must have been done.

    Yields whether a text was sent or received so far.
    """
    directory.mkdir(parents=True, exist_ok=True)
    script = directory / "script.xml"
    script.write_text("\n".join(['<?xml version="1.0"?>', '<scenario name="call">', *steps, "</scenario>", ""]))
    messages = directory / "messages"
    where = [f"127.0.0.1:{to}", "-auth_uri", f"{service}@127.0.0.1:{to}"] if to else []
    process = await asyncio.create_subprocess_exec(
        "sipp", *where, "-sf", str(script), "-i", "127.0.0.1", "-p", str(port), "-s", service, "-m", "1", "-nostdin",
        "-timeout", "60", "-timeout_error", "-trace_err", "-error_file", str(directory / "errors"),
        "-trace_msg", "-message_file", str(messages),
        cwd=directory, stdin=asyncio.subprocess.DEVNULL, stdout=asyncio.subprocess.PIPE, stderr=asyncio.subprocess.STDOUT,
    )  # fmt: skip
    try:
        yield lambda text: messages.exists() and text in messages.read_text(errors="replace")
        out, _ = await asyncio.wait_for(process.communicate(), 60)
        errors = directory / "errors"
        told = errors.read_text(errors="replace") if errors.exists() else ""
        assert process.returncode == 0, (told or out.decode(errors="replace"))[-3000:]
    finally:
        if process.returncode is None:
            process.kill()
            await process.wait()
