"use strict";
(() => {
  const views = new Map();
  const narrow = matchMedia("(max-width: 34rem)");
  const specs = JSON.parse(document.getElementById("charts").textContent);
  const options = {
    renderer: "svg",
    actions: false,
    defaultStyle: false,
    tooltip: { disableDefaultStyle: true, theme: "page" },
  };

  const draw = async (place) => {
    try {
      const spec = specs[place.id];
      for (const param of spec.params) {
        if (param.name === "narrow") param.value = narrow.matches;
        if (param.name === "hidden") param.value = hiddenOf(place.id);
        if (param.name === "shade") param.value = shadeOf(place.id) ?? param.value;
      }
      const { view } = await vegaEmbed(place, spec, options);
      views.set(place.id, view);
      // What the reader has hidden or switched while it was drawn.
      view.signal("hidden", hiddenOf(place.id));
      if (shadeOf(place.id)) view.signal("shade", shadeOf(place.id));
      await view.runAsync();
      // The place is an image with words of its own; the drawing's parts have none that anyone could use.
      place.querySelector("svg").setAttribute("aria-hidden", "true");
    } catch (error) {
      place.textContent = `This chart could not be drawn (${error.message}). Its numbers are in the table below.`;
    }
  };

  // All legends of a chart that are shown count, also those of other meanings of its colors.
  const hiddenOf = (name) =>
    [...document.querySelectorAll(`.legend[data-charts~="${name}"] [aria-pressed="false"]`)].map((button) => button.dataset.key);
  const shadeOf = (name) => document.querySelector(`.switch[data-chart="${name}"] :checked`)?.value;

  narrow.addEventListener("change", () => {
    for (const view of views.values()) view.signal("narrow", narrow.matches).runAsync();
  });

  for (const legend of document.querySelectorAll(".legend")) {
    legend.addEventListener("click", (event) => {
      const button = event.target.closest("button");
      if (!button) return;
      button.setAttribute("aria-pressed", button.getAttribute("aria-pressed") === "true" ? "false" : "true");
      for (const name of legend.dataset.charts.split(" ")) views.get(name)?.signal("hidden", hiddenOf(name)).runAsync();
    });
  }

  for (const group of document.querySelectorAll(".switch")) {
    const name = group.dataset.chart;
    const turn = () => {
      for (const legend of document.querySelectorAll(`.legend[data-charts="${name}"]`))
        legend.hidden = legend.dataset.shade !== shadeOf(name);
      views.get(name)?.signal("shade", shadeOf(name)).runAsync();
    };
    group.addEventListener("change", turn);
    // A browser that comes back to the page may remember another choice than the first.
    turn();
  }

  for (const table of document.querySelectorAll("table.sortable")) {
    table.tHead.addEventListener("click", (event) => {
      const heading = event.target.closest("button")?.parentElement;
      if (!heading) return;
      const ascending = heading.getAttribute("aria-sort") !== "ascending";
      for (const other of table.tHead.rows[0].cells) other.removeAttribute("aria-sort");
      heading.setAttribute("aria-sort", ascending ? "ascending" : "descending");
      const value = (row) => {
        const cell = row.cells[heading.cellIndex];
        return cell.dataset.value === undefined ? cell.textContent.trim() : Number(cell.dataset.value);
      };
      // What is not known has no data-value and stays below every number.
      const compare = (left, right) => {
        const [a, b] = [value(left), value(right)];
        if (typeof a !== typeof b) return typeof a === "number" ? -1 : 1;
        const order = typeof a === "number" ? a - b : a.localeCompare(b);
        return ascending ? order : -order;
      };
      table.tBodies[0].append(...[...table.tBodies[0].rows].sort(compare));
    });
  }

  for (const button of document.querySelectorAll("button.copy")) {
    if (!navigator.clipboard) continue;
    button.hidden = false;
    button.addEventListener("click", async () => {
      await navigator.clipboard.writeText(button.parentElement.querySelector("code").textContent);
      button.textContent = "Copied";
    });
  }

  // What is folded away has no width to draw in before it is opened.
  for (const fold of document.querySelectorAll("details:has(.chart)")) {
    fold.addEventListener("toggle", async () => {
      for (const place of fold.querySelectorAll(".chart:empty")) await draw(place);
    });
  }

  // Last, and one after the other: buttons and tables answer while the charts are drawn.
  (async () => {
    for (const place of document.querySelectorAll(".chart")) {
      if (place.closest("details:not([open])")) continue;
      await draw(place);
      await new Promise((done) => setTimeout(done));
    }
    document.documentElement.dataset.ready = performance.now();
  })();
})();
