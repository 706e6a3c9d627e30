"""The table of states: exactly the documented transitions are legal."""

from fastnlb._core._testing import legal_transitions

from fastnlb._core.defs import ConnState

DOCUMENTED = {
    "FREE": {"ACCEPT"},
    "ACCEPT": {"PROXY_IN", "HANDSHAKE", "CONNECT", "CLOSED"},
    "PROXY_IN": {"HANDSHAKE", "CONNECT", "CLOSED"},
    "HANDSHAKE": {"CONNECT", "DRAIN", "CLOSED"},
    "CONNECT": {"RELAY", "DRAIN", "CLOSED"},
    "RELAY": {"DRAIN", "CLOSED"},
    "DRAIN": {"CLOSED"},
    "CLOSED": set(),
}


def test_every_pair_of_states_is_legal_or_not_as_documented():
    names = {state.value: state.name.removeprefix("CONN_") for state in ConnState if state != ConnState.CONN_STATES}
    found = {(names[a], names[b]) for a, b in legal_transitions()}
    assert found == {(a, b) for a, following in DOCUMENTED.items() for b in following}


def test_no_state_leads_back():
    order = list(DOCUMENTED)
    names = {state.name.removeprefix("CONN_"): state.value for state in ConnState}
    assert all(names[order[i]] < names[order[i + 1]] for i in range(len(order) - 1))
    assert all(a < b for a, b in legal_transitions())
