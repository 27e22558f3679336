// Calls to the server. A refusal becomes a Problem with the server's own words.

const token = document.querySelector('meta[name="csrf"]')?.content ?? "";

export class Problem extends Error {
  constructor(status, document) {
    super(document.detail ?? document.error ?? document.title ?? `HTTP ${status}`);
    this.document = document;
    this.status = status;
    this.suggestion = document.suggestion;
    this.requestId = document.request_id;
  }
}

export async function call(path, { method = "GET", json, body, headers = {}, signal } = {}) {
  const all = { Accept: "application/json", ...headers };
  if (method !== "GET") all["X-CSRF-Token"] = token;
  if (json !== undefined) all["Content-Type"] = "application/json";
  const answer = await fetch(path, { method, headers: all, body: json === undefined ? body : JSON.stringify(json), signal });
  const document = await answer.json().catch(() => ({}));
  if (!answer.ok) throw new Problem(answer.status, document);
  return document;
}
