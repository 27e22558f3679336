"""All series of the database, in memory: their labels by id, their ids by name, and the answers to recent matchers."""

from __future__ import annotations

import threading
from collections import OrderedDict, defaultdict
from collections.abc import Collection, Iterable, Sequence

import orjson
from sqlalchemy import Connection

from collectors.sample import METRIC_NAME, Labels, Matcher
from storage.matcher import compile_matcher, matches_all

Key = tuple[str, Labels]

#: Answers remembered: as many as rules and panels ask over and over.
_REMEMBERED = 1024


def pack_labels(labels: Labels) -> str:
    """A label set as the file keeps it: a JSON list of sorted pairs."""
    return orjson.dumps(labels).decode()


def unpack_labels(text: str) -> Labels:
    """The inverse of :func:`pack_labels`."""
    return tuple((name, value) for name, value in orjson.loads(text))


class SeriesIndex:
    """Safe to ask from any thread; series are added and removed by the writer, one at a time."""

    def __init__(self) -> None:
        self._ids: dict[Key, int] = {}
        self._labels: dict[int, Labels] = {}  # with __name__, as results carry them
        self._by_name: defaultdict[str, list[int]] = defaultdict(list)
        self._answers: OrderedDict[tuple[Matcher, ...], list[int]] = OrderedDict()
        self._lock = threading.Lock()

    def __len__(self) -> int:
        return len(self._ids)

    def load(self, connection: Connection) -> None:
        """Read all series of the file."""
        rows = connection.exec_driver_sql("SELECT id, name, labels FROM series ORDER BY id")
        self.add({(name, unpack_labels(labels)): id for id, name, labels in rows})

    def id_of(self, key: Key) -> int | None:
        """The id of a series, given its name and its labels without the name."""
        return self._ids.get(key)

    def labels_of(self, id: int) -> Labels | None:
        """The labels of a series, the name among them; None when retention has just removed it."""
        return self._labels.get(id)

    def of_metric(self, name: str) -> list[Labels]:
        """The labels of all series of a metric."""
        with self._lock:
            return [self._labels[id] for id in self._by_name.get(name, ())]

    def add(self, fresh: dict[Key, int]) -> None:
        """Make series known, once the file has them."""
        with self._lock:
            for (name, labels), id in fresh.items():
                if id in self._labels:
                    continue
                self._ids[name, labels] = id
                self._labels[id] = tuple(sorted(((METRIC_NAME, name), *labels)))
                self._by_name[name].append(id)
            self._answers.clear()

    def remove(self, ids: Collection[int]) -> None:
        """Forget series that have left the file."""
        with self._lock:
            gone = set(ids)
            self._ids = {key: id for key, id in self._ids.items() if id not in gone}
            self._labels = {id: labels for id, labels in self._labels.items() if id not in gone}
            self._by_name = defaultdict(list)
            for (name, _), id in self._ids.items():
                self._by_name[name].append(id)
            self._answers.clear()

    def match(self, matchers: Iterable[Matcher]) -> list[int]:
        """The ids of the series that every matcher holds for, ascending; the list is shared and must not be changed."""
        question = tuple(matchers)
        with self._lock:
            answer = self._answers.get(question)
            if answer is not None:
                self._answers.move_to_end(question)
                return answer
            answer = self._search(question)
            self._answers[question] = answer
            if len(self._answers) > _REMEMBERED:
                self._answers.popitem(last=False)
            return answer

    def _search(self, matchers: Sequence[Matcher]) -> list[int]:
        names = [matcher.value for matcher in matchers if matcher.name == METRIC_NAME and matcher.op == "="]
        candidates = self._by_name.get(names[0], []) if names else self._labels
        tests = [(matcher.name, compile_matcher(matcher)) for matcher in matchers]
        return sorted(id for id in candidates if matches_all(self._labels[id], tests))


def insert_series(connection: Connection, key: Key) -> int:
    """Add a series to the file, unless another process has, and return its id."""
    return int(connection.exec_driver_sql(_INSERT_SERIES, (key[0], pack_labels(key[1]))).scalar_one())


#: With an id that no series has had, see :data:`storage.fact.Fact`; SQLite would give the last one's again.
_INSERT_SERIES = (
    "INSERT INTO series (id, name, labels) VALUES (1 + max("
    "coalesce((SELECT max(id) FROM series), 0),"
    " coalesce((SELECT CAST(value AS INTEGER) FROM facts WHERE name = 'deleted_series'), 0)), ?, ?)"
    " ON CONFLICT (name, labels) DO UPDATE SET name = name RETURNING id"
)
