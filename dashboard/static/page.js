// Before anything is painted: the theme that was chosen here, or the system's, and the reader's time zone for the server.
(() => {
  const root = document.documentElement;
  const system = matchMedia("(prefers-color-scheme: dark)");
  const show = () => { root.dataset.theme = localStorage.theme ?? (system.matches ? "dark" : "light"); };
  show();
  system.addEventListener("change", show);
  window.toggleTheme = () => {
    localStorage.theme = root.dataset.theme === "dark" ? "light" : "dark";
    show();
  };
  const zone = Intl.DateTimeFormat().resolvedOptions().timeZone;
  document.cookie = `zone=${encodeURIComponent(zone)}; path=/; max-age=31536000; samesite=lax`;
})();

// "/" goes to the search field, g and a letter to a page.
(() => {
  const pages = { o: "/", j: "/jobs", n: "/jobs/new", c: "/compare", d: "/data", m: "/models", p: "/projects" };
  let began = 0;
  document.addEventListener("keydown", (event) => {
    if (event.ctrlKey || event.metaKey || event.altKey || event.target.closest("input, textarea, select")) return;
    if (event.key === "/") {
      const search = document.querySelector("input[type=search]");
      if (search) { event.preventDefault(); search.focus(); }
    } else if (event.key === "g") {
      began = event.timeStamp;
    } else if (event.timeStamp - began < 1000 && pages[event.key]) {
      location.href = pages[event.key];
    }
  });
})();
