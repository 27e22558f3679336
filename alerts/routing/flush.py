"""What a group's receivers hear now, and what the group knows afterwards. Pure: decides, writes nothing."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import NamedTuple

from alerts.delivery.message import MessageKind
from alerts.routing.group import Group, Told, needs_notice
from alerts.routing.scene import Reason, Scene
from alerts.routing.tree import Receiver
from alerts.state import Alert


class Telling(NamedTuple):
    """One notice to one channel."""

    kind: MessageKind
    receiver: str
    channel: str
    alerts: tuple[Alert, ...]


class Outcome(NamedTuple):
    """What is told, and the group as it is once that is written."""

    group: Group
    tellings: Sequence[Telling]


@dataclass(frozen=True, slots=True)
class _View:
    """A group's members as they stand: those that may be told of, and those that are kept back."""

    firing: Mapping[str, Alert]
    resolved: Mapping[str, Alert]
    muted: Mapping[str, Reason]
    states: Mapping[str, Alert]


def flush(group: Group, scene: Scene) -> Outcome:
    """Tell what is due of a group at its time, and let go of what has resolved.

    An alert that is acknowledged is repeated to nobody and told to nobody new; that it resolves is told to those who
    know it. Whoever was told that an alert fires and is no receiver any more, because somebody else is on call now or
    it had only been escalated to them, still hears of its end.
    """
    route = group.route
    late_ms = scene.now_ms - group.next_ms
    # On its grid, so that intervals neither drift nor depend on when in the second a tick came.
    moment_ms = group.next_ms if 0 <= late_ms < route.group_interval_ms else scene.now_ms
    view = _look(group, scene)
    receiver = scene.routing.receiver(route.receiver, scene.now_ms)
    tellings: list[Telling] = []
    told = dict(group.told)
    for channel in receiver.channels:
        _tell(group, view, scene, receiver, channel, moment_ms, told, tellings)
    for channel in [channel for channel in told if channel not in receiver.channels]:
        _tell_end(view, receiver, channel, moment_ms, told, tellings)
    after = replace(group, flushed_ms=moment_ms, next_ms=moment_ms + route.group_interval_ms, told=told)
    return Outcome(_let_go(_watch(after, view, moment_ms), view), tellings)


def escalate(group: Group, scene: Scene) -> Outcome:
    """Tell the next receiver of the escalation of what fires, was told and is acknowledged by nobody."""
    view = _look(group, scene)
    open_alerts = [alert for alert in _sorted(view.firing.values()) if _is_open(group, alert)]
    if not open_alerts:
        return Outcome(replace(group, since_ms=None, climbed=0), ())
    step = group.route.escalation[group.climbed]
    receiver = scene.routing.receiver(step.receiver, scene.now_ms)
    told = dict(group.told)
    tellings = []
    for channel in receiver.channels:
        tellings.append(Telling("escalation", receiver.name, channel, tuple(open_alerts)))
        known = told.get(channel)
        firing = frozenset(alert.fingerprint for alert in open_alerts) | (known.firing if known else frozenset())
        told[channel] = Told(firing, known.resolved if known else frozenset(), scene.now_ms)
    return Outcome(replace(group, told=told, climbed=group.climbed + 1), tellings)


def acknowledge(group: Group, alerts: Sequence[Alert], scene: Scene) -> Outcome:
    """Tell those who had been told that somebody has taken ``alerts`` on."""
    acks = {**group.acks, **{alert.fingerprint: alert.ack_ms or 0 for alert in alerts}}
    heard = [alert for alert in _sorted(alerts) if scene.reason(group.route, alert) is None]
    receiver = scene.routing.receiver(group.route.receiver, scene.now_ms)
    tellings = []
    for channel, told in group.told.items():
        known = tuple(alert for alert in heard if alert.fingerprint in told.firing)
        if known:
            tellings.append(Telling("acknowledged", receiver.name, channel, known))
    after = replace(group, acks=acks)
    return Outcome(_watch(after, _look(after, scene), scene.now_ms), tellings)


def report(group: Group, alert: Alert, scene: Scene) -> Outcome:
    """Tell those who know that ``alert`` fires what was done about it, or whether that has helped."""
    if scene.reason(group.route, alert) is not None:
        return Outcome(group, ())
    receiver = scene.routing.receiver(group.route.receiver, scene.now_ms)
    channels = [channel for channel, told in group.told.items() if alert.fingerprint in told.firing]
    return Outcome(group, [Telling("action", receiver.name, channel, (alert,)) for channel in channels])


def _look(group: Group, scene: Scene) -> _View:
    states = {fingerprint: scene.state_of(fingerprint, known) for fingerprint, known in group.members.items()}
    muted = {}
    for fingerprint, alert in states.items():
        reason = scene.reason(group.route, alert)
        if reason is not None:
            muted[fingerprint] = reason
    heard = {fingerprint: alert for fingerprint, alert in states.items() if fingerprint not in muted}
    return _View(
        firing={fingerprint: alert for fingerprint, alert in heard.items() if alert.is_firing},
        resolved={fingerprint: alert for fingerprint, alert in heard.items() if not alert.is_firing},
        muted=muted,
        states=states,
    )


def _tell(
    group: Group,
    view: _View,
    scene: Scene,
    receiver: Receiver,
    channel: str,
    moment_ms: int,
    told: dict[str, Told],
    tellings: list[Telling],
) -> None:
    """Tell one of the receiver's channels what it is to hear, if anything."""
    known = told.get(channel)
    firing = {
        fingerprint: alert
        for fingerprint, alert in view.firing.items()
        if alert.state != "acknowledged" or (known is not None and fingerprint in known.firing)
    }
    if not firing and not view.resolved:
        return  # all are kept back: as if there were none
    send_resolved = scene.routing.send_resolved.get(channel, True)
    is_repeat_due = (
        known is not None
        and min(known.time_ms, moment_ms) < moment_ms - group.route.repeat_interval_ms
        and any(alert.state != "acknowledged" for alert in firing.values())
    )
    needed = needs_notice(
        known, firing.keys(), view.resolved.keys(), send_resolved=send_resolved, is_repeat_due=is_repeat_due
    )
    if not needed:
        return
    shown = [*_sorted(firing.values()), *(_sorted(view.resolved.values()) if send_resolved else ())]
    if shown:
        tellings.append(Telling("alerts", receiver.name, channel, tuple(shown)))
    told[channel] = Told(frozenset(firing), frozenset(view.resolved), moment_ms)


def _tell_end(
    view: _View,
    receiver: Receiver,
    channel: str,
    moment_ms: int,
    told: dict[str, Told],
    tellings: list[Telling],
) -> None:
    """Tell a channel that is no receiver's of this group (any more) that what it was told of has ended."""
    known = told[channel]
    ended = [alert for fingerprint, alert in view.resolved.items() if fingerprint in known.firing]
    if ended:
        tellings.append(Telling("alerts", receiver.name, channel, tuple(_sorted(ended))))
        told[channel] = Told(known.firing - view.resolved.keys(), frozenset(view.resolved), moment_ms)
    if not told[channel].firing:
        del told[channel]


def _watch(group: Group, view: _View, moment_ms: int) -> Group:
    """Start to wait for an acknowledgement, or stop."""
    waits = any(_is_open(group, alert) for alert in view.firing.values())
    if not waits:
        return group if group.since_ms is None else replace(group, since_ms=None, climbed=0)
    return group if group.since_ms is not None else replace(group, since_ms=moment_ms)


def _is_open(group: Group, alert: Alert) -> bool:
    return alert.state != "acknowledged" and group.knows(alert.fingerprint)


def _let_go(group: Group, view: _View) -> Group:
    """The group without what has resolved.

    What quiet hours keep back stays if its beginning was told, so that its end is told later. What resolves while it is
    muted for another reason is struck from what was told: when it fires anew, that is new.
    """
    kept: dict[str, Alert] = {}
    for fingerprint, alert in view.states.items():
        reason = view.muted.get(fingerprint)
        waits = reason is not None and reason.kind == "quiet_hours" and group.knows(fingerprint)
        if alert.is_firing or waits:
            kept[fingerprint] = alert
    gone = view.states.keys() - kept.keys()
    if not gone:
        return replace(group, members=kept)
    unseen = gone & view.muted.keys()
    told = {
        channel: replace(known, firing=known.firing - unseen) if known.firing & unseen else known
        for channel, known in group.told.items()
    }
    acks = {fingerprint: time_ms for fingerprint, time_ms in group.acks.items() if fingerprint in kept}
    return replace(group, members=kept, told=told, acks=acks)


def _sorted(alerts: Iterable[Alert]) -> list[Alert]:
    """The most urgent first, then the oldest."""
    return sorted(alerts, key=lambda alert: (-alert.level, alert.active_ms, alert.fingerprint))
