// Start the charts, each when it comes near the visible part.

/** Use a theme, and draw the charts in its colours. */
function useTheme(dark) {
  document.documentElement.dataset.theme = dark ? "dark" : "light";
  showTheme();
}

/** Show which theme is in use. */
function showTheme() {
  find("theme").setAttribute("aria-pressed", String(isDark()));
  announce("theme");
}

/** Start the button of the theme. Without a choice, the page follows the system. */
function startTheme() {
  const button = find("theme");
  button.hidden = false;
  button.setAttribute("aria-pressed", String(isDark()));
  button.addEventListener("click", () => useTheme(!isDark()));
  matchMedia("(prefers-color-scheme: dark)").addEventListener("change", showTheme);
  const printed = { theme: undefined };
  addEventListener("beforeprint", () => {
    printed.theme = document.documentElement.dataset.theme;
    showAll();
    for (const start of [...pending.values()]) start();
    useTheme(false);
  });
  addEventListener("afterprint", () => {
    if (printed.theme === undefined) delete document.documentElement.dataset.theme;
    else document.documentElement.dataset.theme = printed.theme;
    showTheme();
  });
}

const pending = new Map();

/** Call a function once its section comes near the visible part, or before the page is printed. */
function whenNear(section, start) {
  if (!section) return;
  const once = () => {
    pending.delete(section);
    watch.disconnect();
    start();
  };
  const watch = new IntersectionObserver((entries) => entries.some((entry) => entry.isIntersecting) && once(), { rootMargin: "400px" });
  pending.set(section, once);
  watch.observe(section);
}

performance.mark("plotly");
startTheme();
if (chartColumns().length >= 2 && table.passing.length) {
  startScatter();
  whenNear(find("parallel"), startParallel);
} else {
  find("compare").hidden = true;
}
whenNear(find("view"), startViews);
