"""The support bundle through its API."""

from __future__ import annotations

import io
import zipfile

from dashboard.moment import now_ms
from tests.dashboard.house import PASSWORD, House, MakeHouse


def test_an_admin_gets_a_zip_and_the_audit_says_so(make_house: MakeHouse) -> None:
    house: House = make_house(admin_password=PASSWORD)
    answer = house.visitor().get("/api/support-bundle", headers=house.token("admin"))
    assert (answer.status_code, answer.mimetype) == (200, "application/zip")
    assert "attachment; filename=wakeless_support_" in answer.headers["Content-Disposition"]
    with zipfile.ZipFile(io.BytesIO(answer.data)) as archive:
        names = set(archive.namelist())
        everything = b"".join(archive.read(name) for name in names)
    assert {"README.txt", "settings.json", "health.json", "model.json", "probe-states.json", "log.jsonl"} <= names
    assert b"could not be had" not in everything
    assert PASSWORD.encode() not in everything
    (entry,) = [one for one in house.services.audit.between(0, now_ms()) if one.action == "bundle.make"]
    assert entry.actor == "token:program-admin"
