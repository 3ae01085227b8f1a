from __future__ import annotations

from bridge.calls.events import Operator
from bridge.calls.routing import Directory, TrunkPolicy, colleagues_of, route

ANNA, BORIS = Operator("portal", 1), Operator("portal", 2)


def test_an_account_leads_to_its_operator_with_the_trunks_policy() -> None:
    directory = Directory(
        accounts={("a", "1001"): ANNA}, trunks={"a": TrunkPolicy(decline_status=603)}, ring_seconds=12
    )
    found = route(directory, "a", "1001", "555")
    assert found is not None
    assert (found.operators, found.ring_seconds, found.policy.decline_status) == ((ANNA,), 12, 603)


def test_the_same_account_name_on_another_pbx_is_somebody_else() -> None:
    assert route(Directory(accounts={("a", "1001"): ANNA}), "b", "1001", "555") is None


def test_a_line_rings_all_its_operators_the_accounts_own_first() -> None:
    accounts = {("a", "1001"): ANNA, ("a", "1002"): BORIS}
    directory = Directory(accounts=accounts, lines={"555": (ANNA, BORIS)})
    found = route(directory, "a", "1002", "555")
    assert found is not None
    assert found.operators == (BORIS, ANNA)
    alone = route(directory, "a", "1002", "556")
    assert alone is not None
    assert alone.operators == (BORIS,)


def test_a_line_without_the_accounts_operator_rings_only_its_own() -> None:
    found = route(Directory(accounts={("a", "1001"): ANNA}, lines={"555": (BORIS,)}), "a", "1001", "555")
    assert found is not None
    assert found.operators == (BORIS,)


def test_a_trunks_number_without_an_account_rings_its_line() -> None:
    found = route(Directory(lines={"555": (BORIS, ANNA)}, preferring_lines={"555": True}), "a", "+555", "555")
    assert found is not None
    assert (found.operators, found.prefers_responsible) == ((BORIS, ANNA), True)
    assert route(Directory(lines={"555": (BORIS,)}), "a", "556", "556") is None


def test_colleagues_are_who_can_be_dialled_at_the_same_pbx_of_the_same_portal() -> None:
    anna, boris, vera, guest = (Operator("p", 1), Operator("p", 2), Operator("p", 3), Operator("q", 4))
    directory = Directory(
        accounts={("pbx", "1001"): anna, ("pbx", "1002"): boris, ("other", "1003"): vera, ("pbx", "1004"): guest}
    )
    assert colleagues_of(directory, anna) == {2: "1002"}
    assert colleagues_of(directory, vera) == {}
    assert colleagues_of(directory, Operator("p", 9)) == {}
