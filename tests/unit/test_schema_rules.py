"""What the blocks of fastnlb.yaml ask of one another, and what is said when they do not fit together."""

from __future__ import annotations

import copy
from typing import Any

import pytest
from support.good_config import GOOD, GROUP, PROBE, REMOVED, judge, second, with_value

from fastnlb.config.errors import show_path


@pytest.mark.parametrize(
    ("data", "message"),
    [
        (second("certificates"), 'certificates[1].name: a certificate "www" exists already'),
        (second("server_groups"), 'server_groups[1].name: a server group "web" exists already'),
        (second("listeners", port=444), 'listeners[1].name: a listener "https" exists already'),
        (second("listeners", name="b"), '127.0.0.1:443 is taken by the listener "https"'),
        (
            second("listeners", name="b", address="0.0.0.0"),  # noqa: S104
            '0.0.0.0:443 is taken by the listener "https", which listens on 127.0.0.1:443',
        ),
        (second("listeners", name="b", port=444, server_group="wev"), 'no server group "wev"; did you mean "web"?'),
        (second("listeners", name="b", port=444, server_group="zzz"), 'no server group "zzz"; there are web'),
        (second("listeners", name="b", port=444, certificate="ww"), 'no certificate "ww"; did you mean "www"?'),
        (
            second("listeners", name="b", port=444, security_policy="tls_cipher_policy_1_4"),
            'no security policy "tls_cipher_policy_1_4"; did you mean',
        ),
        (
            second("listeners", name="b", port=444, ca_certificate="staff"),
            'no CA certificate "staff"; none is defined',
        ),
        (
            second("listeners", name="b", port=444, additional_certificates=["x"]),
            "additional_certificates[0]: there is",
        ),
        (second("listeners", name="b", port=444, protocol="TCP"), "a TCP listener has no TLS: remove certificate"),
        (
            second("listeners", name="b", port=444, protocol="TCP", certificate=None, alpn_policy="HTTP2Only"),
            "a TCP listener has no TLS: remove alpn_policy",
        ),
        (
            second(
                "listeners",
                name="b",
                port=444,
                protocol="TCP",
                certificate=None,
                security_policy="tls_cipher_policy_1_2",
            ),
            "a TCP listener has no TLS: remove security_policy",
        ),
        (second("listeners", name="b", port_range=[1000, 1001]), "a listener takes port or port_range, not both"),
        (
            second("listeners", name="b", port=None, port_range=[9, 8]),
            "the last port 8 is not above the first port 9",
        ),
        (second("listeners", name="b", port=None, port_range=[9]), "not a list of 1 item"),
        (
            second("listeners", name="b", port=None, port_range=[1000, 1001]),
            'takes a server group with any_port, which "web" has off',
        ),
        (
            with_value((*GROUP, "any_port"), True),
            'takes a server group without any_port, which "web" has on',
        ),
        (
            with_value((*GROUP, "preserve_client_ip"), True),
            'takes a server group without preserve_client_ip, which "web" has on',
        ),
        (with_value((*GROUP, "protocol"), "UDP"), 'takes a TCP server group, and "web" is UDP'),
        (
            with_value((*GROUP, "servers"), [{"address": "::1", "port": 1}, {"address": "0::1", "port": 1}]),
            "server_groups[0].servers[1]: this server is in the group already",
        ),
        (
            with_value((*GROUP, "servers"), [{"address": "a.test", "port": 1}, {"address": "A.test", "port": 1}]),
            "server_groups[0].servers[1]: this server is in the group already",
        ),
        (
            with_value(
                ("security_policies",), [{"name": "p", "tls_versions": ["TLSv1.3"], "ciphers": ["AES128-SHA"]}]
            ),
            "no version of this policy (TLSv1.3) has the cipher AES128-SHA",
        ),
        (
            with_value(
                ("security_policies",),
                [{"name": "p", "tls_versions": ["TLSv1.2", "TLSv1.3"], "ciphers": ["AES128-SHA"]}],
            ),
            "no cipher for TLSv1.3: add one, or remove it",
        ),
        (
            with_value(
                ("security_policies",),
                [{"name": "tls_cipher_policy_1_2", "tls_versions": ["TLSv1.2"], "ciphers": ["AES128-SHA"]}],
            ),
            "tls_cipher_policy_1_2 is a system security policy",
        ),
        (with_value(("admin", "listen"), "10.0.0.1:80"), "tokens_file is required"),
    ],
)
def test_blocks_that_do_not_fit_together(data: dict[str, Any], message: str) -> None:
    assert any(message in problem for problem in judge(data)), judge(data)


@pytest.mark.parametrize(
    ("key", "value"),
    [
        ("domain", "a.example"),
        ("url", "/health"),
        ("http_codes", ["http_3xx"]),
        ("method", "HEAD"),
        ("http_version", "HTTP1.1"),
    ],
)
def test_what_only_an_http_check_looks_at_needs_one(key: str, value: object) -> None:
    said = f"{key} is for HTTP: write type: HTTP beside it, or leave it out"
    assert judge(with_value((*PROBE, key), value)) == [f"{show_path((*PROBE, key))}: {said}"]


def test_only_one_listener_may_have_a_range() -> None:
    data = second("listeners", name="b", port=None, port_range=[1000, 1001])
    data["listeners"].append({**data["listeners"][1], "name": "c", "port_range": [2000, 2001]})
    assert any('one listener may have a port_range, and "b" has it already' in problem for problem in judge(data))


@pytest.mark.parametrize(
    "changes",
    [
        {"port": 444},
        {"address": "127.0.0.2"},
        {"address": "::"},
        {"port": 444, "protocol": "TCP", "certificate": None},
    ],
)
def test_sockets_that_do_not_collide(changes: dict[str, object]) -> None:
    assert judge(second("listeners", name="b", **changes)) == []


def test_one_mistake_does_not_hide_another_nor_make_a_third() -> None:
    data = second("listeners", name="b", port=444, idle_timeout=0, server_group="nowhere")
    data["server_groups"][0]["scheduler"] = 5
    paths = [problem.split(": ")[0] for problem in judge(data)]
    assert paths == ["listeners[1].idle_timeout", "listeners[1].server_group", "server_groups[0].scheduler"]


@pytest.mark.parametrize(
    ("listener", "group", "said"),
    [
        ({}, {"preserve_client_ip": True}, "IllegalParam.PreserveClientIpSwitch"),
        ({}, {"protocol": "UDP"}, "Mismatch.Protocol"),
        ({}, {"protocol": "TCP_UDP"}, "Mismatch.Protocol"),
        ({"protocol": "TCP"}, {"protocol": "UDP"}, "Mismatch.Protocol"),
        ({"protocol": "UDP"}, {"protocol": "TCP"}, "Mismatch.Protocol"),
        (
            {"port": REMOVED, "port_range": [1, 9]},
            {},
            "IllegalParam.AnyPortListenerConflictWithNonAnyPortServerGroup",
        ),
        ({}, {"any_port": True}, "IllegalParam.NonAnyPortListenerConflictWithAnyPortServerGroup"),
    ],
)
def test_a_listener_and_a_group_that_do_not_go_together_have_the_name_of_the_reference(
    listener: dict[str, object], group: dict[str, object], said: str
) -> None:
    data = copy.deepcopy(GOOD)
    for block, changes in ((data["listeners"][0], listener), (data["server_groups"][0], group)):
        block.update(changes)
        for key in [key for key, value in block.items() if value is REMOVED]:
            del block[key]
    (problem,) = (each for each in judge(data) if each.startswith("listeners[0].server_group: "))
    assert problem.endswith(f" [{said}]")


def test_a_tcp_listener_takes_the_tcp_side_of_a_group_for_both() -> None:
    data = copy.deepcopy(GOOD)
    data["listeners"] = [{"name": "a", "protocol": "TCP", "port": 80, "server_group": "web"}]
    data["server_groups"][0]["protocol"] = "TCP_UDP"
    assert judge(data) == []


def test_a_crowd_of_slips_is_told_without_comparing_everything_with_everything(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    compared: list[int] = []

    def suggest(_name: str, known: list[str]) -> str:
        compared.append(len(known))
        return ""

    monkeypatch.setattr("fastnlb.config.schema_rules.suggest", suggest)
    data = copy.deepcopy(GOOD)
    data["certificates"] = [{"name": f"c{number}", "certificate": "c.pem"} for number in range(2000)]
    data["listeners"][0] |= {"certificate": "c0", "additional_certificates": [f"x{number}" for number in range(2000)]}
    assert len(judge(data)) == 2000
    assert sum(compared) < 300_000
