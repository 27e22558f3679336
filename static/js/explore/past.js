// The visitor's last queries, kept in this browser.

const KEPT = "wakeless.queries";
const MOST = 25;

export function pastQueries() {
  try {
    const kept = JSON.parse(localStorage.getItem(KEPT) ?? "[]");
    return Array.isArray(kept) ? kept.filter((query) => typeof query === "string") : [];
  } catch {
    return []; // storage is forbidden, or holds something else
  }
}

export function rememberQuery(query) {
  try {
    localStorage.setItem(KEPT, JSON.stringify([query, ...pastQueries().filter((one) => one !== query)].slice(0, MOST)));
  } catch {
    // Without storage the queries last as long as the page.
  }
}

export function forgetQueries() {
  try {
    localStorage.removeItem(KEPT);
  } catch {
    // As above.
  }
}
