// A query as the YAML of a panel, to paste into a file that the setting `panels` names. docs/panels.md has the format.

const quoted = (text) => `'${text.replaceAll("'", "''")}'`;
const slug = (title) => title.toLowerCase().replace(/[^a-z0-9]+/g, "_").replace(/^[^a-z]+|_+$/g, "") || "my_panel";

/** `labels`: those that tell the series apart; without any, the legend is the title. */
export function panelYaml({ title, query, unit, labels }) {
  const legend = labels.filter((name) => name !== "__name__").map((name) => `{{${name}}}`).join(" ") || title;
  const expr = query.includes("\n") ? `|-\n${query.split("\n").map((line) => `          ${line}`).join("\n")}` : quoted(query);
  return [
    "panels:",
    `  - id: ${slug(title)}`,
    "    page: overview",
    "    kind: chart",
    `    title: ${quoted(title)}`,
    `    unit: ${unit}`,
    "    lines:",
    `      - expr: ${expr}`,
    `        legend: ${quoted(legend)}`,
    "",
  ].join("\n");
}
