// The tiles on top of the overview: a number, its threshold's colour, a sparkline.

import { all, field, find, show, text } from "./dom.js";
import { say } from "./format.js";
import { sparkPaths } from "./spark.js";

const RANK = { warning: 1, critical: 2 };

function levelOf(panel, value) {
  const reached = panel.thresholds.filter((bound) => value !== null && value >= bound.at).map((bound) => bound.level);
  return reached.sort((one, other) => RANK[other] - RANK[one])[0] ?? "";
}

export function startTiles(store, history) {
  const panels = new Map(store.first.panels.filter((panel) => panel.kind === "tile").map((panel) => [panel.id, panel]));
  const tiles = all("[data-tile]");

  function paint() {
    for (const tile of tiles) {
      const panel = panels.get(tile.dataset.tile);
      const value = Object.values(store.values[panel.id] ?? {})[0] ?? panel.idle ?? null;
      const said = say(value, panel.unit);
      text(field(tile, "number"), said.number);
      text(field(tile, "unit"), said.unit);
      tile.dataset.state = levelOf(panel, value);
    }
    show(find('[data-group="GPU"]'), Object.keys(store.values.gpus ?? {}).length > 0);
  }

  function draw() {
    if (document.hidden) return;
    const { start, end } = store.window();
    for (const tile of tiles) {
      const series = history.panels.get(tile.dataset.tile)?.series?.[0];
      const paths = series ? sparkPaths(history.times, series.values, start, end) : { line: "", area: "" };
      find(".line", tile).setAttribute("d", paths.line);
      find(".area", tile).setAttribute("d", paths.area);
    }
  }

  return { paint, draw };
}
