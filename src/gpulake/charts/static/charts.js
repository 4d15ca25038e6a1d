// Draws each figure of the page from the data beside it, in the reader's colours and the page's width.
// Needs vega.js, nothing else: no inline script, no evaluated text, no request.
"use strict";
(() => {
  const NARROW_PX = 560;
  const dark = matchMedia("(prefers-color-scheme: dark)");

  // A column is a list of values, or, where the same come again and again, {of: those, at: which}.
  const rows = (columns) => {
    const names = Object.keys(columns);
    const values = names.map((name) => {
      const column = columns[name];
      return Array.isArray(column) ? column : column.at.map((i) => column.of[i]);
    });
    return (values[0] || []).map((_, i) => Object.fromEntries(names.map((name, n) => [name, values[n][i]])));
  };

  // "colour:idle_held" is the page's --chart-idle-held.
  const settled = (part, style, sizes) => {
    if (Array.isArray(part)) return part.map((each) => settled(each, style, sizes));
    if (part !== null && typeof part === "object") {
      return Object.fromEntries(Object.entries(part).map(([key, value]) => [key, settled(value, style, sizes)]));
    }
    if (typeof part !== "string") return part;
    if (part in sizes) return sizes[part];
    if (!part.startsWith("colour:")) return part;
    return style.getPropertyValue("--chart-" + part.slice(7).replaceAll("_", "-")).trim();
  };

  const draw = async (figure) => {
    const picture = figure.querySelector(".picture");
    const said = JSON.parse(figure.querySelector('script[type="application/json"]').textContent);
    picture.hidden = false;
    const width = Math.floor(picture.clientWidth);
    if (!width || figure.drawn === `${width} ${dark.matches}`) return;
    figure.drawn = `${width} ${dark.matches}`;
    const isNarrow = width < NARROW_PX;
    const sizes = {
      "width:plot": isNarrow && said.narrow ? width : Math.max(80, width - said.besides),
      "columns:legend": isNarrow ? 2 : 0,
    };
    const spec = settled((isNarrow && said.narrow) || said.spec, getComputedStyle(document.documentElement), sizes);
    spec.datasets = Object.fromEntries(Object.entries(said.rows).map(([name, columns]) => [name, rows(columns)]));
    if (figure.view) figure.view.finalize();
    // Vega names what it draws into "Vega visualization": in an element of its own the picture keeps its words.
    const ground = document.createElement("div");
    picture.replaceChildren(ground);
    try {
      figure.view = await vegaEmbed(ground, spec, {
        actions: false,
        ast: true,
        defaultStyle: false,
        logLevel: 1, // errors only
        mode: "vega-lite",
        renderer: "svg",
        tooltip: { disableDefaultStyle: true },
      });
    } catch (error) {
      picture.hidden = true;
      figure.querySelector("details.figures").open = true;
      console.error(figure.id, error);
    }
  };

  const figures = [...document.querySelectorAll("figure.chart")].filter((each) => each.querySelector('script[type="application/json"]'));
  const drawAll = () => figures.forEach(draw);
  let waiting;
  const soon = () => {
    clearTimeout(waiting);
    waiting = setTimeout(drawAll, 120);
  };
  dark.addEventListener("change", soon);
  addEventListener("resize", soon);
  drawAll();
})();
