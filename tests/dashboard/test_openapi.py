"""The description of the API says what the API is."""

from __future__ import annotations

import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import orjson
import pytest
from werkzeug.test import TestResponse

from dashboard.access import rule_of
from dashboard.openapi import CALLS, describe
from examples.text.generator import TextGenerator
from model import Model
from model.builtin.card import KINDS, Detection
from model.builtin.detector import CardDetector
from model.signature import Schema, Signature
from tests.dashboard.house import House, MakeHouse
from tests.dashboard.test_oip import LABEL, X, hosting, infer
from tests.dashboard.tiny import Scale

API_PAGE = Path(__file__).parents[2] / "docs" / "api.md"
METHODS = {"GET", "POST", "PUT", "PATCH", "DELETE"}
#: What people open in a browser, and what pages load for themselves.
NOT_API = re.compile(
    r"/|/ack/.*|/alerts|/explore|/incidents(?:/.*)?|/rules|/model|/storage|/runbook|/live|/login.*|/logout|/language/.*|/static/.*|/assets/.*|/favicon.ico|/samples/.*|/targets(?:/.*)?|/go/.*|/requests|/reports|/logs|/checkup"
)


def routes(house: House) -> set[tuple[str, str]]:
    """Method and path of everything that a program may call, paths as OpenAPI writes them."""
    found = set()
    for rule in house.app.url_map.iter_rules():
        if NOT_API.fullmatch(rule.rule):
            continue
        path = re.sub(r"<(?:\w+:)?(\w+)>", r"{\1}", rule.rule)
        found |= {(method, path) for method in (rule.methods or set()) & METHODS}
    return found


def test_it_describes_every_call_and_no_other(calm: House) -> None:
    assert {(call.method.upper(), call.path) for call in CALLS} == routes(calm)


def test_it_names_the_role_that_a_call_takes(calm: House) -> None:
    said = {(call.method.upper(), call.path): call.access for call in CALLS}
    for rule in calm.app.url_map.iter_rules():
        path = re.sub(r"<(?:\w+:)?(\w+)>", r"{\1}", rule.rule)
        for method in rule.methods or ():
            kind = rule_of(calm.app, rule.endpoint)
            if (method, path) in said and kind in ("viewer", "operator", "admin"):
                assert said[method, path] == kind, (method, path)


def nodes(tree: Any) -> Iterator[dict[str, Any]]:
    """Every object in the document."""
    if isinstance(tree, dict):
        yield tree
        tree = list(tree.values())
    if isinstance(tree, list):
        for branch in tree:
            yield from nodes(branch)


def test_the_document_is_sound(calm: House) -> None:
    document = calm.visitor().get("/api/openapi.json", headers=calm.token("viewer")).get_json()
    assert document == describe()
    assert document["openapi"].startswith("3.1.")
    schemas = document["components"]["schemas"]
    for node in nodes(document):
        if "$ref" in node:
            assert node["$ref"].removeprefix("#/components/schemas/") in schemas
        if isinstance(node.get("required"), list):
            assert set(node["required"]) <= set(node["properties"])
    operations = [(path, one) for path, item in document["paths"].items() for one in item.values()]
    ids = [one["operationId"] for _, one in operations]
    assert len(ids) == len(set(ids))
    for path, one in operations:
        declared = {parameter["name"] for parameter in one.get("parameters", []) if parameter["in"] == "path"}
        assert declared == set(re.findall(r"{(\w+)}", path)), path
        assert all(parameter["required"] for parameter in one.get("parameters", []) if parameter["in"] == "path")
        assert all(answer["description"] for answer in one["responses"].values())
        assert any(code.startswith("2") for code in one["responses"])


def sound(document: dict[str, Any]) -> None:
    """Every reference leads somewhere."""
    schemas = document["components"]["schemas"]
    for node in nodes(document):
        if "$ref" in node:
            assert node["$ref"].removeprefix("#/components/schemas/") in schemas


def test_a_model_says_for_itself_what_it_takes_and_gives() -> None:
    document = describe(Scale().schema())
    sound(document)
    body = document["paths"]["/predict"]["post"]["requestBody"]["content"]
    assert set(body) == {"multipart/form-data", "application/json"}
    assert body["application/json"]["schema"]["items"] == {"$ref": "#/components/schemas/Input.application_json.Number"}
    prediction = document["components"]["schemas"]["Prediction"]["properties"]
    assert prediction["result"]["properties"]["y"]["items"] == {"$ref": "#/components/schemas/Result.Number"}
    assert prediction["timings"]
    assert describe()["components"]["schemas"]["Prediction"]["properties"]["result"] == {}


def test_the_embedded_models_results_are_as_its_schema_says() -> None:
    model = CardDetector()
    sound(describe(model.schema()))
    result = model.schema().result
    encoded = model.encode(Detection(KINDS[0], 0.5, np.zeros((4, 2))))
    assert set(encoded) == set(result["properties"]) == set(result["required"])
    assert encoded["class"] in result["properties"]["class"]["enum"]


@pytest.mark.parametrize("slip", [RuntimeError("no"), object(), Schema({"a/b": {"x": {1}}}, {})])
def test_a_models_slip_does_not_take_the_description_away(
    house: House, monkeypatch: pytest.MonkeyPatch, slip: object
) -> None:
    def signature() -> Any:
        if isinstance(slip, Exception):
            raise slip
        return Signature("m", "1", (), (), slip)  # type: ignore[arg-type]

    monkeypatch.setattr(house.services.model, "signature", signature)
    answer = house.visitor().get("/api/openapi.json", headers=house.token("viewer"))
    assert answer.status_code == 200
    assert answer.get_json() == describe()


def test_the_document_stands_up_to_the_specification() -> None:
    schemathesis = pytest.importorskip("schemathesis", reason="schemathesis is not installed")
    loaded = schemathesis.openapi.from_dict(describe())
    assert sum(1 for _ in loaded.get_all_operations()) == len(CALLS)


@pytest.mark.parametrize("kind", [None, Scale, CardDetector, TextGenerator])
def test_the_document_is_valid_openapi_whatever_the_model_says_of_itself(kind: type[Model] | None) -> None:
    validator = pytest.importorskip("openapi_spec_validator", reason="openapi-spec-validator is not installed")
    document = orjson.loads(orjson.dumps(describe(None if kind is None else kind().schema())))
    assert [error.message for error in validator.OpenAPIV31SpecValidator(document).iter_errors()] == []


def test_answers_are_as_the_models_own_schema_says(make_house: MakeHouse) -> None:
    jsonschema = pytest.importorskip("jsonschema", reason="jsonschema is not installed")
    house = hosting(make_house, "tests.dashboard.yielding:Unlucky", breaker_requests=0)
    document = house.visitor().get("/api/openapi.json", headers=house.token("viewer")).get_json()

    def check(name: str, answer: TestResponse) -> None:
        assert answer.status_code == 200, answer.text
        rule = {"$ref": f"#/components/schemas/{name}", "components": document["components"]}
        jsonschema.validate(answer.get_json(), rule, jsonschema.Draft202012Validator)

    check("Prediction", house.visitor().post("/predict", json=[1, 2, 3]))
    check("Prediction", house.visitor().post("/predict", json=[13, 2, 3]))
    check("InferenceResponse", infer(house.visitor()))
    rows = [X | {"data": [[13, 2, 3], [1, 1, 1]]}, LABEL]
    check("InferenceResponse", infer(house.visitor(), inputs=rows))
    check("ModelMetadata", house.visitor().get("/v2/models/scale"))


def test_people_get_a_page_of_it(calm: House) -> None:
    page = calm.person("viewer").get("/api/")
    assert page.status_code == 200
    for call in CALLS:
        assert f"{call.method.upper()} {call.path}" in page.text
        assert call.summary in page.text.replace("&#39;", "'")


def test_the_docs_show_one_curl_for_each_path(calm: House) -> None:
    page = API_PAGE.read_text(encoding="utf-8")
    blocks = re.findall(r"```sh\n(.*?)```", page, re.S)
    shown = {found for block in blocks for found in re.findall(r"localhost:8000(/[^\s'\"?]*)", block)}
    for call in CALLS:
        pattern = re.compile(re.sub(r"\\{\w+\\}", r"[^/]+", re.escape(call.path)))
        assert any(pattern.fullmatch(path) for path in shown), f"docs/api.md has no curl for {call.path}"
    for path in shown:
        adapter = calm.app.url_map.bind("localhost")
        assert any(adapter.test(path, method) for method in METHODS), f"docs/api.md calls {path}, which does not exist"
