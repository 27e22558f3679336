"""Every setting of Wakeless: its name, type, default and unit, and the one way to read them.

A value comes from ``wakeless.yaml`` and is overridden by ``WAKELESS_…`` in the environment, ``__`` between levels.
A mistake anywhere raises :class:`SettingsError` with one line that names the key, the value and what is allowed.
"""

from __future__ import annotations

import json
import os
import re
from collections.abc import Mapping
from functools import lru_cache
from ipaddress import ip_address
from pathlib import Path
from typing import Annotated, Any, Literal, get_args, get_origin

import yaml
from pydantic import AfterValidator, BaseModel, BeforeValidator, Field, SecretStr, ValidationError

from config_section import Section
from config_target import TargetSettings

#: The same as in pyproject.toml, which a test holds.
VERSION = "0.5.0"

ENV_PREFIX = "WAKELESS_"
CONFIG_VARIABLE = "WAKELESS_CONFIG"
DEFAULT_FILE = Path("wakeless.yaml")
#: What stands in for a secret wherever a value would be repeated to a person.
HIDDEN = "(hidden)"

#: Keys whose values are secrets.
SECRETS = ("admin_password", "alerts.channels", "supervisor.channels", "supervisor.heartbeat_url")
#: … wherever they stand.
SECRET_WORDS = ("password", "bearer_token", "headers", "body")

GB = 1_000_000_000
MiB = 1024 * 1024
GiB = 1024 * MiB
#: Less history than this is not worth a limit.
LEAST_BYTES = 64 * MiB


class SettingsError(Exception):
    """A setting is wrong; the message is one line for a person."""


def _split(value: object) -> object:
    """Lists may be written comma-separated, which is how the environment has to."""
    return [part.strip() for part in value.split(",") if part.strip()] if isinstance(value, str) else value


def _empty(value: object) -> object:
    """A section whose keys are all commented out reads as null in YAML; it means "the defaults"."""
    return {} if value is None else value


def _password(value: object) -> object:
    """An empty variable in the environment means that there is none."""
    if isinstance(value, str) and value and not 8 <= len(value) <= 1024:
        raise ValueError("8 to 1024 characters long")
    return None if value == "" else value


def _web_address(value: object) -> object:
    """An empty variable in the environment means that there is none."""
    if isinstance(value, str) and value and not re.match(r"https?://[^\s/?#]+\S*$", value):
        raise ValueError("an http:// or https:// URL")
    return None if value == "" else value


def _worth_a_limit(value: int) -> int:
    if value and value < LEAST_BYTES:
        raise ValueError(f"0, or {LEAST_BYTES} at least")
    return value


def _json(value: str | None) -> str | None:
    """Text of a setting that is sent as it is must be what it claims to be."""
    if value is not None:
        try:
            json.loads(value, parse_constant=_no_json)
        except ValueError as error:
            raise ValueError(f"JSON text ({error})") from None
    return value


def _no_json(word: str) -> None:
    raise ValueError(f"{word} is none")


def _whole_number(value: object) -> object:
    """What comes from the environment is text."""
    return int(value) if isinstance(value, str) and value.isdecimal() else value


def _off(value: object) -> object:
    """YAML reads a bare ``off`` as false."""
    return "off" if value is False else value


def _words(value: object) -> object:
    """URLs may hold commas, so several in one variable are separated by spaces."""
    return value.split() if isinstance(value, str) else value


def _tree(value: object) -> object:
    """A list of sections; in the environment it is written as JSON or YAML."""
    if not isinstance(value, str):
        return [] if value is None else value
    try:
        return yaml.safe_load(value) or []
    except yaml.YAMLError:
        raise ValueError("a list, in the environment written as JSON") from None


def _unique(targets: list[TargetSettings]) -> list[TargetSettings]:
    names = [target.name for target in targets]
    for name in names:
        if names.count(name) > 1:
            raise ValueError(f"a list in which no name is there twice, as {name} is")
    return targets


def _moment(value: object) -> object:
    """YAML 1.1 reads a bare 8:00 as the number 480, and off as false."""
    if value is False:
        return "off"
    return f"{value // 60:02}:{value % 60:02}" if isinstance(value, int) and 0 <= value < 1440 else value


def _places(value: list[str]) -> list[str]:
    """One replica on each device; the CPU's may be told apart by numbers."""
    for place in value:
        if re.fullmatch(r"cpu(:\d{1,3})?|cuda:\d{1,3}", place) is None:
            raise ValueError(f"{place!r} is no device: name them cuda:0, cuda:1, … or cpu:0, cpu:1, …")
        if value.count(place) > 1:
            raise ValueError(f"{place} is there twice; there is one replica on each")
    return value


Strings = Annotated[list[str], BeforeValidator(_split)]
Paths = Annotated[list[Path], BeforeValidator(_split)]


class ServerSettings(Section):
    host: str = Field("127.0.0.1", description="Address to listen on. Anything but loopback needs an admin password.")
    port: int = Field(8000, ge=0, le=65535, description="TCP port; 0 takes a free one.")
    threads: int = Field(512, ge=8, le=4096, description="Request threads; every open page holds one.")
    drain_seconds: float = Field(8.0, gt=0, le=600, description="How long a stop waits for requests in flight.")
    public_url: Annotated[str | None, BeforeValidator(_web_address)] = Field(
        None, description="Where people reach this server, for the links in notices. Unset: notices have no links."
    )
    secure_cookies: bool = Field(False, description="Send cookies over HTTPS only; set it behind a TLS proxy.")
    trusted_proxies: int = Field(0, ge=0, le=10, description="How many proxies in front may set X-Forwarded-* headers.")


class AuthSettings(Section):
    anonymous: Literal["none", "viewer"] = Field("none", description="What a visitor without a login may see.")
    session_hours: float = Field(168.0, gt=0, description="Hours until a browser has to log in again.")
    open_predict: bool | None = Field(
        None, description="Let anyone call /predict. Unset: only on loopback without a proxy."
    )
    open_metrics: bool | None = Field(
        None, description="Let anyone read /metrics. Unset: only on loopback without a proxy."
    )


class ModelSettings(Section):
    enabled: bool = Field(True, description="Host a model. Without one Wakeless only watches the machine.")
    path: str = Field("model.builtin:CardDetector", description="The model: package.module:Class, a folder, or a file.")
    device: Literal["auto", "cpu", "cuda"] = Field("auto", description="Where it runs; auto takes CUDA if it works.")
    devices: Annotated[Strings, AfterValidator(_places)] = Field(
        [], description="A replica on each, such as [cuda:0, cuda:1]. Empty: one replica, where device says."
    )
    queue_size: int = Field(64, ge=1, le=100_000, description="Requests that may wait; one more gets a 429.")
    batch_size: int = Field(8, ge=1, le=1024, description="Most inputs in one forward pass.")
    warm_up_seconds: float = Field(
        30.0, ge=0, le=3600, description="How long a load may run batches of 1, 2, 4 … batch_size. 0: one input only."
    )
    batch_window_seconds: float = Field(0.0, ge=0, le=1, description="How long to wait for a batch to fill.")
    batch_fill_ratio: float = Field(
        0.1, ge=0, le=1, description="Share of a batch's time to wait for as many again; 50 ms at most. 0: never."
    )
    deadline_seconds: float = Field(30.0, gt=0, le=3600, description="A request not answered by then gets a 504.")
    load_seconds: float = Field(600.0, gt=0, le=86_400, description="A load that takes longer counts as hung.")
    watchdog_seconds: float = Field(
        60.0, gt=0, le=3600, description="A batch, or other code of the model, that takes longer counts as hung."
    )
    shed_low_ratio: float = Field(
        0.5, gt=0, le=1, description="Share of the queue from which low priority gets a 429; of max_streams as well."
    )
    shed_normal_ratio: float = Field(0.9, gt=0, le=1, description="The same for normal priority; high: when full.")
    aging_seconds: float = Field(
        5.0, gt=0, le=3600, description="A request that waited for so long is served as if one priority higher."
    )
    max_streams: int = Field(16, ge=1, le=1024, description="Streams that may be open at once; one more gets a 429.")
    stream_seconds: float = Field(
        300.0, gt=0, le=86_400, description="Longest life of a stream; each of its steps has deadline_seconds."
    )
    max_body_bytes: int = Field(20 * MiB, ge=1024, le=1024 * MiB, description="Largest request body for /predict.")
    cache_bytes: int = Field(0, ge=0, description="Memory for answers to be given again to equal inputs. 0: none.")
    cache_seconds: float = Field(300.0, gt=0, description="How long such an answer is as good as a new one.")
    default_reply: Annotated[str | None, AfterValidator(_json)] = Field(
        None, description="A result, as JSON text, for requests that the model cannot answer. Unset: they are refused."
    )
    reject_nan: bool = Field(False, description="A result with NaN in it is a failure of the model.")
    breaker_failure_share: float = Field(
        0.5, gt=0, le=1, description="Share of failed requests at which the circuit breaker opens …"
    )
    breaker_seconds: float = Field(30.0, ge=1, le=3600, description="… among those of so many seconds …")
    breaker_requests: int = Field(
        20, ge=0, le=100_000, description="… if they are so many; or so many failures in a row. 0: no breaker."
    )
    breaker_ooms: int = Field(
        5, ge=1, le=1000, description="So many requests in a row that ran out of memory open it as well."
    )
    breaker_open_seconds: float = Field(
        10.0, gt=0, le=3600, description="Pause before an open breaker lets probes through; it doubles."
    )
    breaker_open_max_seconds: float = Field(300.0, gt=0, le=86_400, description="Longest such pause.")
    breaker_probes: int = Field(3, ge=1, le=100, description="Probes that must succeed for the breaker to close.")
    brownout_high: float = Field(
        0.5,
        gt=0,
        le=1,
        description="Share of the queue, or of streams, above which inputs are made lighter, if the model can.",
    )
    brownout_low: float = Field(0.2, ge=0, lt=1, description="Share of the queue below which they recover.")
    brownout_step_seconds: float = Field(
        1.0, gt=0, le=600, description="How long for each step (of four) to lighter; back it takes twice as long."
    )
    heal_seconds: float = Field(
        600.0, ge=0, description="Least time between two reloads that the server decides on itself. 0: it never does."
    )
    leak_bytes: int = Field(
        512 * MiB, ge=0, description="Memory by which batches may make the model grow before it is reloaded. 0: any."
    )
    drift_reload_ratio: float = Field(
        0.0, ge=0, description="Reload when batches take so many times as long as at best. 0: only the alert."
    )
    probation_seconds: float = Field(
        300.0, ge=0, le=86_400, description="So long after a switch a failing version is rolled back. 0: never."
    )
    probation_latency_ratio: float = Field(
        3.0, ge=0, description="So many times as slow as the version before is failing, too. 0: latency does not count."
    )
    cpu_threads: int = Field(0, ge=0, le=1024, description="Torch's threads on the CPU; 0 leaves one core to the rest.")
    autocast: Annotated[Literal["off", "float16", "bfloat16"], BeforeValidator(_off)] = Field(
        "off", description="Run predict and stream under torch.autocast with this type."
    )
    compile: bool = Field(False, description="Compile the model's networks with torch.compile when it loads.")
    pin_memory: bool = Field(False, description="Let Model.gather copy batches to a GPU through page-locked memory.")


class HealthSettings(Section):
    interval_seconds: float = Field(10.0, ge=1, le=3600, description="Seconds between two deep checks of the model.")
    stall_seconds: float = Field(60.0, gt=0, description="Work in flight without progress for so long is not alive.")
    require_gpu: bool = Field(False, description="Without a usable GPU, be unhealthy instead of running on the CPU.")
    min_free_gpu_bytes: int = Field(2 * GB, ge=0, description="Free VRAM that readiness asks for.")


class CollectorSettings(Section):
    interval_seconds: float = Field(1.0, ge=0.2, le=300, description="Seconds between two ticks.")
    slow_interval_seconds: float = Field(10.0, ge=1, le=3600, description="Seconds between two runs of slow sources.")
    deadline_seconds: float = Field(0.4, gt=0, le=60, description="How long a tick waits for a collector.")
    simulated_gpus: int = Field(
        0, ge=0, le=16, description="Replay so many GPUs where there is none, labelled as such."
    )
    disabled: Strings = Field([], description="Names of collectors that should not run.")


class StorageSettings(Section):
    retention_days: float = Field(30.0, gt=0, le=3650, description="Days of metric history to keep.")
    max_bytes: Annotated[int, AfterValidator(_worth_a_limit)] = Field(
        10 * GiB, description="Bytes that the database may take; the oldest history goes first. 0: only its age counts."
    )
    coarse_seconds: Annotated[Literal[0, 60, 3600], BeforeValidator(_whole_number)] = Field(
        0, description="Also keep minimum, maximum, sum and count per minute (60) or per hour (3600). 0: do not."
    )
    coarse_days: float = Field(365.0, gt=0, le=3650, description="Days to keep those; they may outlive the history.")
    head_minutes: float = Field(60.0, ge=1, le=1440, description="Least minutes of history held in memory.")
    sync_seconds: float = Field(
        5.0,
        ge=0,
        le=3600,
        description="Seconds of ticks that a power cut may take; a killed process loses none. 0: every tick is synced.",
    )
    max_series_per_metric: int = Field(
        5_000,
        ge=10,
        le=1_000_000,
        description="Most live series of one metric; new ones beyond it are left out, and an alert names the label.",
    )
    max_series: int = Field(
        20_000,
        ge=100,
        le=10_000_000,
        description="Most live series in all. Live is what was written since the oldest history held in memory.",
    )
    records_days: float = Field(90.0, gt=0, le=3650, description="Days to keep requests, closed alerts, and audit.")


class AlertSettings(Section):
    rules: Paths = Field([], description="Prometheus rule files, relative to the settings file.")
    stock_rules: bool = Field(True, description="Load the rules that come with Wakeless.")
    routing: Path | None = Field(
        None, description="An Alertmanager routing file, relative to the settings file. None: everything, by level."
    )
    evaluation_interval_seconds: float = Field(1.0, ge=1, le=3600, description="Seconds between two evaluations.")
    reload_seconds: float = Field(5.0, ge=1, le=3600, description="Seconds between two looks at the rule files.")
    resolve_seconds: float = Field(
        300.0,
        ge=1,
        le=86_400,
        description="An alert that another server sent ends when it is not sent again for so long.",
    )
    flap_count: int = Field(4, ge=0, le=1000, description="An alert that fires so often … 0: none is said to flap.")
    flap_seconds: float = Field(
        1800.0, gt=0, le=86_400, description="… within so many seconds flaps: it stays open, and is told of once …"
    )
    flap_quiet_seconds: float = Field(
        600.0, gt=0, le=86_400, description="… until its condition has been gone for so many seconds."
    )
    action_limit_per_hour: int = Field(
        2, ge=0, le=60, description="How often in an hour an alert's wakeless_action may be carried out. 0: never."
    )
    action_help_seconds: float = Field(
        300.0, ge=1, le=86_400, description="An action has helped if its alert ends within so many seconds."
    )
    channels: Annotated[list[SecretStr], BeforeValidator(_words)] = Field(
        [], description="Apprise URLs that get a notice of every alert; in the environment, separated by spaces."
    )
    notice_retry_seconds: float = Field(10.0, gt=0, description="Wait before the first retry of a notice; it doubles.")
    notice_give_up_hours: float = Field(24.0, gt=0, description="A notice undelivered for so long is given up.")
    catch_up_seconds: float = Field(
        300.0, ge=0, description="Notices that waited for longer are told in one summary. 0: each by itself."
    )
    ack_link_hours: float = Field(
        12.0, ge=0, le=720, description="How long the link in a notice may acknowledge its alerts, once. 0: no link."
    )


class AliasSettings(Section):
    of: str = Field(..., description="The metric to copy, e.g. inference_requests_total.")
    rename: dict[str, str] = Field({}, description="Label names to rename: old → new.")
    values: dict[str, dict[str, str]] = Field(
        {}, description="New label → old value → new value; '*' matches the rest."
    )


class MetricSettings(Section):
    aliases: dict[str, AliasSettings] = Field({}, description="Second names under which metrics are kept as well.")


class LogSettings(Section):
    level: Literal["debug", "info", "warning", "error"] = Field("info", description="The least level that is written.")
    file: bool = Field(True, description="Also write to wakeless.log in the data folder (mode 0600).")
    max_bytes: int = Field(20 * MiB, ge=1024, description="Size at which the file is rotated.")
    backups: int = Field(5, ge=0, le=100, description="Rotated files to keep.")


class IngestSettings(Section):
    enabled: bool = Field(
        True, description="Take metrics that others send: Prometheus remote write (v1) and OTLP over HTTP."
    )
    max_bytes: int = Field(32 * MiB, ge=1024, le=1024 * MiB, description="Largest request, unpacked.")
    max_series: int = Field(20_000, ge=1, le=1_000_000, description="Most live series that are taken in this way.")


_Clock = r"([01]?\d|2[0-3]):[0-5]\d"
Daily = Annotated[str, BeforeValidator(_moment), Field(pattern=rf"^(off|{_Clock})$")]
Weekly = Annotated[str, BeforeValidator(_off), Field(pattern=rf"^(off|(mon|tue|wed|thu|fri|sat|sun) {_Clock})$")]
Monthly = Annotated[str, BeforeValidator(_off), Field(pattern=rf"^(off|([1-9]|1\d|2[0-8]) {_Clock})$")]


class ReportSettings(Section):
    daily: Daily = Field("off", description="When the report of the day before is sent: off, or a time such as 08:00.")
    weekly: Weekly = Field("off", description="When that of the week before is sent: off, or e.g. mon 08:00.")
    monthly: Monthly = Field("off", description="When that of the month before is sent: off, or e.g. 1 08:00.")
    channels: Strings = Field([], description="Names of the channels that get it. None: all of them.")
    price_per_kwh: float = Field(0.0, ge=0, description="What a kilowatt hour costs. 0: no costs are shown.")
    currency: str = Field("", max_length=8, description="The currency of that price, e.g. EUR.")
    slow_seconds: float = Field(2.0, gt=0, description="A request that takes longer counts as slow.")


class SupervisorSettings(Section):
    backoff_seconds: float = Field(1.0, gt=0, le=60, description="Wait before the second restart in a row; it doubles.")
    backoff_max_seconds: float = Field(60.0, gt=0, le=3600, description="Longest wait between two restarts.")
    crash_loop_count: int = Field(5, ge=1, le=1000, description="So many crashes …")
    crash_loop_seconds: float = Field(300.0, gt=0, description="… within so many seconds: start without the model.")
    down_seconds: float = Field(
        60.0, gt=0, le=86_400, description="Tell the channels when the server has not answered for so many seconds."
    )
    channels: Annotated[list[SecretStr], BeforeValidator(_words)] = Field(
        [], description="Apprise URLs that hear of it, and when it is back. None: those of alerts.channels."
    )
    heartbeat_url: Annotated[SecretStr | None, BeforeValidator(_web_address)] = Field(
        None, description="URL to call while the server lives, with /fail at its end while not (healthchecks.io)."
    )
    heartbeat_seconds: float = Field(60.0, ge=1, le=86_400, description="Seconds between two such calls.")


class Settings(Section):
    name: str = Field("wakeless", min_length=1, max_length=80, description="The service's name: notices, up{job}.")
    data_dir: Path = Field(Path("data"), description="Where the database, the logs and the secrets live.")
    language: Literal["auto", "en", "zh"] = Field("auto", description="Language of the page; auto asks the browser.")
    admin_password: Annotated[SecretStr | None, BeforeValidator(_password)] = Field(
        None, description="Sets the password of admin on the first start."
    )
    panels: Paths = Field([], description="Panel files shown after the stock ones, relative to the settings file.")
    server: Annotated[ServerSettings, BeforeValidator(_empty)] = ServerSettings()
    auth: Annotated[AuthSettings, BeforeValidator(_empty)] = AuthSettings()
    model: Annotated[ModelSettings, BeforeValidator(_empty)] = ModelSettings()
    health: Annotated[HealthSettings, BeforeValidator(_empty)] = HealthSettings()
    collectors: Annotated[CollectorSettings, BeforeValidator(_empty)] = CollectorSettings()
    storage: Annotated[StorageSettings, BeforeValidator(_empty)] = StorageSettings()
    alerts: Annotated[AlertSettings, BeforeValidator(_empty)] = AlertSettings()
    metrics: Annotated[MetricSettings, BeforeValidator(_empty)] = MetricSettings()
    log: Annotated[LogSettings, BeforeValidator(_empty)] = LogSettings()
    supervisor: Annotated[SupervisorSettings, BeforeValidator(_empty)] = SupervisorSettings()
    targets: Annotated[list[TargetSettings], BeforeValidator(_tree), AfterValidator(_unique)] = Field(
        [], description="What runs beside the model and is watched; see targets.md."
    )
    ingest: Annotated[IngestSettings, BeforeValidator(_empty)] = IngestSettings()
    reports: Annotated[ReportSettings, BeforeValidator(_empty)] = ReportSettings()


@lru_cache(maxsize=256)
def is_loopback(host: str) -> bool:
    """Whether ``host`` can be reached from this machine only."""
    if host == "localhost":
        return True
    try:
        return ip_address(host.strip("[]")).is_loopback
    except ValueError:
        return False


def load_settings(file: Path | None = None, environment: Mapping[str, str] | None = None) -> Settings:
    """Read the settings file and the environment. Without ``file``, ``WAKELESS_CONFIG`` or ``./wakeless.yaml`` is read.

    Raises :class:`SettingsError` for an unreadable file, an unknown key or a value that is not allowed.
    """
    environment = os.environ if environment is None else environment
    named = file or (Path(environment[CONFIG_VARIABLE]) if environment.get(CONFIG_VARIABLE) else None)
    path = named or DEFAULT_FILE
    tree = _read_yaml(path) if named or path.exists() else {}
    overridden = _merge_environment(tree, environment)
    try:
        settings = Settings.model_validate(tree)
    except ValidationError as error:
        raise SettingsError(_explain(error, path, overridden)) from error
    return _resolve(settings, path.parent)


def _read_yaml(path: Path) -> dict[str, Any]:
    try:
        tree = yaml.safe_load(path.read_text(encoding="utf-8"))
    except (OSError, UnicodeDecodeError) as error:
        reason = error.strerror if isinstance(error, OSError) else "it is not UTF-8 text"
        raise SettingsError(f"cannot read the settings file {path}: {reason}") from error
    except yaml.YAMLError as error:
        raise SettingsError(f"the settings file {path} is not valid YAML: {' '.join(str(error).split())}") from error
    if tree is None:
        return {}
    if not isinstance(tree, dict):
        raise SettingsError(f"the settings file {path} must hold keys and values, not {type(tree).__name__}")
    return tree


def _merge_environment(tree: dict[str, Any], environment: Mapping[str, str]) -> dict[str, str]:
    """Lay ``WAKELESS_A__B=value`` over ``tree["a"]["b"]``; return which key came from which variable."""
    came_from = {}
    for variable, value in sorted(environment.items()):
        if not variable.startswith(ENV_PREFIX) or variable == CONFIG_VARIABLE:
            continue
        keys = variable.removeprefix(ENV_PREFIX).lower().split("__")
        level = tree
        for key in keys[:-1]:
            if not isinstance(level.get(key), dict):
                level[key] = {}
            level = level[key]
        level[keys[-1]] = value
        came_from[".".join(keys)] = variable
    return came_from


def _explain(error: ValidationError, path: Path, overridden: Mapping[str, str]) -> str:
    """One line for the first mistake: the key, where it was set, the value, and what is allowed."""
    first = error.errors()[0]
    keys = [str(part) for part in first["loc"]]
    key = ".".join(keys)
    variable = next((overridden[known] for known in overridden if _overlap(key, known)), None)
    origin = f"environment variable {variable}" if variable else str(path)
    if first["type"] == "extra_forbidden":
        return f"{origin}: unknown setting {key!r}; {_known_keys(keys[:-1])}"
    secret = ".".join(keys[:2]) in SECRETS or not set(keys).isdisjoint(SECRET_WORDS) or _holds_secret(first["input"])
    value = HIDDEN if secret else repr(first["input"])
    rule = first["msg"].removeprefix("Input should be ").removeprefix("Value error, ")
    return f"{origin}: {key} is {value}, but must be {rule}"


def _holds_secret(value: object) -> bool:
    """Whether a value that is refused as a whole has a secret somewhere inside."""
    if isinstance(value, dict):
        return any(key in SECRET_WORDS or _holds_secret(inner) for key, inner in value.items())
    return isinstance(value, list) and any(_holds_secret(inner) for inner in value)


def _overlap(key: str, known: str) -> bool:
    """Whether one dotted key is the other or lies inside it."""
    return f"{key}.".startswith(f"{known}.") or f"{known}.".startswith(f"{key}.")


def _known_keys(section: list[str]) -> str:
    """Say which keys a section has."""
    kind: type[BaseModel] = Settings
    for key in section:
        field = kind.model_fields.get(key)
        if field is None or not (isinstance(field.annotation, type) and issubclass(field.annotation, BaseModel)):
            return "this key takes no such entry"
        kind = field.annotation
    place = f"{'.'.join(section)} has" if section else "known are"
    return f"{place}: {', '.join(sorted(kind.model_fields))}"


def _resolve(settings: Settings, base: Path) -> Settings:
    """Make file lists relative to the settings file; the data folder stays relative to where the program started."""
    routing = settings.alerts.routing
    files = {
        "rules": [base / path for path in settings.alerts.rules],
        "routing": None if routing is None else base / routing,
    }
    alerts = settings.alerts.model_copy(update=files)
    return settings.model_copy(update={"alerts": alerts, "panels": [base / path for path in settings.panels]})


def reference(section: type[BaseModel] = Settings, prefix: str = "") -> list[tuple[str, str, str]]:
    """Key, default as YAML and description of every setting, in order; a section's keys follow it."""
    rows = []
    for name, field in section.model_fields.items():
        key = prefix + (field.alias or name)
        inner, each = _inner_section(field.annotation)
        if inner is None or each or (not field.is_required() and field.default is None):
            default = None if field.is_required() else field.get_default()
            shown = "" if default is None else yaml.safe_dump(_plain(default), default_flow_style=True).split("\n")[0]
            rows.append((key, shown, field.description or ""))
        if inner is not None:
            rows += reference(inner, f"{key}{each}.")
    return rows


def _inner_section(kind: Any) -> tuple[type[BaseModel] | None, str]:
    """The section that a type holds, if any, and what stands for each of several after the key."""
    if isinstance(kind, type) and issubclass(kind, BaseModel):
        return kind, ""
    for argument in get_args(kind):
        inner, _ = _inner_section(argument)
        if inner is not None:
            return inner, {list: "[]", dict: ".NAME"}.get(get_origin(kind), "")
    return None, ""


def _plain(value: Any) -> Any:
    return str(value) if isinstance(value, Path) else value


def reference_page() -> str:
    """``docs/settings.md``, whole."""
    lines = [
        "# Settings",
        "",
        "From `wakeless.yaml` (or `--config FILE`, or `WAKELESS_CONFIG`), each overridden by the environment: the",
        "key in capitals after `WAKELESS_`, with `__` between levels, so `server.port` is `WAKELESS_SERVER__PORT`.",
        "Lists of files are relative to the settings file; in the environment, comma-separated. An unknown key, a",
        "value that is not allowed or an unreadable file stops the start with one line and exit status 2;",
        "`python app.py check-config` says so beforehand. `python -m config` writes this page; a test compares it.",
        "",
        "| key | default | meaning |",
        "|---|---|---|",
    ]
    rows = [
        f"| `{key}` | {f'`{default}`' if default else ''} | {' '.join(text.split())} |"
        for key, default, text in reference()
    ]
    return "\n".join([*lines, *rows]) + "\n"


if __name__ == "__main__":
    print(reference_page(), end="")  # noqa: T201
