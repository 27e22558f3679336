"""What Prometheus is fed is valid protobuf in valid snappy, and holds the samples."""

from __future__ import annotations

import struct
from collections.abc import Iterator

import numpy as np

from bench.fleet import Fleet, full_labels
from bench.peer import snappy_literal, write_request


def varint(data: bytes, position: int) -> tuple[int, int]:
    number = shift = 0
    while True:
        byte = data[position]
        number |= (byte & 0x7F) << shift
        position, shift = position + 1, shift + 7
        if byte < 0x80:
            return number, position


def fields(data: bytes) -> Iterator[tuple[int, bytes | int]]:
    """Number and content of each protobuf field."""
    position = 0
    while position < len(data):
        key, position = varint(data, position)
        if key & 7 == 0:
            number, position = varint(data, position)
            yield key >> 3, number
            continue
        if key & 7 == 1:
            length = 8
        else:
            assert key & 7 == 2
            length, position = varint(data, position)
        yield key >> 3, data[position : position + length]
        position += length


def content(field: bytes | int) -> bytes:
    assert isinstance(field, bytes)
    return field


def test_an_hour_reads_back_as_it_was() -> None:
    day = next(Fleet(1_767_225_600_000, 1, 60_000).stretches())
    messages = [content(series) for number, series in fields(write_request(day, 3)) if number == 1]
    keys = [(stretch, key, row) for stretch in day for key, row in zip(stretch.keys, stretch.values, strict=True)]
    assert len(messages) == len(keys) == 200
    for message, (stretch, key, row) in zip(messages, keys, strict=True):
        parts = list(fields(message))
        labels = [[content(text).decode() for _, text in fields(content(part))] for kind, part in parts if kind == 1]
        samples = [dict(fields(content(part))) for kind, part in parts if kind == 2]
        assert [tuple(pair) for pair in labels] == list(full_labels(key))
        assert [sample[2] for sample in samples] == stretch.times[180:240].tolist()
        values = [struct.unpack("<d", content(sample[1]))[0] for sample in samples]
        np.testing.assert_array_equal(values, row[180:240])


def test_snappy_tells_the_length_and_one_literal_of_it() -> None:
    body = bytes(range(256)) * 300
    packed = snappy_literal(body)
    length, position = varint(packed, 0)
    assert length == len(body)
    assert packed[position] == 63 << 2  # a literal whose length less one follows in four bytes
    assert int.from_bytes(packed[position + 1 : position + 5], "little") == len(body) - 1
    assert packed[position + 5 :] == body
