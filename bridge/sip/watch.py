"""The dialog of one subscription: its SUBSCRIBEs, and which NOTIFYs are its own (RFC 6665, 4.1 and 4.4.1; pure)."""

from __future__ import annotations

from collections.abc import Iterable

from .address import NameAddr, Uri
from .dialog import ALLOW, PRODUCT, SUPPORTED, Dialog, Identity
from .flow import Flow
from .headers import BLANKS
from .login import Login
from .message import Headers, Request, Response
from .output import Ask

PACKAGE = "dialog"
DOCUMENT = "application/dialog-info+xml"


class Watch:
    """One attempt to watch an extension, with names of its own; the first NOTIFY makes the dialog."""

    def __init__(
        self, *, extension: Uri, watcher: Uri, me: Identity, to: Flow, routes: Iterable[str], login: Login | None
    ) -> None:
        self.to = to
        self.call_id, self.tag = me.call_id(), me.tag()
        self.asked: Request | None = None
        """The SUBSCRIBE that has no final answer yet."""
        self._extension, self._watcher = extension, watcher
        self._me, self._login = me, login
        self._routes = tuple(routes)
        self._contact = self._own()
        self._dialog: Dialog | None = None
        self._cseq = 0

    @property
    def stands(self) -> bool:
        return self._dialog is not None

    def ask(self, expires: int) -> Ask:
        """SUBSCRIBE for so many seconds, 0 to end it."""
        request, to = self._subscribe(expires)
        self.asked = self._login.sign(request) if self._login else request
        return Ask(self.asked, to)

    def ask_again(self, expires: int, response: Response) -> Ask | None:
        """With credentials, after a challenge; None if that is no use."""
        asked = self.asked
        if self._login is None or asked is None:
            return None
        request, to = self._subscribe(expires)
        self.asked = self._login.retry(request, asked, response)
        return Ask(self.asked, to) if self.asked else None

    def answered(self, response: Response) -> None:
        """A final answer."""
        self.asked = None
        if response.status < 300:
            if self._login is not None:
                self._login.learn(response)
            if self._dialog is not None:
                self._dialog.refresh(response)

    def judge(self, request: Request) -> tuple[int, list[tuple[str, str]]]:
        """The answer to a request within the dialog; 200 for a NOTIFY that is to be read."""
        if request.method != "NOTIFY":
            return 405, [("Allow", "NOTIFY")]
        package, _, _ = (request.headers.get("Event") or "").partition(";")
        if package.strip(BLANKS).lower() != PACKAGE:
            return 489, [("Allow-Events", PACKAGE)]
        if self._dialog is None:
            self._dialog = Dialog.of_server(request, tag=self.tag, contact=self._contact, peer=self.to)
            self._dialog.local_cseq = self._cseq
        elif self._dialog.remote.tag != request.from_tag:
            return 481, []  # another fork's; one is enough (RFC 6665, 4.1.4)
        elif not self._dialog.in_order(request):
            return 500, []
        self._dialog.refresh(request)
        return 200, []

    def _own(self) -> NameAddr:
        return self._me.contact(self._watcher.user, self.to, secure=self._extension.is_secure)

    def _subscribe(self, expires: int) -> tuple[Request, Flow]:
        self._contact = self._own()  # which may be another address than last time
        wish = [
            ("Contact", str(self._contact)),
            ("Event", PACKAGE),
            ("Accept", DOCUMENT),
            ("Expires", str(expires)),
            ("Allow", ALLOW),
            SUPPORTED,
        ]
        if self._dialog is not None:
            return self._dialog.request("SUBSCRIBE", self._me, wish)
        self._cseq += 1
        pairs = [
            ("Via", str(self._me.via(self.to))),
            *(("Route", route) for route in self._routes),
            ("Max-Forwards", "70"),
            ("From", str(NameAddr("", self._watcher).with_tag(self.tag))),
            ("To", str(NameAddr("", self._extension))),
            ("Call-ID", self.call_id),
            ("CSeq", f"{self._cseq} SUBSCRIBE"),
            ("User-Agent", PRODUCT),
            *wish,
        ]
        return Request("SUBSCRIBE", str(self._extension), Headers(pairs)), self.to
