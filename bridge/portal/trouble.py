"""What can stand against using a portal, and what its people have to do about it (pure)."""

from __future__ import annotations

from enum import StrEnum


class Trouble(StrEnum):
    """Stored with the portal until Bitrix24 answers again."""

    UNPAID = "unpaid"
    PLAN = "plan"
    CLIENT = "client"
    MOVED = "moved"
    DELETED = "deleted"
    REMOVED = "removed"
    """The application was uninstalled."""


SENTENCES: dict[Trouble, str] = {
    Trouble.UNPAID: (
        "The subscription of the application or of this Bitrix24 is over. Renew it in Bitrix24; calls go on meanwhile, "
        "and their records are kept until Bitrix24 takes them."
    ),
    Trouble.PLAN: (
        "This Bitrix24 is on a free plan, which has no REST interface: nothing can be written to the CRM. Choose a "
        "commercial plan in Bitrix24; the records of calls are kept until then."
    ),
    Trouble.CLIENT: (
        "Bitrix24's OAuth server does not accept the application's id and secret. Compare client_id and the variable "
        "named by client_secret_env with the application's page in Bitrix24, then restart the bridge."
    ),
    Trouble.MOVED: (
        "The portal's address redirects elsewhere and Bitrix24 did not name a new one. Open the application in the "
        "portal as an administrator, under its new address."
    ),
    Trouble.DELETED: "Bitrix24 says that this portal was deleted. Take it out of the bridge's configuration.",
    Trouble.REMOVED: (
        "The application was uninstalled in this portal. To use the telephone again, add the application there and "
        "open it as an administrator."
    ),
}
NEEDS_LOGIN = (
    "No administrator's authorisation is valid any more. An administrator must open the application in Bitrix24, "
    "choose “Administration” and press Install."
)
NOT_INSTALLED = "The application is not installed in this portal: open it there as an administrator and press Install."

PERSONAL = frozenset({"ACCESS_DENIED", "INVALID_CREDENTIALS", "USER_ACCESS_ERROR"})
"""The person whose token it is lost a right: another administrator's may do."""


def of_rest(code: str, text: str) -> Trouble | None:
    """A REST error (upper-case code) that concerns the whole portal."""
    if code == "ACCESS_DENIED" and any(word in text.lower() for word in ("commercial plan", "коммерческ")):
        return Trouble.PLAN
    return {"PAYMENT_REQUIRED": Trouble.UNPAID, "PORTAL_DELETED": Trouble.DELETED}.get(code)


def of_oauth(code: str) -> Trouble | None:
    """An error of the OAuth server (lower-case) that concerns the whole portal."""
    return {"payment_required": Trouble.UNPAID, "invalid_client": Trouble.CLIENT}.get(code)


def sentence(trouble: str) -> str:
    """What to do, "" for none or an unknown one."""
    return SENTENCES[Trouble(trouble)] if trouble in set(Trouble) else ""
