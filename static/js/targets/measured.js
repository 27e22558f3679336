// What is measured of a target beside its state: where the time of an HTTP answer went, and when certificates end.

import { call } from "../api.js";

/** {phases: {phase: seconds}, certificates: {probe: ms at which it ends}}, as far as they are known. */
export async function measured(name) {
  const query = `probe_http_duration_seconds{target="${name}"} or probe_ssl_earliest_cert_expiry{target="${name}"}`;
  const { data } = await call(`/api/v1/query?${new URLSearchParams({ query })}`);
  const found = { phases: {}, certificates: {} };
  for (const { metric, value } of data.result) {
    const number = Number(value[1]);
    if (metric.phase) found.phases[metric.phase] = number;
    else found.certificates[metric.probe ?? "http"] = number * 1000;
  }
  return found;
}
