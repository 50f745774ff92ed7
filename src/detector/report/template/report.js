// Unpacks plotly.js and draws the page's charts in the page's own colors, on screen and on paper.
(async () => {
  "use strict";
  const root = document.documentElement;
  const figures = JSON.parse(document.getElementById("figures").textContent);
  const charts = Object.keys(figures).map((id) => document.getElementById(id));

  if (!("DecompressionStream" in window)) {
    charts.forEach((chart) => { chart.textContent = "This browser is too old to show charts."; });
    return;
  }
  const packed = atob(document.getElementById("plotly").textContent);
  const bytes = Uint8Array.from(packed, (character) => character.charCodeAt(0));
  const unpacked = new Blob([bytes]).stream().pipeThrough(new DecompressionStream("gzip"));
  const library = document.createElement("script");
  library.textContent = await new Response(unpacked).text();
  document.head.append(library);

  const colors = () => {
    const style = getComputedStyle(root);
    const [quiet, rule] = ["--quiet", "--rule"].map((name) => style.getPropertyValue(name).trim());
    return {
      "font.color": quiet,
      "font.family": getComputedStyle(document.body).fontFamily,
      "xaxis.gridcolor": rule, "yaxis.gridcolor": rule,
      "xaxis.linecolor": rule, "yaxis.linecolor": rule,
    };
  };
  const paint = () => charts.forEach((chart) => Plotly.relayout(chart, colors()));
  const print = () => {
    root.classList.add("paper");
    charts.forEach((chart) => Plotly.relayout(chart, {
      ...colors(), width: chart.clientWidth, height: chart.clientHeight,
    }));
  };
  const unprint = () => {
    root.classList.remove("paper");
    charts.forEach((chart) => Plotly.relayout(chart, {
      ...colors(), width: null, height: null, autosize: true,
    }));
  };

  await Promise.all(charts.map((chart) => Plotly.newPlot(
    chart, figures[chart.id].data, figures[chart.id].layout,
    { displayModeBar: false, responsive: true },
  )));
  paint();
  matchMedia("(prefers-color-scheme: dark)").addEventListener("change", paint);
  addEventListener("beforeprint", print);
  addEventListener("afterprint", unprint);
  root.dataset.charts = "drawn";
})();
