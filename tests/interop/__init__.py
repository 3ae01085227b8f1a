"""What works with which SIP peer, as seen by tests: `docs/interop.md` is what a run of them wrote, and nothing else.

@interop(ASTERISK, "TCP", "registration")
async def test_an_account_registers() -> None: ...
"""

from .features import ASTERISK, BARESIP, SIPP, SOFIA
from .recorder import interop

__all__ = ["ASTERISK", "BARESIP", "SIPP", "SOFIA", "interop"]
