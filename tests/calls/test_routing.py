from __future__ import annotations

from bridge.calls.events import Operator
from bridge.calls.routing import Directory, TrunkPolicy, route

ANNA = Operator("portal", 1)


def test_an_account_leads_to_its_operator_with_the_trunks_policy() -> None:
    directory = Directory(
        accounts={("a", "1001"): ANNA}, trunks={"a": TrunkPolicy(decline_status=603)}, ring_seconds=12
    )
    found = route(directory, "a", "1001")
    assert found is not None
    assert (found.operators, found.ring_seconds, found.decline_status) == ((ANNA,), 12, 603)


def test_the_same_account_name_on_another_pbx_is_somebody_else() -> None:
    assert route(Directory(accounts={("a", "1001"): ANNA}), "b", "1001") is None
