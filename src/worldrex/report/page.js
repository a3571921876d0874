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
      for (const param of spec.params) if (param.name === "narrow") param.value = narrow.matches;
      const { view } = await vegaEmbed(place, spec, options);
      views.set(place.id, view);
      // What the reader has hidden before the chart was there.
      const legend = document.querySelector(`.legend[data-charts~="${place.id}"]:has([aria-pressed="false"])`);
      if (legend) apply(legend, [place.id]);
      // The place is an image with words of its own; the drawing's parts have none that anyone could use.
      place.querySelector("svg").setAttribute("aria-hidden", "true");
    } catch (error) {
      place.textContent = `This chart could not be drawn (${error.message}). Its numbers are in the table below.`;
    }
  };

  const apply = (legend, names) => {
    const hidden = [...legend.querySelectorAll('[aria-pressed="false"]')].map((button) => button.dataset.key);
    for (const name of legend.dataset.charts.split(" "))
      if (names.includes(name)) views.get(name)?.signal("hidden", hidden).runAsync();
  };

  narrow.addEventListener("change", () => {
    for (const view of views.values()) view.signal("narrow", narrow.matches).runAsync();
  });

  for (const legend of document.querySelectorAll(".legend")) {
    legend.addEventListener("click", (event) => {
      const button = event.target.closest("button");
      if (!button) return;
      button.setAttribute("aria-pressed", button.getAttribute("aria-pressed") === "true" ? "false" : "true");
      apply(legend, legend.dataset.charts.split(" "));
    });
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

  // Last, and one after the other: buttons and tables answer while the charts are drawn.
  (async () => {
    for (const place of document.querySelectorAll(".chart")) {
      await draw(place);
      await new Promise((done) => setTimeout(done));
    }
    document.documentElement.dataset.ready = "yes";
  })();
})();
