"""Attacks on what hosts the model: images, documents and tensors that are not what they say."""

from __future__ import annotations

import gzip
import json
import random
import struct
from typing import Any

from hypothesis import strategies as st

from tests.faults.attack import Attack
from tests.faults.picture import damaged, photographs
from tests.faults.vocabulary import post, request, seeds, types

images = st.builds(lambda seed, kind: post("image", "/predict", damaged(seed), ("Content-Type", kind)), seeds, types)
bodies = st.builds(
    lambda body, kind: post("body", "/predict", body, ("Content-Type", kind)),
    st.one_of(st.binary(max_size=2000), st.text(max_size=500).map(lambda text: text.encode("utf-8", "surrogatepass"))),
    types,
)


_trees = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=20),
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(st.text(max_size=8), inner, max_size=4),
    max_leaves=12,
)
_sizes: st.SearchStrategy[Any] = st.sampled_from(
    (0, 1, 2, 3, -1, 65, 10**6, 2**31, 2**63, 10**30, 1.5, True, None, "1", [1], {})
)


@st.composite
def documents(draw: st.DrawFn) -> Attack:
    """The Open Inference Protocol as JSON, with some of it replaced."""
    shape = draw(st.lists(_sizes, max_size=3) | st.just([1]) | _trees)
    tensor = {
        "name": draw(st.sampled_from(("input", "scale", "", "x", "\ud800", None, 7)) | _trees),
        "datatype": draw(st.sampled_from(("BYTES", "FP32", "FP64", "INT8", "BF16", "bytes", "", None)) | _trees),
        "shape": shape,
        "data": draw(_trees | st.just(["aGk="]) | st.just([1e39, -0.0, 3])),
        "parameters": draw(_trees | st.just({"binary_data_size": draw(_sizes)})),
    }
    scale = {"name": "scale", "datatype": "FP32", "shape": [1, 3], "data": [1, 2, draw(st.floats() | st.integers())]}
    document = {"id": draw(_trees), "parameters": draw(_trees), "outputs": draw(_trees), "inputs": [tensor, scale]}
    for name in draw(st.sets(st.sampled_from(tuple(document)))):
        del document[name]
    text = json.dumps(document)  # with NaN and Infinity, which JSON does not have
    return post("document", _INFER, text.encode(), ("Content-Type", "application/json"))


_INFER = "/v2/models/guest/infer"
_TENSOR = b'{"inputs":[{"name":"input","datatype":"BYTES","shape":[1],"data":'


def _odd_json(seed: int) -> Attack:
    dice = random.Random(seed)
    depth = dice.choice((50, 1000, 1024, 1025, 100_000))
    nested = b"[" * depth
    text = dice.choice(
        (
            nested, nested + b"]" * depth, b'{"a":' * depth, b'{"inputs":[{"shape":' + nested, b"-", b"{}{}",
            _TENSOR + nested + b'"x"' + b"]" * depth + b"}]}", _TENSOR + b"[" + b'"x",' * 70 + b'"x"]}]}',
            b'{"inputs": NaN}', b'{"inputs": [Infinity]}', b'"\\ud800"', b"\xef\xbb\xbf{}", b"\x00", b"1" * 5000,
            b'{"id":"' + b"x" * 1_000_000 + b'"}', b'{"a":1,"a":2,"inputs":[],"inputs":{}}',
            b'{"inputs":[' + b"{}," * 50_000 + b"{}]}",
        )
    )  # fmt: skip
    packing = dice.choice((None, None, "gzip", "deflate", "br", "gzip, gzip", "\xff"))
    packed = gzip.compress(text) if packing == "gzip" and dice.random() < 0.7 else text
    if packing == "gzip" and dice.random() < 0.3:
        packed = packed[: len(packed) // 2] + dice.randbytes(20)
    elif packing == "gzip" and dice.random() < 0.2:
        packed = _gzip_bomb()
    headers = (("Content-Encoding", packing),) if packing else ()
    path = dice.choice((_INFER, _INFER, "/v2/repository/index", "/predict", "/api/model/restart", "/api/model/version"))
    return post("odd json", path, packed, ("Content-Type", "application/json"), *headers)


def _gzip_bomb() -> bytes:
    return gzip.compress(bytes(40_000_000), 1)


odd_json = st.builds(_odd_json, seeds)


def _binary(seed: int) -> Attack:
    """Tensors as bytes behind the document, with sizes that lie."""
    dice = random.Random(seed)
    image = dice.choice((photographs()[0], damaged(seed), b""))
    element = struct.pack("<I", dice.choice((len(image), len(image) + 1, 0, 2**32 - 1, 2**31))) + image
    scale = dice.choice(
        (
            struct.pack("<3f", 1, 1, 1),
            struct.pack("<3f", float("nan"), -1, 1e38),
            b"",
            dice.randbytes(11),
            dice.randbytes(12),
        )
    )
    tensors = []
    for name, datatype, shape, data in (("input", "BYTES", [1], element), ("scale", "FP32", [1, 3], scale)):
        size = dice.choice((len(data), len(data), len(data), len(data) + 1, 0, -1, 2**40, 1.0, True, None))
        shape = dice.choice(
            (shape, shape, shape, [0], [2], [64], [2**62], [2**31, 2**31], [-1], [], [1] * 40, [1, 3, 0])
        )
        tensors.append({"name": name, "datatype": datatype, "shape": shape, "parameters": {"binary_data_size": size}})
    head = json.dumps(
        {
            "inputs": tensors,
            "parameters": dice.choice(
                ({}, {"binary_data_output": True}, {"timeout": -1}, {"priority": 9}, {"sequence_id": 1})
            ),
        }
    ).encode()
    length = dice.choice((len(head), len(head), len(head), len(head) - 1, len(head) + 5, 0, -1, "x", 10**25, "", "٣"))
    return post("binary", _INFER, head + element + scale, ("Inference-Header-Content-Length", str(length)))


binary = st.builds(_binary, seeds)


def _opener(seed: int) -> Attack:
    """Event streams whose reader goes away, or never was there."""
    dice = random.Random(seed)
    body = dice.choice((photographs()[0], photographs()[0], damaged(seed)))
    accept = dice.choice(
        (
            "text/event-stream",
            "text/event-stream;q=1, */*;q=0",
            "text/event-stream;q=x",
            "text/event-stream" + ", a/b" * 500,
        )
    )
    said = request("POST /predict HTTP/1.1", body, (("Accept", accept), ("Content-Type", "image/jpeg")))
    return Attack("stream", (said,), dice.choice(("leave", "reset", "glance", "glance", "finish", "answer")))


openers = st.builds(_opener, seeds)
