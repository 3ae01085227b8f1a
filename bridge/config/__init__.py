"""The settings: read once from a TOML file and the environment, frozen, checked before anything starts.

A wrong value is reported with the file's line and what would be right. Environment variables win over the file:
`BRIDGE_HTTP__PORT=8080` is `port` of `[http]`. Secrets never stand in the file: it names the variable that holds them.
"""

from .portal import OperatorAccount, Portal, PortalRecording, Tolls
from .service import Calls, Http, Keys, Media, Metrics, Recordings, Sip, Store, Transcripts, Worker
from .settings import Settings, load, portal_id
from .trunk import Line, Trunk

__all__ = [
    "Calls",
    "Http",
    "Keys",
    "Line",
    "Media",
    "Metrics",
    "OperatorAccount",
    "Portal",
    "PortalRecording",
    "Recordings",
    "Settings",
    "Sip",
    "Store",
    "Tolls",
    "Transcripts",
    "Trunk",
    "Worker",
    "load",
    "portal_id",
]
