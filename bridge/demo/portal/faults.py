"""What shall go wrong, set by a test: as an object, or as JSON over HTTP (pure)."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field, fields
from typing import Any, Literal

Allow = Literal["new", "no-autoplay", "none"]
ALLOW: dict[str, str] = {
    "new": "geolocation *; microphone *; camera *; autoplay *;",
    "no-autoplay": "geolocation *; microphone *; camera *;",
    "none": "",
}


@dataclass(slots=True, kw_only=True)
class RestFault:
    """One disturbance of REST requests.

    A request hangs for `delay` seconds. Then it is answered with `status` and `code` if a status is set (and not carried
    out), dropped without an answer if `carry_out` is false, carried out and dropped if `drop_response` is true, else
    carried out and answered as usual. `methods` empty means every method; `count` None means until cleared.
    """

    methods: tuple[str, ...] = ()
    delay: float = 0.0
    carry_out: bool = True
    drop_response: bool = False
    status: int = 0
    code: str = "INTERNAL_SERVER_ERROR"
    html: bool = False
    """The status comes from a proxy in front, with a page instead of JSON."""
    reset: float = 0.0
    """Seconds until the `operating_reset_at` that comes with the error, 0 for none."""
    count: int | None = None

    def __post_init__(self) -> None:
        self.methods = tuple(method.lower() for method in self.methods)


@dataclass(slots=True, kw_only=True)
class Faults:
    """Set fields at any time; what a page shows takes them when it is loaded."""

    rest: list[RestFault] = field(default_factory=list)
    rate_limit: bool = True
    """The leaky bucket of section 10 of the REST documentation: 2 a second, burst 50."""
    enterprise: bool = False
    """The tariff allows 5 requests a second, burst 250."""
    operating_limit: float = 480
    """Seconds that a method may run in ten minutes; beyond it is answered with 429."""
    withheld: str = ""
    """Scopes that the administrator did not tick, separated by commas."""
    bind_error_status: int = 400
    """HTTP status of placement.bind errors; older portals say 200."""
    token_seconds: float = 3600
    """Lifetime of access tokens handed out from now on."""
    oauth_delay: float = 0.0
    oauth_status: int = 0
    unpaid: bool = False
    """The application's trial or subscription is over: the OAuth server answers PAYMENT_REQUIRED."""
    plan_ended: bool = False
    """The portal fell back to a free plan, which has no REST."""
    refresh_auth_fails: bool = False
    personal_beside_general: bool = False
    """The documents' variant: a personal worker may be bound while a general one stands. The portal's code counts both."""
    old_portal: bool = False
    """Frames are posted without SERVER_ENDPOINT, APPLICATION_TOKEN and APPLICATION_SCOPE."""
    allow: Allow = "new"
    """What the portal's iframe delegates."""
    no_autoplay: bool = False
    hidden_barred: bool = False
    """The hidden frame is delegated nothing, whatever the application's own page gets."""
    frame_delay: float = 0.0
    """Seconds before the portal answers the XHR that brings the worker's frame."""
    library_delay: float = 0.0
    """Seconds before the library for pages of applications (`/api/v1/`) is served."""
    slow_load_ms: float = 5000
    slow_load_limit: int = 10
    push_delay: float = 0.0
    """Seconds between showExternalCall or hideExternalCall and its arrival in the tabs."""
    push_lost: bool = False
    card_registers_late: float = 0.0
    """Seconds after page load in which the card's events can't be subscribed and its commands are unknown."""
    comment_seconds: float = 65.0
    """How much longer a card stays in which a comment is being written."""
    call_list: bool = False
    """Clicks on numbers come from a call list: the card has a button for the next one."""
    transfer_by_type: bool = False
    """transferButtonClick carries {type, target} instead of {phoneNumber, target}."""
    desktop_app: bool = False
    """The operator runs the desktop application: browser tabs draw no card."""
    quality_event: bool = False
    """Whether qualityMeterClick can be subscribed (17 events instead of 16)."""
    prompt: bool = True
    """An unfolded card makes the browser ask before leaving the page."""
    event_delay: float = 0.0
    events_lost: bool = False
    events_twice: bool = False
    events_reversed: bool = False
    """Events that wait at the same time are delivered newest first."""
    events_without_tokens: bool = False
    events_forged: bool = False
    """Events carry an application_token that is not this application's."""

    def allow_attribute(self, *, hidden: bool) -> str:
        """Of an application's frame; `hidden` for the background worker's."""
        if hidden and self.hidden_barred:
            return ""
        return ALLOW["no-autoplay" if self.no_autoplay and self.allow == "new" else self.allow]

    def take(self, method: str) -> RestFault | None:
        """The fault of this request, counted down."""
        for fault in self.rest:
            if (not fault.methods or method.lower() in fault.methods) and fault.count != 0:
                if fault.count is not None:
                    fault.count -= 1
                return fault
        return None

    def take_in_batch(self, method: str) -> RestFault | None:
        """A fault with a status that names this method strikes it inside a batch as well."""
        named = [fault for fault in self.rest if fault.status and method.lower() in fault.methods and fault.count != 0]
        if not named:
            return None
        if named[0].count is not None:
            named[0].count -= 1
        return named[0]

    def update(self, values: Mapping[str, Any]) -> None:
        """Sets what a JSON object names; ValueError names what is wrong with it."""
        known = {item.name for item in fields(self)}
        parsed: dict[str, Any] = {}
        for name, value in values.items():
            if name not in known:
                raise ValueError(f"there is no fault {name!r}; there are {', '.join(sorted(known))}")
            parsed[name] = _rest_faults(value) if name == "rest" else _checked(name, value, getattr(self, name))
        for name, value in parsed.items():
            setattr(self, name, value)

    def clear(self) -> None:
        fresh = Faults()
        for item in fields(self):
            setattr(self, item.name, getattr(fresh, item.name))


def _checked(name: str, value: Any, current: Any) -> Any:
    if name == "allow":
        if value not in ALLOW:
            raise ValueError(f"allow must be one of {', '.join(ALLOW)}")
        return value
    if isinstance(current, str):
        if not isinstance(value, str):
            raise ValueError(f"{name} must be a string")
    elif isinstance(current, bool):
        if not isinstance(value, bool):
            raise ValueError(f"{name} must be true or false")
    elif isinstance(value, bool) or not isinstance(value, int | float) or value < 0:
        raise ValueError(f"{name} must be a number, 0 or more")
    return value


def _rest_faults(value: Any) -> list[RestFault]:
    if not isinstance(value, list) or not all(isinstance(item, dict) for item in value):
        raise ValueError("rest must be a list of objects")
    try:
        return [RestFault(**item) for item in value]
    except (TypeError, AttributeError) as error:
        raise ValueError(f"rest: {error}") from None
