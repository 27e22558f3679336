"""What runs beside the model, as the settings name it: what is asked of it, read from it, and done when it is down.

The page may name targets as well; :data:`PAGE_KEYS` is what they may hold there. Files, programs and remedies come from
the settings file alone.
"""

from __future__ import annotations

import re
from pathlib import Path
from typing import Annotated, Any, Literal, Self

from pydantic import AfterValidator, BeforeValidator, Field, SecretStr, model_validator

from config_section import Seconds, Section

MiB = 1024 * 1024
_NAME = r"^[A-Za-z0-9_][A-Za-z0-9_.-]{0,62}$"
_LABEL = r"^[a-zA-Z_][a-zA-Z0-9_]*$"
#: What a target that was added in the page may be made of.
PAGE_KEYS = ("name", "note", "http", "tcp", "dns", "ping", "push", "scrape")


def _url(value: str) -> str:
    if not re.match(r"https?://[^\s/?#]+\S*$", value):
        raise ValueError("an http:// or https:// URL")
    return value


def _several(value: object) -> object:
    """One may stand where several may."""
    return [value] if isinstance(value, (dict, str, int)) else value


Url = Annotated[str, AfterValidator(_url)]
Headers = dict[str, str]


class _Probe(Section):
    """Asked every ``interval``; down after ``fails`` answers in a row that were none, up after ``successes``."""

    interval: Seconds = Field(30.0, ge=5, le=86_400, description="Time between two looks; 5 s at least.")
    timeout: Seconds = Field(5.0, ge=0.1, le=120, description="Time that one look may take; never more than interval.")
    fails: int = Field(2, ge=1, le=100, description="Down after so many failures in a row.")
    successes: int = Field(1, ge=1, le=100, description="Up after so many successes in a row.")

    @model_validator(mode="after")
    def _in_time(self) -> Self:
        if self.timeout > self.interval:
            raise ValueError("timeout no longer than interval")
        return self


class JsonCondition(Section):
    path: str = Field(..., description="A JSONPath (RFC 9535), e.g. $.checks.model.")
    equals: Any = Field(None, description="The value that must be found there. None: anything but null and false.")
    matches: str | None = Field(None, description="An RE2 expression that the value must match as a whole.")


class HttpProbe(_Probe):
    url: Url = Field(..., description="What is asked.")
    method: Literal["GET", "HEAD", "POST", "PUT", "OPTIONS"] = Field("GET", description="How.")
    headers: Headers = Field({}, description="Headers to send.")
    body: str | None = Field(None, description="Body to send.")
    username: str | None = Field(None, description="User of basic authentication.")
    password: SecretStr | None = Field(None, description="Password of basic authentication.")
    bearer_token: SecretStr | None = Field(None, description="Token to send as Authorization: Bearer.")
    status: Annotated[list[int | str], BeforeValidator(_several)] = Field(
        ["2xx"], description="Statuses that are well: numbers, or classes such as 2xx."
    )
    contains: str | None = Field(None, description="Text that the body must hold.")
    excludes: str | None = Field(None, description="Text that the body must not hold.")
    json_path: JsonCondition | None = Field(None, alias="json", description="What the body must hold, being JSON.")
    latency: Seconds | None = Field(None, gt=0, description="The answer must be there within this time.")
    redirects: int = Field(5, ge=0, le=20, description="Redirects that are followed.")
    verify: bool = Field(True, description="Whether the certificate must be valid.")
    expiry: Seconds = Field(14 * 86_400.0, ge=0, description="Warn so long before the certificate expires.")

    @model_validator(mode="after")
    def _known_statuses(self) -> Self:
        for one in self.status:
            if re.fullmatch(r"[1-5]\d\d|[1-5]xx", str(one)) is None:
                raise ValueError("statuses such as 200, 404 or 2xx")
        return self


class TcpProbe(_Probe):
    host: str = Field(..., min_length=1, max_length=253, description="Name or address.")
    port: int = Field(..., ge=1, le=65_535, description="Port.")
    tls: bool = Field(False, description="Whether to speak TLS.")
    verify: bool = Field(True, description="Whether the certificate must be valid.")
    expiry: Seconds = Field(14 * 86_400.0, ge=0, description="Warn so long before the certificate expires.")


class DnsProbe(_Probe):
    name: str = Field(..., min_length=1, max_length=253, description="The name to look up.")
    type: Literal["A", "AAAA", "CNAME", "MX", "NS", "SRV", "TXT"] = Field("A", description="The record's type.")
    server: str | None = Field(None, description="Name server to ask (address[:port]). None: the machine's own.")
    expect: Annotated[list[str], BeforeValidator(_several)] = Field(
        [], description="Values of which one at least must be in the answer."
    )


class PingProbe(_Probe):
    host: str = Field(..., min_length=1, max_length=253, description="Name or address.")


class ProcessProbe(_Probe):
    name: str | None = Field(None, description="Name of the program, as ps shows it.")
    command: str | None = Field(None, description="RE2 expression to find in the command line.")
    pid_file: Path | None = Field(None, description="File that holds the process id.")
    count: int = Field(1, ge=1, description="How many there must be at least.")

    @model_validator(mode="after")
    def _told(self) -> Self:
        if self.name is None and self.command is None and self.pid_file is None:
            raise ValueError("told by name, command or pid_file")
        return self


class SystemdProbe(_Probe):
    unit: str = Field(..., pattern=r"^[A-Za-z0-9:_.\\@-]+$", description="The unit, e.g. comfyui.service.")


class DockerProbe(_Probe):
    container: str = Field(..., pattern=r"^[a-zA-Z0-9][a-zA-Z0-9_.-]*$", description="Name or id of the container.")
    socket: Path = Field(Path("/var/run/docker.sock"), description="Docker's socket.")


class PushTarget(Section):
    every: Seconds = Field(..., ge=5, le=366 * 86_400, description="A sign of life is expected so often …")
    grace: Seconds = Field(60.0, ge=0, le=86_400 * 7, description="… and missed after so much more.")


class Relabel(Section):
    """One step of relabelling, as Prometheus' ``relabel_config`` has it."""

    source_labels: list[str] = Field([], description="Labels whose values are joined …")
    separator: str = Field(";", description="… by this.")
    regex: str = Field("(.*)", description="RE2, anchored at both ends.")
    target_label: str | None = Field(None, description="Label that is written.")
    replacement: str = Field("$1", description="What is written.")
    modulus: int | None = Field(None, ge=1, description="For hashmod.")
    action: Literal[
        "replace", "keep", "drop", "keepequal", "dropequal", "hashmod", "labelmap", "labeldrop", "labelkeep",
        "lowercase", "uppercase",
    ] = Field("replace", description="What is done.")  # fmt: skip


class ScrapeTarget(Section):
    url: Url = Field(..., description="Where its metrics are, in Prometheus' or OpenMetrics' text format.")
    interval: Seconds = Field(15.0, ge=1, le=3600, description="Time between two scrapes.")
    timeout: Seconds | None = Field(
        None, ge=0.1, le=120, description="Time that one may take. None: 10 s, or the interval if that is shorter."
    )
    headers: Headers = Field({}, description="Headers to send.")
    username: str | None = Field(None, description="User of basic authentication.")
    password: SecretStr | None = Field(None, description="Password of basic authentication.")
    bearer_token: SecretStr | None = Field(None, description="Token to send as Authorization: Bearer.")
    verify: bool = Field(True, description="Whether the certificate must be valid.")
    profile: Literal["vllm", "triton", "dcgm", "node"] | None = Field(
        None, description="What it is: brings panels and rules for its metrics."
    )
    labels: dict[Annotated[str, Field(pattern=_LABEL)], str] = Field({}, description="Labels for all of its series.")
    honor_labels: bool = Field(False, description="Keep its own job and instance labels where it has such.")
    honor_timestamps: bool = Field(False, description="Take its own timestamps. They are ignored otherwise.")
    relabel: list[Relabel] = Field([], description="metric_relabel_configs: which series are kept, and how labelled.")
    max_series: int = Field(5_000, ge=1, le=200_000, description="A scrape with more series fails as a whole.")
    max_bytes: int = Field(10 * MiB, ge=1024, le=256 * MiB, description="An answer that is larger fails as a whole.")

    @model_validator(mode="after")
    def _in_time(self) -> Self:
        if self.timeout is not None and self.timeout > self.interval:
            raise ValueError("timeout no longer than interval")
        return self

    @property
    def timeout_seconds(self) -> float:
        """Seconds that one scrape may take."""
        return min(10.0, self.interval) if self.timeout is None else self.timeout


class LogMetric(Section):
    """A number in a line (a group of the pattern's ``regex``) that becomes a metric; without ``value``, lines count."""

    name: str = Field(..., pattern=r"^[a-zA-Z_:][a-zA-Z0-9_:]*$", description="The metric's name.")
    type: Literal["counter", "gauge", "histogram"] = Field("counter", description="Summed up, the last, or counted.")
    value: str | None = Field(None, description="The group that holds the number. None: 1 for each line.")
    scale: float = Field(1.0, description="What the number is multiplied by, e.g. 0.001 for milliseconds.")
    labels: dict[Annotated[str, Field(pattern=_LABEL)], str] = Field(
        {}, description="Label → the group that holds its value."
    )
    buckets: list[float] = Field([], description="Upper bounds of a histogram. None given: those of HTTP durations.")


class LogPattern(Section):
    name: str | None = Field(None, min_length=1, max_length=80, description="What it is called. None: what it matches.")
    match: str | None = Field(None, min_length=1, max_length=500, description="Text that a line holds.")
    regex: str | None = Field(None, min_length=1, max_length=2000, description="RE2 expression to find in a line.")
    ignore_case: bool = Field(False, description="Whether capitals do not matter.")
    unless: str | None = Field(None, max_length=2000, description="RE2 expression: lines with it do not count.")
    level: Annotated[Literal[0, 1, 2, 3], Field(description="1 log, 2 chat, 3 wake somebody; 0: only its metric.")] = 2
    count: int = Field(1, ge=1, le=100_000, description="So many lines …")
    within: Seconds = Field(300.0, ge=1, le=86_400, description="… within this time raise it.")
    quiet: Seconds = Field(300.0, ge=1, le=86_400, description="It is over when no line has come for so long.")
    advice: str | None = Field(None, max_length=1000, description="What to do about it.")
    metric: LogMetric | None = Field(None, description="A metric made of the lines.")

    @model_validator(mode="after")
    def _one(self) -> Self:
        if (self.match is None) == (self.regex is None):
            raise ValueError("told by either match or regex")
        return self

    @property
    def title(self) -> str:
        """What it is called."""
        return self.name or self.match or self.regex or ""


class LogTarget(Section):
    path: str | None = Field(None, min_length=1, description="The file; * and ? stand for more than one.")
    journal: str | None = Field(None, pattern=r"^[A-Za-z0-9:_.\\@-]+$", description="A systemd unit's journal.")
    container: str | None = Field(None, pattern=r"^[a-zA-Z0-9][a-zA-Z0-9_.-]*$", description="A container's output.")
    socket: Path = Field(Path("/var/run/docker.sock"), description="Docker's socket.")
    profile: Literal["comfyui", "vllm", "triton", "nginx", "systemd"] | None = Field(
        None, description="What writes it: brings patterns, and how its entries begin."
    )
    patterns: list[LogPattern] = Field([], description="What to look for; before those of the profile.")
    multiline: str | None = Field(None, max_length=500, description="RE2: an entry begins with a line that matches.")
    begin: Literal["end", "start"] = Field("end", description="Where to begin in a file that was never seen before.")
    max_line_bytes: int = Field(64 * 1024, ge=256, le=16 * MiB, description="Bytes of a line that are looked at.")

    @model_validator(mode="after")
    def _one(self) -> Self:
        if sum(one is not None for one in (self.path, self.journal, self.container)) != 1:
            raise ValueError("told by one of path, journal and container")
        return self


class RemedyCall(Section):
    url: Url = Field(..., description="What is called.")
    method: Literal["GET", "POST", "PUT", "DELETE"] = Field("POST", description="How.")
    headers: Headers = Field({}, description="Headers to send.")
    body: str | None = Field(None, description="Body to send.")


class Remedy(Section):
    """One rung of a ladder: what is done, and when."""

    call: RemedyCall | None = Field(None, description="Call a URL.")
    command: list[str] | None = Field(None, min_length=1, description="Run a program: a list, no shell.")
    systemd: str | None = Field(None, pattern=r"^[A-Za-z0-9:_.\\@-]+$", description="Restart a systemd unit.")
    container: str | None = Field(None, pattern=r"^[a-zA-Z0-9][a-zA-Z0-9_.-]*$", description="Restart a container.")
    socket: Path = Field(Path("/var/run/docker.sock"), description="Docker's socket.")
    standby: Url | None = Field(None, description="Send callers of /go/NAME/… to this URL until it is back.")
    after_fails: int | None = Field(None, ge=1, le=10_000, description="When a probe has failed so often in a row.")
    pattern: str | None = Field(None, description="When this pattern of its log is raised.")
    cool_down: Seconds = Field(60.0, ge=0, le=86_400, description="Wait after it, before the next rung or this again.")
    limit_per_hour: int = Field(2, ge=0, le=60, description="No more often than this in an hour.")
    timeout: Seconds = Field(60.0, ge=1, le=3600, description="Time that it may take.")
    help_within: Seconds = Field(120.0, ge=1, le=86_400, description="It has helped if all is well within this time.")
    dry_run: bool = Field(False, description="Only note what would have been done.")

    @model_validator(mode="after")
    def _one(self) -> Self:
        if sum(one is not None for one in (self.call, self.command, self.systemd, self.container, self.standby)) != 1:
            raise ValueError("one of call, command, systemd, container and standby")
        if self.after_fails is None and self.pattern is None:
            return self.model_copy(update={"after_fails": 3})
        return self

    @property
    def kind(self) -> Literal["call", "command", "systemd", "container", "standby"]:
        """What it does."""
        for kind in ("call", "command", "systemd", "container"):
            if getattr(self, kind) is not None:
                return kind
        return "standby"


class TargetSettings(Section):
    name: str = Field(..., pattern=_NAME, description="What it is called; the label target of its series.")
    note: str | None = Field(None, max_length=500, description="What people should know of it.")
    http: HttpProbe | None = Field(None, description="Ask a URL.")
    tcp: TcpProbe | None = Field(None, description="Connect to a port.")
    dns: DnsProbe | None = Field(None, description="Look up a name.")
    ping: PingProbe | None = Field(None, description="Ping a host, where that is allowed.")
    process: ProcessProbe | None = Field(None, description="Look for a process.")
    systemd: SystemdProbe | None = Field(None, description="Ask systemd for a unit.")
    docker: DockerProbe | None = Field(None, description="Ask Docker for a container.")
    push: PushTarget | None = Field(None, description="Expect signs of life, as of a cron job.")
    scrape: Annotated[list[ScrapeTarget], BeforeValidator(_several)] = Field([], description="Take over its metrics.")
    log: Annotated[list[LogTarget], BeforeValidator(_several)] = Field([], description="Follow its logs.")
    remedies: list[Remedy] = Field([], description="What is done while it is down, one rung after the other.")

    @model_validator(mode="after")
    def _something(self) -> Self:
        kinds = (self.http, self.tcp, self.dns, self.ping, self.process, self.systemd, self.docker, self.push)
        if not any((*kinds, self.scrape, self.log)):
            raise ValueError(
                "something to look at: http, tcp, dns, ping, process, systemd, docker, push, scrape or log"
            )
        return self
