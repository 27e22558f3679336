// Calls to the server. A refusal becomes a Problem with the server's own words.

const token = document.querySelector('meta[name="csrf"]')?.content ?? "";

export class Problem extends Error {
  constructor(status, document, headers = new Headers()) {
    // Alertmanager's API refuses with a text, or with a message.
    super(typeof document === "string" ? document : document.detail ?? document.error ?? document.message ?? document.title ?? `HTTP ${status}`);
    this.document = document;
    this.status = status;
    this.headers = headers;
    this.suggestion = document.suggestion;
    this.requestId = document.request_id;
  }
}

/** The answer as it comes in; a refusal is thrown. */
export async function ask(path, { method = "GET", json, body, headers = {}, signal } = {}) {
  const all = { Accept: "application/json", ...headers };
  if (method !== "GET") all["X-CSRF-Token"] = token;
  if (json !== undefined) all["Content-Type"] = "application/json";
  const answer = await fetch(path, { method, headers: all, body: json === undefined ? body : JSON.stringify(json), signal });
  if (!answer.ok) throw new Problem(answer.status, await answer.json().catch(() => ({})), answer.headers);
  return answer;
}

export async function call(path, options) {
  return (await ask(path, options)).json().catch(() => ({}));
}
