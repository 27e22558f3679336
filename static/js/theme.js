// Sets the theme and the rail's width before anything is painted; the only script that runs ahead of the page.
(function () {
  const root = document.documentElement;
  const system = matchMedia("(prefers-color-scheme: light)");
  function read(key) {
    try { return localStorage.getItem(key); } catch { return null; } // storage may be forbidden; the default will do
  }
  function apply() {
    const chosen = read("wakeless.theme") || "auto";
    root.dataset.theme = chosen;
    root.dataset.bsTheme = chosen === "auto" ? (system.matches ? "light" : "dark") : chosen;
    root.dataset.rail = read("wakeless.rail") || "wide";
    document.dispatchEvent(new Event("themechange"));
  }
  system.addEventListener("change", apply);
  window.wakelessTheme = apply;
  apply();
})();
