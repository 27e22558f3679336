"""Second names under which metrics are kept as well (``metrics.aliases`` in the settings).

An alias copies every series of the metric it names: a counter or gauge as one series, a histogram as its ``_bucket``,
``_sum`` and ``_count``. Labels are renamed first, then their values; labels that are not named are kept. A label that
is renamed to the empty name is dropped. Series that become the same by this are summed.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping

from collectors.catalogue import HISTOGRAM_SUFFIXES
from collectors.sample import Labels, Sample, Tick
from config import AliasSettings

_REST = "*"
_SUFFIXES = ("", *HISTOGRAM_SUFFIXES)


def with_aliases(ticks: Iterable[Tick], aliases: Mapping[str, AliasSettings]) -> list[Tick]:
    """The ticks, each with the aliases of its own samples appended. A tick that holds an alias keeps it."""
    if not aliases:
        return list(ticks)
    sources: dict[str, list[tuple[str, AliasSettings]]] = {}
    for alias, setting in aliases.items():
        for suffix in _SUFFIXES:
            sources.setdefault(setting.of + suffix, []).append((alias + suffix, setting))
    return [_extended(tick, sources) for tick in ticks]


def _extended(tick: Tick, sources: Mapping[str, list[tuple[str, AliasSettings]]]) -> Tick:
    sums: dict[tuple[str, Labels], float] = {}
    for name, labels, value in tick.samples:
        for alias, setting in sources.get(name, ()):
            key = alias, _relabelled(labels, setting)
            sums[key] = sums.get(key, 0.0) + value
    if not sums:
        return tick
    present = {sample.name for sample in tick.samples}
    extra = tuple(Sample(name, labels, value) for (name, labels), value in sums.items() if name not in present)
    return tick._replace(samples=tick.samples + extra)


def _relabelled(labels: Labels, setting: AliasSettings) -> Labels:
    renamed = []
    for old, value in labels:
        name = setting.rename.get(old, old)
        if not name:
            continue
        values = setting.values.get(name, {})
        renamed.append((name, values.get(value, values.get(_REST, value))))
    return tuple(sorted(renamed))
