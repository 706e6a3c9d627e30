"""The keys of fastnlb.yaml: which values they take, what is said of others, and what is not available yet."""

from __future__ import annotations

from typing import Any

import pytest
from support.good_config import GOOD, GROUP, LISTENER, PROBE, REMOVED, SERVER, judge, with_value

from fastnlb.config.availability import TABLE
from fastnlb.config.errors import Where, show_path
from fastnlb.config.schema import Block, FileBlock, HealthCheckBlock, ListenerBlock, ServerGroupBlock


def test_the_good_configuration_is_good() -> None:
    assert judge(GOOD) == []


@pytest.mark.parametrize(
    ("where", "lowest", "highest"),
    [
        (("version",), 1, 1),
        (("workers",), 1, 1024),
        (("shutdown_timeout",), 0, 86400),
        ((*LISTENER, "port"), 1, 65535),
        ((*LISTENER, "idle_timeout"), 1, 900),
        ((*LISTENER, "handshake_timeout"), 1, 300),
        ((*LISTENER, "connect_timeout"), 1, 300),
        ((*LISTENER, "cps"), 0, 1_000_000),
        ((*LISTENER, "max_connections"), 0, 10_000_000),
        ((*LISTENER, "mss"), 0, 1500),
        ((*SERVER, "port"), 1, 65535),
        ((*SERVER, "weight"), 0, 100),
        ((*GROUP, "connection_drain_timeout"), 0, 900),
        ((*PROBE, "connect_port"), 0, 65535),
        ((*PROBE, "connect_timeout"), 1, 300),
        ((*PROBE, "interval"), 1, 50),
        ((*PROBE, "healthy_threshold"), 2, 10),
        ((*PROBE, "unhealthy_threshold"), 2, 10),
    ],
)
def test_ranges(where: Where, lowest: int, highest: int) -> None:
    for outside in (lowest - 1, highest + 1):
        (problem,) = judge(with_value(where, outside))
        assert problem.startswith(f"{show_path(where)}: {outside} is out of range: {where[-1]} takes ")
    for inside in (lowest, highest):
        assert not any("out of range" in problem for problem in judge(with_value(where, inside)))


def test_a_range_is_said_with_its_unit() -> None:
    (problem,) = judge(with_value((*LISTENER, "idle_timeout"), 1000))
    said = "listeners[0].idle_timeout: 1000 is out of range: idle_timeout takes 1 to 900 seconds"
    assert problem == f"{said} [IllegalParam.IdleTimeout]"


@pytest.mark.parametrize("value", ["60", 60.0, True, None, [60], {}])
def test_a_number_is_a_number_and_nothing_like_it(value: object) -> None:
    (problem,) = judge(with_value((*LISTENER, "idle_timeout"), value))
    assert "is not a whole number: idle_timeout takes 1 to 900 seconds" in problem


@pytest.mark.parametrize(
    ("where", "value", "message"),
    [
        (("workers",), "many", 'the text "many" is not a whole number: workers takes auto or 1 to 1024'),
        (("run_dir",), "", "run_dir takes the path of a file"),
        (("admin", "listen"), "localhost:1", "takes an address and a port, such as 127.0.0.1:9901"),
        (("admin", "listen"), "::1:9901", "takes an address and a port"),
        (
            ("logging", "level"),
            "warn",
            'takes debug, info, warning or error, not the text "warn"; did you mean "warning"?',
        ),
        (("logging", "format"), "text", "takes console or json"),
        (("resolver",), {"nameservers": ["dns.test"]}, "takes an address, with or without a port, such as 10.0.0.2"),
        (("resolver",), {"nameservers": ["::1:53:"]}, "takes an address, with or without a port"),
        (("resolver",), {"min_ttl": 9, "max_ttl": 8}, "min_ttl 9 is above max_ttl 8"),
        (("resolver",), {"min_ttl": 0}, "0 is out of range: min_ttl takes 1 to 3600 seconds"),
        (("certificates", 0, "certificate"), "a\x00b", "takes the path of a file"),
        (("certificates", 0, "name"), "-www", "name takes 1 to 128 letters, digits"),
        (("certificates",), None, "certificates takes a list, not null"),
        (("certificates",), {"www": 1}, "certificates takes a list, not a mapping"),
        (("listeners", 0), "https", 'each item of listeners takes a mapping, not the text "https"'),
        (("admin",), [], "admin takes a mapping, not a list"),
        ((*GROUP, "name"), "a b", "name takes"),
        ((*GROUP, "name"), "x" * 129, "name takes"),
        ((*GROUP, "scheduler"), "wr", 'not the text "wr"; did you mean "wrr"?'),
        ((*GROUP, "any_port"), "no", 'any_port takes true or false, not the text "no"'),
        ((*GROUP, "any_port"), 0, "any_port takes true or false, not 0"),
        ((*SERVER, "address"), "10.0.0.256", "takes a literal IPv4 or IPv6 address"),
        ((*SERVER, "address"), "fe80::1%eth0", "takes a literal IPv4 or IPv6 address"),
        ((*SERVER, "address"), "a..b", "takes a literal IPv4 or IPv6 address"),
        ((*SERVER, "address"), 10.0, "not 10.0; put it in quotes"),
        ((*PROBE, "url"), "x", "begins with /"),
        ((*PROBE, "domain"), "a_/b", "host name"),
        ((*PROBE, "http_codes"), [], "http_codes is empty"),
        ((*PROBE, "http_codes"), ["http_200"], "takes http_2xx, http_3xx, http_4xx or http_5xx"),
        ((*LISTENER, "protocol"), "tcpssl", 'did you mean "TCPSSL"?'),
        ((*LISTENER, "address"), "localhost", "takes a literal IPv4 or IPv6 address"),
        ((*LISTENER, "address"), "::ffff:127.0.0.1", "takes a literal IPv4 or IPv6 address"),
        ((*LISTENER, "port"), "443", "port takes 1 to 65535, written without quotes"),
        ((*LISTENER, "tags"), {"a": 1}, 'the tag "a" takes text, not 1; put it in quotes'),
        ((*LISTENER, "tags"), {"": "a"}, "is no tag key"),
        ((*LISTENER, "tags"), {"a" * 65: "a"}, "is no tag key"),
        ((*LISTENER, "tags"), {"a": "b" * 129}, "takes up to 128"),
        ((*LISTENER, "tags"), {str(n): "" for n in range(21)}, "21 tags are too many"),
        ((*LISTENER, "alpn_policy"), "h2", "takes HTTP1Only, HTTP2Only, HTTP2Optional or HTTP2Preferred"),
        ((*LISTENER, "proxy_protocol"), {"version": 1}, "1 is out of range: version takes 2"),
        ((*LISTENER, "proxy_protocol"), {"tlvs": ["sni"]}, "takes alpn, authority, ssl or crc32c"),
        ((*LISTENER, "accept_proxy_protocol"), {"trusted": ["10.0.0.1/8"]}, "without host bits"),
        ((*LISTENER, "accept_proxy_protocol"), {}, 'missing key "trusted"'),
        ((*LISTENER, "proxy_protocol"), {"tlvs": ["ssl", "ssl"]}, "ssl is in the list already"),
        ((*LISTENER, "proxy_protocol"), {"vpc_id": "a b"}, "vpc_id takes 1 to 128 letters"),
    ],
)
def test_a_wrong_value_is_told_what_is_right(where: Where, value: object, message: str) -> None:
    assert any(message in problem for problem in judge(with_value(where, value)))


@pytest.mark.parametrize(
    ("where", "value"),
    [
        (("workers",), "auto"),
        (("run_dir",), "/run/fastnlb"),
        (("logging", "level"), "debug"),
        (("logging", "format"), "json"),
        (("watch",), True),
        (("core_dumps",), True),
        (("certificates", 0, "private_key_passphrase_file"), "www.pass"),
        (("certificates", 0, "ocsp_response"), "www.ocsp"),
        (("ca_certificates",), [{"name": "staff", "certificate": "ca.pem", "crl": "ca.crl", "verify_depth": 0}]),
        ((*GROUP, "scheduler"), "rr"),
        ((*GROUP, "scheduler"), "Wrr"),
        ((*GROUP, "scheduler"), "wlc"),
        ((*GROUP, "scheduler"), "Sch"),
        ((*GROUP, "scheduler"), "tch"),
        ((*GROUP, "connection_drain_timeout"), 0),
        ((*GROUP, "connection_drain_timeout"), 900),
        ((*GROUP, "name"), "web"),
        ((*GROUP, "health_check"), {"enabled": False, "interval": 7}),
        ((*GROUP, "health_check"), {"enabled": False, "type": "TCP", "url": "/moot"}),
        ((*GROUP, "health_check"), {"type": "TCP", "connect_port": 80, "interval": 1, "healthy_threshold": 10}),
        (PROBE, {"type": "HTTP", "domain": "$SERVER_IP", "url": "/health?a=b", "method": "HEAD"}),
        (PROBE, {"type": "HTTP", "http_codes": ["http_5xx", "http_2xx"], "http_version": "HTTP1.1"}),
        ((*GROUP, "servers"), []),
        ((*SERVER, "address"), "2001:db8::1"),
        ((*LISTENER, "name"), "0"),
        ((*LISTENER, "address"), "::"),
        ((*LISTENER, "enabled"), False),
        ((*LISTENER, "tags"), {"env": "prod", "owner": "a=b", "empty": ""}),
        ((*LISTENER, "security_policy"), "tls_cipher_policy_1_0"),
        ((*LISTENER, "strict_sni"), True),
        ((*LISTENER, "alpn_policy"), "HTTP2Only"),
    ],
)
def test_a_right_value_is_accepted(where: Where, value: object) -> None:
    assert judge(with_value(where, value)) == []


@pytest.mark.parametrize(
    ("where", "message"),
    [
        (("version",), 'missing key "version": write version: 1 at the top'),
        (("certificates", 0, "name"), 'certificates[0]: missing key "name"'),
        ((*LISTENER, "server_group"), 'listeners[0]: missing key "server_group": the name of a server group'),
        ((*LISTENER, "protocol"), 'listeners[0]: missing key "protocol": TCPSSL or TCP'),
        ((*LISTENER, "port"), 'listeners[0]: missing key "port"'),
        ((*LISTENER, "certificate"), "listeners[0]: a TCPSSL listener takes a certificate"),
        ((*SERVER, "address"), 'servers[0]: missing key "address"'),
        ((*SERVER, "port"), 'servers[0]: missing key "port"'),
    ],
)
def test_a_missing_key_is_named_at_its_mapping(where: Where, message: str) -> None:
    assert any(message in problem for problem in judge(with_value(where, REMOVED)))


def test_an_unknown_key_is_named_with_the_one_that_was_meant() -> None:
    data = with_value((*LISTENER, "sever_group"), "web")
    del data["listeners"][0]["server_group"]
    assert judge(data) == ['listeners[0].sever_group: unknown key "sever_group"; did you mean "server_group"?']


def test_an_unknown_key_like_no_other_is_told_which_there_are() -> None:
    (problem,) = judge(with_value((*SERVER, "zzz"), 1))
    assert problem.endswith('unknown key "zzz"; the keys here are address, port, weight')


@pytest.mark.parametrize(("data", "what"), [(None, "is empty"), ([], "holds a list"), ("x", 'holds the text "x"')])
def test_a_file_that_is_no_mapping(data: object, what: str) -> None:
    (problem,) = judge(data)
    assert f"the configuration {what}: it takes a mapping" in problem


def test_the_users_text_cannot_reach_the_terminal_raw() -> None:
    problems = judge(with_value((*LISTENER, "\x1b[2J\n\u202e\x9b"), "\x1b]0;x\x07"))
    assert problems
    assert all(problem.isprintable() for problem in problems)


NOT_AVAILABLE: list[tuple[Where, object]] = [
    ((*GROUP, "protocol"), "UDP"),
    ((*LISTENER, "protocol"), "UDP"),
]


@pytest.mark.parametrize(("where", "value"), NOT_AVAILABLE, ids=lambda part: str(part)[:50])
def test_what_is_not_available_is_refused_at_its_place(where: Where, value: object) -> None:
    data = with_value(where, value)
    refused = [problem for problem in judge(data) if "is not available in this version of fastnlb (0.1)" in problem]
    assert any(problem.startswith(f"{show_path(where)}: ") for problem in refused), judge(data)


def test_every_row_of_the_table_is_tried_above() -> None:
    tried = {tuple("*" if isinstance(part, int) else part for part in where) for where, _ in NOT_AVAILABLE}
    assert tried == {row.path for row in TABLE}


def written_out(block: Block) -> dict[str, Any]:
    """A block with every default spelled out."""
    return block.model_dump()


def test_every_default_may_be_written_out() -> None:
    everything = written_out(FileBlock.model_validate(GOOD))
    assert set(everything["listeners"][0]) == set(ListenerBlock.model_fields)
    assert set(everything["server_groups"][0]) == set(ServerGroupBlock.model_fields)
    assert everything["server_groups"][0]["health_check"] == written_out(HealthCheckBlock())
    assert judge(everything) == []
