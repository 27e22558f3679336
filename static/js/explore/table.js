// The instant answer as a table that sorts by any column.

import { el, find, reconcile, show, text } from "../dom.js";
import { precise, sayFull, sayText } from "../format.js";
import { t } from "../i18n.js";

export class Table {
  constructor() {
    this.root = find("#table");
    this.order = null;
  }

  /** `table` as answer.js makes it; `most` rows are shown. */
  paint(table, unit, most) {
    if (this.columns !== table.columns.join()) this.order = null; // another kind of table: as it came
    Object.assign(this, { table, unit, most, columns: table.columns.join() });
    this.draw();
  }

  draw() {
    const { table } = this;
    const heads = [...table.columns.map((name) => (name === "@time" ? t("Time") : name)), t("Value")];
    find("thead", this.root).replaceChildren(el("tr", {}, ...heads.map((name, index) => this.head(name, index))));
    const rows = this.sorted().slice(0, this.most);
    reconcile(find("tbody", this.root), rows, {
      key: (_, index) => `${index}.${heads.length}`,
      make: (row) => el("tr", {}, ...row.map((_, index) => el("td", { className: index === row.length - 1 ? "number" : "" }))),
      fill: (node, row) => row.forEach((value, index) => this.fill(node.children[index], value, index)),
    });
    show(find("#table-empty"), rows.length === 0);
    show(this.root, rows.length > 0);
  }

  head(name, index) {
    const direction = this.order?.index === index ? this.order.direction : 0;
    const button = el("button", { type: "button", on: { click: () => this.sort(index) } }, name, el("span", { "aria-hidden": "true" }, ["▼", "", "▲"][direction + 1]));
    return el("th", { scope: "col", "aria-sort": ["descending", "none", "ascending"][direction + 1], className: index === this.table.columns.length ? "number" : "" }, button);
  }

  fill(cell, value, index) {
    const { columns } = this.table;
    if (columns[index] === "@time") {
      text(cell, sayFull(value));
      cell.title = new Date(value).toISOString();
    } else if (index < columns.length || this.table.kind === "string") {
      text(cell, value);
      cell.title = value;
    } else {
      const number = Number(value);
      text(cell, Number.isFinite(number) ? (this.unit === "count" ? precise(number) : sayText(number, this.unit)) : value);
      cell.title = value;
    }
  }

  sort(index) {
    const last = this.order?.index === index ? this.order.direction : 0;
    const first = index === this.table.columns.length ? -1 : 1; // numbers: largest first
    const direction = last === 0 ? first : last === first ? -first : 0;
    this.order = direction ? { index, direction } : null;
    this.draw();
    find(`th:nth-child(${index + 1}) button`, this.root).focus();
  }

  sorted() {
    if (!this.order) return this.table.rows;
    const { index, direction } = this.order;
    const numeric = index >= this.table.columns.length || this.table.columns[index] === "@time";
    const compare = numeric
      ? (one, other) => (Number.isNaN(Number(one)) - Number.isNaN(Number(other))) || direction * (Number(one) - Number(other))
      : (one, other) => direction * one.localeCompare(other, undefined, { numeric: true });
    return [...this.table.rows].sort((one, other) => compare(one[index], other[index]));
  }
}
