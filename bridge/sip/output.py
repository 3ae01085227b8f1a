"""What a call or a registration wants done, and what it tells its user (pure)."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TypeAlias

from .address import Uri
from .flow import Flow
from .matching import Key
from .message import Request, Response

# ---- what is to be done


@dataclass(frozen=True, slots=True)
class Answer:
    """Send this response in its server transaction."""

    key: Key
    response: Response


@dataclass(frozen=True, slots=True)
class Ask:
    """Begin a client transaction; its outcome comes back to whoever asked."""

    request: Request
    to: Flow


@dataclass(frozen=True, slots=True)
class Transmit:
    """Send this request outside transactions: an ACK."""

    request: Request
    to: Flow


@dataclass(frozen=True, slots=True)
class Ping:
    """Send this datagram, which is no SIP; its answer, told by the transaction, comes back to whoever asked."""

    to: Flow
    data: bytes
    transaction: bytes


@dataclass(frozen=True, slots=True)
class Abandon:
    """Nobody waits for the answer to this request any more."""

    request: Request


# ---- what the user is told


@dataclass(frozen=True, slots=True)
class Fact:
    """Something that the peer did."""


@dataclass(frozen=True, slots=True)
class Cancelled(Fact):
    """The caller gave up; `elsewhere`: another branch answered (RFC 3326)."""

    elsewhere: bool


@dataclass(frozen=True, slots=True)
class Confirmed(Fact):
    """The ACK to a 2xx of ours came; `answer` is there where our 2xx made the offer."""

    answer: bytes = b""


@dataclass(frozen=True, slots=True)
class Reoffered(Fact):
    """A re-INVITE or UPDATE waits for `answer_reoffer`; an empty offer asks for ours."""

    offer: bytes


@dataclass(frozen=True, slots=True)
class Referred(Fact):
    """The peer wants us to call somebody else instead; `follow_referral` or `refuse_referral` says what becomes of it."""

    target: Uri


@dataclass(frozen=True, slots=True)
class Pressed(Fact):
    """Somebody at the other end pressed a key."""

    key: str


@dataclass(frozen=True, slots=True)
class PartyChanged(Fact):
    """Somebody else is at the other end now; both "" when withheld."""

    number: str
    name: str


@dataclass(frozen=True, slots=True)
class HungUp(Fact):
    """The session ended, and not by us."""

    why: str


@dataclass(frozen=True, slots=True)
class Rang(Fact):
    """The first provisional response to our INVITE that says more than 100 and describes no early media."""


@dataclass(frozen=True, slots=True)
class Progressed(Fact):
    """A provisional response to our INVITE with early media, new or changed."""

    sdp: bytes


@dataclass(frozen=True, slots=True)
class Accepted(Fact):
    """A 2xx to our INVITE; no description where a reliable response had brought it before."""

    sdp: bytes


@dataclass(frozen=True, slots=True)
class Refused(Fact):
    """Our INVITE came to nothing; `cause` is of Q.850 or 0, `provisional`: more than 100 came before."""

    status: int
    phrase: str
    cause: int
    provisional: bool


@dataclass(frozen=True, slots=True)
class Unreachable(Fact):
    """This address should be spared for so many seconds (RFC 3263 4.3)."""

    address: Flow
    seconds: int


@dataclass(frozen=True, slots=True)
class Reanswered(Fact):
    """A 2xx to our re-INVITE."""

    sdp: bytes


@dataclass(frozen=True, slots=True)
class ReofferRefused(Fact):
    """Our re-INVITE was refused for good; the session is as it was."""

    status: int


@dataclass(frozen=True, slots=True)
class TransferProgressed(Fact):
    """The peer works at our REFER; a 1xx of the call to the new party, or 100."""

    status: int


@dataclass(frozen=True, slots=True)
class Transferred(Fact):
    """The peer reached the new party."""


@dataclass(frozen=True, slots=True)
class TransferFailed(Fact):
    """It did not; `refused`: the REFER itself, status 0: nobody told."""

    status: int
    phrase: str
    refused: bool


Output: TypeAlias = Answer | Ask | Transmit | Ping | Abandon | Fact
