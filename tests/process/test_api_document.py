"""The OpenAPI document, and requests that are made from it: no answer but those it names, and never a fault."""

from __future__ import annotations

import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest
from support.api import Managed

CHECKS = (
    *("not_a_server_error", "status_code_conformance", "content_type_conformance", "response_headers_conformance"),
    *("response_schema_conformance", "negative_data_rejection", "missing_required_header", "unsupported_method"),
)
"""All but those that a configuration cannot keep: what fits its schema may still contradict something else."""

DESTROY = ("/api/v1/stop", "/api/v1/upgrade")


def test_the_document_has_every_route_and_every_reference_leads_somewhere(managed: Managed) -> None:
    document = managed.api.get("/openapi.json").json
    assert document["openapi"].startswith("3.1")
    schemas = document["components"]["schemas"]
    assert {"Listener", "ServerGroup", "Certificate", "CaCertificate", "SecurityPolicy", "Problem"} <= schemas.keys()
    assert schemas["Listener"]["properties"]["idle_timeout"]["maximum"] == 900
    assert "private_key" not in schemas["CertificateShown"]["properties"]

    def references(value: object) -> Iterator[str]:
        if isinstance(value, dict):
            if isinstance(found := value.get("$ref"), str):
                yield found
            for each in value.values():
                yield from references(each)
        elif isinstance(value, list):
            for each in value:
                yield from references(each)

    assert {each.rpartition("/")[2] for each in references(document)} <= schemas.keys()


@pytest.mark.slow
@pytest.mark.timeout(300)
def test_requests_made_from_the_document_find_no_fault(managed: Managed) -> None:
    managed.serving()
    managed.api.post("certificates", {"name": "www", "self_signed": ["localhost"]})
    words = ["run", f"http://127.0.0.1:{managed.port}/openapi.json", "--phases", "fuzzing"]
    words += ["--max-examples", "5", "--checks", ",".join(CHECKS), "--generation-database", "none", "--seed", "1"]
    for path in DESTROY:
        words += ["--exclude-path", path]
    done = subprocess.run(
        [str(Path(sys.executable).with_name("schemathesis")), *words],
        capture_output=True,
        text=True,
        timeout=280,
        check=False,
        cwd=managed.folder,
    )
    assert done.returncode == 0, done.stdout[-9000:] + done.stderr[-2000:]
    assert managed.api.get("/readyz").status == 200
