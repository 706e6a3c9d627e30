"""Which listener has which session ticket keys: kept, given up, and rested before they are taken again."""

from dataclasses import replace

import pytest

from fastnlb.master.fronts import REST_SECONDS, Fronts
from fastnlb.model import OPTIONAL, CaCertificate, Listener, SecurityPolicy, ServerGroup, Snapshot

CA = CaCertificate("staff", b"one")
POLICY = SecurityPolicy("mine", ("TLSv1.3",), ("TLS_AES_128_GCM_SHA256",))


class Clock:
    def __init__(self):
        self.now = 1000.0

    def __call__(self):
        return self.now


@pytest.fixture
def clock():
    return Clock()


def listener(name="l", **more):
    return Listener(name, more.pop("protocol", "TCPSSL"), "127.0.0.1", 1, "g", "c", **more)


def snapshot(*listeners, authorities=(CA,), policies=(POLICY,)):
    return Snapshot(listeners, (ServerGroup("g", ()),), (), authorities, policies)


def serve(fronts, wanted):
    assigned = fronts.assign(wanted)
    fronts.adopt(wanted, assigned)
    return assigned


def test_every_tls_listener_that_is_not_stopped_has_one_of_its_own(clock):
    served = serve(
        Fronts(4, clock),
        snapshot(listener("a"), listener("b"), listener("c", protocol="TCP"), listener("d", enabled=False)),
    )
    assert set(served) == {"a", "b"}
    assert served["a"].number != served["b"].number
    assert served["a"].epoch != served["b"].epoch


def test_what_asks_nothing_else_of_clients_keeps_it(clock):
    fronts = Fronts(4, clock)
    first = serve(fronts, snapshot(listener()))
    changed = replace(listener(idle_timeout=5, alpn_policy="HTTP2Only"), certificate="d")
    second = serve(fronts, snapshot(changed, listener("m")))
    assert second["l"] == first["l"]


GUARDED = listener(ca_certificate="staff", security_policy="mine")


@pytest.mark.parametrize(
    "after",
    [
        snapshot(replace(GUARDED, ca_certificate=None)),
        snapshot(replace(GUARDED, client_certificate=OPTIONAL)),
        snapshot(replace(GUARDED, security_policy="tls_cipher_policy_1_2")),
        snapshot(replace(GUARDED, strict_sni=True)),
        snapshot(GUARDED, authorities=(replace(CA, bundle_pem=b"two"),)),
        snapshot(GUARDED, authorities=(replace(CA, crl_pem=b"crl"),)),
        snapshot(GUARDED, authorities=(replace(CA, verify_depth=0),)),
        snapshot(GUARDED, policies=(replace(POLICY, groups=("X25519",)),)),
    ],
    ids=["off", "optional", "policy", "strict", "CA", "CRL", "depth", "groups"],
)
def test_what_asks_something_else_of_clients_takes_another(clock, after):
    fronts = Fronts(4, clock)
    first = serve(fronts, snapshot(GUARDED))["l"]
    second = serve(fronts, after)["l"]
    assert second.number != first.number
    assert second.epoch > first.epoch


def test_one_change_and_back_is_not_the_same_epoch(clock):
    fronts = Fronts(4, clock)
    there, back = snapshot(listener()), snapshot(listener(security_policy="mine"))
    epochs = [serve(fronts, each)["l"].epoch for each in (there, back, there)]
    assert len(set(epochs)) == 3


def test_one_that_was_given_up_rests(clock):
    fronts = Fronts(1, clock)
    there, back = snapshot(listener()), snapshot(listener(security_policy="mine"))
    assert serve(fronts, there)["l"].number == 0
    assert serve(fronts, back)["l"].number == -1
    clock.now += REST_SECONDS - 1
    assert serve(fronts, there)["l"].number == -1
    clock.now += 1
    assert serve(fronts, back)["l"].number == 0


def test_who_went_without_is_given_one_with_the_next_change_and_the_log_says_so(clock, caplog):
    fronts = Fronts(1, clock)
    both = snapshot(listener("a"), listener("b"))
    before = serve(fronts, both)
    assert sorted(front.number for front in before.values()) == [-1, 0]
    assert "1 TLS listeners have no ticket keys in common" in caplog.text
    serve(fronts, snapshot(listener("b")))
    clock.now += REST_SECONDS
    after = serve(fronts, snapshot(listener("b")))
    assert after["b"].number == 0
    assert after["b"].epoch > before["b"].epoch


def test_the_longest_out_of_use_is_taken_first(clock):
    fronts = Fronts(3, clock)
    states = [snapshot(listener(security_policy=f"tls_cipher_policy_1_{n}")) for n in range(3)]
    numbers = []
    for round_number in range(7):
        numbers.append(serve(fronts, states[round_number % 3])["l"].number)
        clock.now += REST_SECONDS
    assert numbers == [0, 1, 2, 0, 1, 2, 0]


def test_a_change_that_comes_to_nothing_takes_nothing(clock):
    fronts = Fronts(2, clock)
    served = serve(fronts, snapshot(listener()))
    refused = fronts.assign(snapshot(listener(security_policy="mine"), listener("m")))
    again = fronts.assign(snapshot(listener(security_policy="mine")))
    assert fronts.assign(snapshot(listener())) == served
    assert again["l"].number == refused["l"].number == 1
    assert again["l"].epoch > refused["m"].epoch


def test_no_two_ever_share_one(clock):
    fronts = Fronts(3, clock)
    for count in (2, 5, 1, 4, 3):
        numbers = [
            front.number for front in serve(fronts, snapshot(*(listener(f"l{n}") for n in range(count)))).values()
        ]
        used = [number for number in numbers if number >= 0]
        assert len(used) == len(set(used))
        clock.now += REST_SECONDS
