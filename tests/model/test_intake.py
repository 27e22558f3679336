"""What a model is said to take, and the example that is made from its schema."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import orjson
import pytest
from hypothesis import given
from hypothesis import strategies as st
from pydantic import BaseModel, Field

from model import Model, Schema
from model.example import example_of
from model.intake import intake_of


class Plain(Model):
    """Leaves ``decode`` to the default."""

    def load(self, device: str) -> None:
        pass

    def predict(self, batch: Sequence[Any]) -> Sequence[Any]:
        return batch


class Own(Plain):
    """Reads bodies in a way of its own."""

    def decode(self, body: bytes, content_type: str) -> Any:
        return body


class Said(Own):
    """Has a schema of these content types."""

    def __init__(self, *kinds: str, body: Any = None) -> None:
        self.kinds, self.body = kinds, {} if body is None else body

    def schema(self) -> Schema:
        return Schema(request=dict.fromkeys(self.kinds, self.body), result={})


class Raises(Plain):
    def schema(self) -> Schema:
        raise RuntimeError("no schema today")


@pytest.mark.parametrize(
    ("model", "forms"),
    [
        (Plain(), ("json",)),
        (Own(), ()),
        (Said("application/json"), ("json",)),
        (Said("application/vnd.shop+json; charset=utf-8"), ("json",)),
        (Said("image/jpeg", "image/png"), ("file",)),
        (Said("text/plain", "application/json"), ("text", "json")),
        (Said("application/octet-stream", "application/json"), ("file", "json")),
        (Raises(), ()),
        (Said("application/json", body={"default": {1, 2}}), ()),
    ],
)
def test_the_forms_of_a_body_are_what_the_model_says_of_itself(model: Model, forms: tuple[str, ...]) -> None:
    assert intake_of(model, streams=True).forms == forms


def test_the_content_types_and_the_example_are_the_schemas_own() -> None:
    found = intake_of(Said("image/png", "application/json", body={"type": "integer", "minimum": 3}), streams=False)
    assert (found.types, found.example, found.streams) == (("image/png", "application/json"), 3, False)


class Item(BaseModel):
    name: str
    parts: list[Item] = []


class Order(BaseModel):
    item: Item
    count: int = Field(ge=2)
    share: float = Field(gt=0, lt=1)
    note: str | None = None
    colour: str = "red"


def test_a_pydantic_model_accepts_the_example_made_from_its_schema() -> None:
    found = example_of(Order.model_json_schema())
    assert Order.model_validate(found)
    assert found["colour"] == "red"
    assert "note" not in found, "what may be left out and says nothing of itself is left out"


@pytest.mark.parametrize(
    ("schema", "example"),
    [
        ({"type": "string", "examples": ["03:12"]}, "03:12"),
        ({"type": ["null", "boolean"]}, False),
        ({"oneOf": [{"type": "null"}, {"enum": ["a", "b"]}]}, "a"),
        ({"type": "array", "items": {"type": "number"}, "minItems": 3}, [0, 0, 0]),
        ({"prefixItems": [{"const": 1}, {"const": "x"}]}, [1, "x"]),
        ({"type": "integer", "exclusiveMinimum": 4}, 5),
        ({"type": "string", "minLength": 6}, "text.."),
        ({"allOf": [{"$ref": "#/$defs/A"}, {"properties": {"b": {"const": 2}}}],
          "$defs": {"A": {"type": "object", "properties": {"a": {"const": 1}}}}}, {"a": 1, "b": 2}),
        ({"$ref": "#/$defs/A", "$defs": {"A": {"$ref": "#/$defs/A"}}}, None),
        ({"$ref": "https://example.org/else.json"}, None),
        (True, None),
    ],
)  # fmt: skip
def test_an_example_is_the_plainest_value_that_the_schema_allows(schema: Any, example: Any) -> None:
    assert example_of(schema) == example


_NODES = st.recursive(
    st.fixed_dictionaries({}, optional={"type": st.sampled_from(["object", "array", "string", "integer", "null"]),
                                        "$ref": st.sampled_from(["#", "#/items", "#/properties/a", "#/nowhere"])}),
    lambda inner: st.fixed_dictionaries(
        {}, optional={"properties": st.dictionaries(st.sampled_from("ab"), inner, max_size=2), "items": inner,
                      "anyOf": st.lists(inner, max_size=2), "allOf": st.lists(inner, max_size=2)}
    ),
    max_leaves=8,
)  # fmt: skip


@given(_NODES)
def test_every_schema_ends_in_some_example_however_it_refers_to_itself(schema: dict[str, Any]) -> None:
    orjson.dumps(example_of(schema))
