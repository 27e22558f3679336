"""Every metric that Wakeless writes: its name, type, unit, labels and meaning, in one place.

``python -m collectors.catalogue`` prints the tables of ``docs/metrics.md``; with a file name it renews them in there.
"""

from __future__ import annotations

import re
import sys
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Literal, NamedTuple, cast

MetricType = Literal["gauge", "counter", "histogram"]

#: What a histogram's samples are called beside its base name.
HISTOGRAM_SUFFIXES = ("_bucket", "_sum", "_count")
BEGIN, END = "<!-- catalogue -->", "<!-- /catalogue -->"


class Metric(NamedTuple):
    """One metric family; a histogram stands under its base name. ``unit`` is a Prometheus base unit or empty."""

    name: str
    type: MetricType
    unit: str
    help: str
    labels: tuple[str, ...] = ()
    section: str = ""


#: One metric a line, as ``name{labels} type unit: meaning``, under the heading of its section.
_TABLE = """
## GPU
gpu_utilization_ratio{gpu,uuid,name} gauge ratio: Share of time in which at least one kernel ran.
gpu_memory_utilization_ratio{gpu,uuid,name} gauge ratio: Share of time in which GPU memory was read or written.
gpu_encoder_utilization_ratio{gpu,uuid,name} gauge ratio: Share of time in which the video encoder worked.
gpu_decoder_utilization_ratio{gpu,uuid,name} gauge ratio: Share of time in which the video decoder worked.
gpu_memory_used_bytes{gpu,uuid,name} gauge bytes: GPU memory in use by all processes.
gpu_memory_total_bytes{gpu,uuid,name} gauge bytes: GPU memory installed.
gpu_memory_free_bytes{gpu,uuid,name} gauge bytes: GPU memory that is free.
gpu_memory_reserved_bytes{gpu,uuid,name} gauge bytes: GPU memory that the driver and firmware keep.
gpu_bar1_used_bytes{gpu,uuid,name} gauge bytes: BAR1 window in use (memory that the host can address).
gpu_temperature_celsius{gpu,uuid,name} gauge celsius: Temperature of the GPU die.
gpu_memory_temperature_celsius{gpu,uuid,name} gauge celsius: Temperature of the GPU memory.
gpu_power_watts{gpu,uuid,name} gauge watts: Power drawn by the board.
gpu_power_limit_watts{gpu,uuid,name} gauge watts: Power limit in force.
gpu_energy_joules_total{gpu,uuid,name} counter joules: Energy used since the driver was loaded.
gpu_fan_speed_ratio{gpu,uuid,name} gauge ratio: Intended fan speed as a share of its maximum.
gpu_clock_hertz{gpu,uuid,name,clock} gauge hertz: Clock now; clock is sm, memory, graphics or video.
gpu_clock_max_hertz{gpu,uuid,name,clock} gauge hertz: Highest clock that the board allows.
gpu_performance_state{gpu,uuid,name} gauge: Performance state: 0 is the fastest, 15 the slowest.
gpu_pcie_transmit_bytes_per_second{gpu,uuid,name} gauge bytes/second: Sent over PCIe, sampled for 20 ms.
gpu_pcie_receive_bytes_per_second{gpu,uuid,name} gauge bytes/second: Received over PCIe, sampled for 20 ms.
gpu_pcie_link_generation{gpu,uuid,name} gauge: PCIe generation of the link now (it drops when idle).
gpu_pcie_link_width{gpu,uuid,name} gauge: PCIe lanes in use now.
gpu_throttle_active{gpu,uuid,name,reason} gauge: 1 while the clocks are held down for this reason.
gpu_ecc_errors_total{gpu,uuid,name,kind} counter: ECC errors in the board's life; kind is corrected or uncorrected.
gpu_retired_pages{gpu,uuid,name,cause} gauge: Pages retired after single_bit or double_bit errors (before Ampere).
gpu_remapped_rows{gpu,uuid,name,kind} gauge: Remapped rows: corrected, uncorrected; pending and failed are 0 or 1.
gpu_nvlink_transmit_bytes_total{gpu,uuid,name} counter bytes: Data sent over all NVLinks.
gpu_nvlink_receive_bytes_total{gpu,uuid,name} counter bytes: Data received over all NVLinks.
gpu_nvlink_errors_total{gpu,uuid,name,kind} counter: Errors; kind is crc_flit, crc_data, replay, recovery or ecc_data.
gpu_xid_errors_total{gpu,uuid,name,xid} counter: Critical driver errors since the start; a series begins at 0.
gpu_info{gpu,uuid,name,driver,cuda,vbios} gauge: Always 1; its labels tell versions.

## GPU processes
gpu_process_memory_used_bytes{gpu,uuid,name,pid,process} gauge bytes: Held by one process; the largest 20 of each GPU.

## Torch
torch_cuda_memory_allocated_bytes{gpu} gauge bytes: Held by this process's tensors.
torch_cuda_memory_reserved_bytes{gpu} gauge bytes: Held by torch's caching allocator.
torch_cuda_memory_inactive_split_bytes{gpu} gauge bytes: Free in split blocks that cannot be given back: fragmentation.
torch_cuda_memory_max_allocated_bytes{gpu} gauge bytes: Peak of allocated bytes.
torch_cuda_memory_free_bytes{gpu} gauge bytes: Free on the device for all processes, as CUDA says.
torch_cuda_memory_total_bytes{gpu} gauge bytes: Size of the device's memory, as CUDA says.
torch_cuda_ooms_total{gpu} counter: Allocations that failed for want of memory.
torch_cuda_alloc_retries_total{gpu} counter: Allocations that worked only after a cache flush.
gpu_memory_allocated_bytes{gpu} gauge bytes: A second name of torch_cuda_memory_allocated_bytes.

## Host
cpu_utilization_ratio gauge ratio: Share of time in which the CPUs worked, all together.
cpu_core_utilization_ratio{core} gauge ratio: Share of time in which one core worked.
cpu_seconds_total{mode} counter seconds: CPU time of all cores, by mode.
load1 gauge: Load average over 1 minute.
load5 gauge: Load average over 5 minutes.
load15 gauge: Load average over 15 minutes.
memory_used_bytes gauge bytes: Memory that cannot be had without swapping: total less available.
memory_available_bytes gauge bytes: Memory that can be had without swapping.
memory_total_bytes gauge bytes: Memory installed.
swap_used_bytes gauge bytes: Swap in use.
disk_read_bytes_total{device} counter bytes: Read from a whole disk.
disk_written_bytes_total{device} counter bytes: Written to a whole disk.
disk_io_time_seconds_total{device} counter seconds: Time in which the disk had work.
network_receive_bytes_total{device} counter bytes: Received by a network device.
network_transmit_bytes_total{device} counter bytes: Sent by a network device.
network_errors_total{device,direction} counter: Errors; direction is receive or transmit.
pressure_ratio{resource} gauge ratio: Share of time since the last run in which some task waited for cpu, memory or io.
host_uptime_seconds gauge seconds: Time since the machine started.
filesystem_used_bytes{mountpoint} gauge bytes: Used in a file system.
filesystem_size_bytes{mountpoint} gauge bytes: Size of a file system.
filesystem_used_ratio{mountpoint} gauge ratio: Used, as a share of what users may use (as df has it).
host_temperature_celsius{sensor} gauge celsius: A temperature sensor of the machine.

## This process
process_resident_memory_bytes gauge bytes: Resident memory of the server process.
process_cpu_seconds_total counter seconds: CPU time of the server process, user and system.
process_open_fds gauge: Open file descriptors of the server process.
process_threads gauge: Threads of the server process.
process_start_time_seconds gauge seconds: When the server process started, in Unix time.
wakeless_viewers gauge: Open pages that receive live values.
wakeless_database_bytes gauge bytes: Size of the database on disk, its logs included.
wakeless_ticks_dropped_total counter: Ticks that were not recorded: the clock was set back, or they cannot be written.
wakeless_ticks_waiting gauge: Ticks, one for each source, that are in memory only, since the disk takes nothing.
wakeless_storage_problem{kind} gauge: 1 while the store has this problem, e.g. disk_full, locked, database_damaged.
wakeless_chunks_unreadable_total counter: Stored chunks that could not be read or decoded: holes in the history.
wakeless_samples_refused_total{metric,label} counter: Samples of new series left out: the metric has too many of them.
wakeless_rule_file_refused{file} gauge: 1 while the newest text of a rule or routing file is refused and not in force.
wakeless_alerts{state} gauge: Alerts that are pending, firing or acknowledged.
rule_group_last_evaluation_timestamp_seconds{rule_group} gauge seconds: When the group was last evaluated, since 1970.
rule_group_last_duration_seconds{rule_group} gauge seconds: How long its last evaluation took.
rule_group_lateness_seconds{rule_group} gauge seconds: How much later than due its last evaluation began.
rule_group_iterations_missed_total{rule_group} counter: Evaluations that were left out because earlier ones took long.
rule_evaluations_total{rule_group} counter: Evaluations of the group's rules.
rule_evaluation_failures_total{rule_group} counter: Evaluations of the group's rules that failed.
wakeless_notices{state} gauge: Notices in the database: waiting, sent, failed (given up), merged (told in a summary).
wakeless_notice_wait_seconds gauge seconds: How long the oldest notice that waits has waited; 0 if none waits.
wakeless_notice_outcomes_total{channel,outcome} counter: How notices ended: sent, failed, merged; refused: one attempt.
wakeless_tick_duration_seconds{source} gauge seconds: How long each part of the last tick took.
collector_up{collector} gauge: 1 if the collector's last run ended in time and without an error.
collector_duration_seconds{collector} gauge seconds: How long the collector's last run took.
process_restarts_total{reason} counter: Restarts of the server process by the supervisor.
crash_loop_tripped gauge: 1 while the server runs without the model after too many crashes.

## HTTP
http_server_request_duration_seconds{method,route,status} histogram seconds: Time to answer a request.
http_server_active_requests gauge: Requests being answered now.

## Inference
inference_requests_total{model,version,outcome} counter: Inference requests by how they ended.
inference_request_duration_seconds{model,version} histogram seconds: From a request's arrival to its answer.
inference_queue_duration_seconds{model,version} histogram seconds: Time spent in the queue.
inference_compute_duration_seconds{model,version} histogram seconds: Time spent in the model.
inference_batch_size histogram: Inputs in one forward pass.
inference_rejections_total{priority,reason} counter: Refused before the queue: queue_full, shed, overload, deadline.
inference_streams_open gauge: Streams that are open.
inference_stream_steps_total counter: Steps of streams that have ended.
inference_queue_depth gauge: Requests waiting for the model.
inference_in_flight gauge: Requests that the model is working on.
inference_progress_age_seconds gauge seconds: Time since work in flight last made progress.
inference_results_total{model,class} counter: Results by class.
inference_cache_hits_total counter: Requests answered from the cache, or by an equal one at the same time.
inference_cache_misses_total counter: Requests that the cache had no fresh answer to.
inference_cache_evictions_total counter: Answers that had to make room.
inference_cache_entries gauge: Answers in the cache.
inference_cache_bytes gauge bytes: Memory that the cache takes.
inference_brownout_level gauge: How much lighter inputs are made while the queue is long, 0 to 1.
inference_latency_drift_ratio gauge ratio: How many times as long batches take as at best.
image_generation_total{status} counter: Alias: requests by status, where it is configured.
image_generation_latency_seconds histogram seconds: Alias: time to answer a request, where it is configured.

## Model
model_ready gauge: 1 while the model takes traffic.
model_info{model,version,device,dtype} gauge: Always 1; its labels tell what is loaded.
model_replica_up{device} gauge: 1 while requests go to the replica on this device; where there are several.
model_replica_requests{device} gauge: Requests that the replica works on, or that wait for it; where there are several.
model_canary_share_ratio{model,version} gauge: Share of the requests that the canary takes, while there is one.
model_load_duration_seconds gauge seconds: How long the last load took.
model_reloads_total{reason,result} counter: Reloads of the model.
circuit_breaker_state{model,version} gauge: 0 closed, 1 half-open (a few requests probe the model), 2 open.
health_check_up{check} gauge: 1 if the check passed last time.
health_ready gauge: 1 if traffic may come.
up{job} gauge: 1 while the service can do its work; with an instance: while its endpoint can be scraped.

## Targets
probe_up{target,probe} gauge: 1 while it is up, 0 while it is down; none while that cannot be told.
probe_success{target,probe} gauge: Whether the last look was well.
probe_down_info{target,probe,reason} gauge: 1 while it is down; why it went down.
probe_unknown_info{target,probe,reason} gauge: 1 while nothing can be told of it; why.
probe_duration_seconds{target,probe} gauge seconds: How long the last look took.
probe_http_duration_seconds{target,phase} gauge seconds: Of it: resolve, connect, tls, processing, transfer.
probe_http_status_code{target} gauge: Status of the last answer, after redirects.
probe_ssl_earliest_cert_expiry{target,probe} gauge: When the server's certificate expires, in seconds since 1970.
probe_ssl_warn_seconds{target,probe} gauge seconds: How long before that a warning is due.
push_last_timestamp_seconds{target} gauge seconds: When the last sign of life came, since 1970.
remedy_runs_total{target,rung,kind,result} counter: Remedies by how they ended: done, failed, skipped or dry_run.
remedy_exhausted{target} gauge: 1 while all remedies were tried and it is still in trouble.
target_standby_active{target} gauge: 1 while callers of /go are sent to the standby.

## Scrapes
scrape_duration_seconds{job,instance} gauge seconds: How long the last scrape took.
scrape_samples_scraped{job,instance} gauge: Samples that the endpoint exposed.
scrape_samples_post_metric_relabeling{job,instance} gauge: Samples that were left after relabelling.
scrape_response_size_bytes{job,instance} gauge bytes: Size of the last answer.
scrape_sample_limit{job,instance} gauge: Samples that a scrape may have after relabelling.
scrape_body_size_limit_bytes{job,instance} gauge bytes: How large an answer may be.
scrape_failure_info{job,instance,reason} gauge: 1 while scrapes fail; its label says why.
ingest_samples_total{kind,result} counter: Samples that others sent (remote_write, otlp), and what became of them.

## Logs
log_up{target,source} gauge: 1 while a log can be read; absent where nothing could tell (no journalctl, no Docker).
log_lines_total{target,source} counter: Lines read.
log_bytes_total{target,source} counter bytes: Bytes read; of a journal or a container, those of its messages.
log_behind_bytes{target,source} gauge bytes: Bytes of a file that are there and not read yet.
log_gaps_total{target,source} counter: How often a part of a log was gone before it was read.
log_matches_total{target,source,pattern,level} counter: Entries in which a pattern was found; it begins at 0.
log_pattern_active{target,pattern,level} gauge: 1 from when enough lines came until it was quiet, in any source.
log_last_line_info{target,pattern,line} gauge: 1 while active; the line that raised it, masked.
log_advice_info{target,pattern,advice,advice_zh} gauge: 1 while active; what to do about it.
"""
_LINE = re.compile(r"(\w+)(?:\{([\w,]+)\})? (gauge|counter|histogram)(?: (\S+))?: (.+)")


def _parse(table: str) -> Iterator[Metric]:
    section = ""
    for line in filter(None, table.splitlines()):
        if line.startswith("## "):
            section = line.removeprefix("## ")
            continue
        found = _LINE.fullmatch(line)
        if found is None:
            raise ValueError(f"not a line of the catalogue: {line}")
        name, labels, kind, unit, text = found.groups(default="")
        yield Metric(name, cast(MetricType, kind), unit, text, tuple(filter(None, labels.split(","))), section)


METRICS: Mapping[str, Metric] = {metric.name: metric for metric in _parse(_TABLE)}
_FAMILIES: dict[str, Metric] = dict(METRICS)
for _metric in METRICS.values():
    if _metric.type == "histogram":
        _FAMILIES.update({_metric.name + suffix: _metric for suffix in HISTOGRAM_SUFFIXES})


def family_of(sample_name: str) -> Metric | None:
    """The family of a sample: ``…_bucket``, ``…_sum`` and ``…_count`` lead to their histogram. None if unknown."""
    return _FAMILIES.get(sample_name)


def as_markdown() -> str:
    """The catalogue as one Markdown table per section."""
    lines: list[str] = []
    for section in dict.fromkeys(metric.section for metric in METRICS.values()):
        lines += [f"## {section}", "", "| metric | type | unit | labels | meaning |", "|---|---|---|---|---|"]
        for metric in METRICS.values():
            if metric.section == section:
                labels = " ".join(f"`{label}`" for label in metric.labels)
                lines.append(f"| `{metric.name}` | {metric.type} | {metric.unit} | {labels} | {metric.help} |")
        lines.append("")
    return "\n".join(lines)


def renewed(page: str) -> str:
    """``page`` with what stands between the catalogue's marks replaced. Raises ``ValueError`` without the marks."""
    head, mark, rest = page.partition(BEGIN)
    _, end_mark, tail = rest.partition(END)
    if not mark or not end_mark:
        raise ValueError(f"the page has no {BEGIN} … {END}")
    return f"{head}{BEGIN}\n\n{as_markdown()}\n{END}{tail}"


def main(arguments: list[str]) -> None:
    """Print the tables, or renew them in the page that is named."""
    if not arguments:
        sys.stdout.write(as_markdown())
        return
    page = Path(arguments[0])
    page.write_text(renewed(page.read_text(encoding="utf-8")), encoding="utf-8")


if __name__ == "__main__":
    main(sys.argv[1:])
