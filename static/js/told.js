// Which alerts this browser has told of, shared by all of its tabs and kept over reloads, so that none is told of twice.

const KEPT = "wakeless.told";
/** How many are remembered; ids only grow, so that old ones may go. */
const MOST = 300;

function read() {
  try {
    return JSON.parse(localStorage.getItem(KEPT)) ?? {};
  } catch {
    return {};
  }
}

let unkept = {}; // where the browser keeps nothing, the page remembers

/** Say that an alert is told of now; true for the one tab that was first. Needs the lock of `alone`. */
function claim(key, now) {
  const told = { ...unkept, ...read() };
  if (told[key]) return false;
  told[key] = now;
  const kept = Object.fromEntries(Object.entries(told).sort(([, one], [, other]) => other - one).slice(0, MOST));
  unkept = kept;
  try {
    localStorage.setItem(KEPT, JSON.stringify(kept));
  } catch {
    // As above.
  }
  return true;
}

/** Those of the keys that no tab has told of before; from now on they are told of. */
export function claimAll(keys, now = Date.now()) {
  const take = () => keys.filter((key) => claim(key, now));
  // Only secure pages have locks; elsewhere two tabs may, rarely, both be first.
  return navigator.locks ? navigator.locks.request(KEPT, take) : Promise.resolve(take());
}

export function forgetAll() {
  unkept = {};
  try {
    localStorage.removeItem(KEPT);
  } catch {
    // Nothing was kept.
  }
}
