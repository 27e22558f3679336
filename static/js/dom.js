// Small helpers over the DOM. Text always goes through textContent.

const SPRITE = new URL("../icons.svg", import.meta.url).href;

export const find = (selector, root = document) => root.querySelector(selector);
export const all = (selector, root = document) => [...root.querySelectorAll(selector)];

/** Make an element: properties, `data` for data-attributes, `on` for listeners, then children or text. */
export function el(tag, { data = {}, on = {}, ...properties } = {}, ...children) {
  const node = document.createElement(tag);
  for (const [name, value] of Object.entries(properties)) {
    if (name in node) node[name] = value;
    else node.setAttribute(name, value);
  }
  Object.assign(node.dataset, data);
  for (const [type, listener] of Object.entries(on)) node.addEventListener(type, listener);
  node.append(...children.filter((child) => child !== null && child !== undefined));
  return node;
}

export function icon(name) {
  const svg = document.createElementNS("http://www.w3.org/2000/svg", "svg");
  const use = document.createElementNS("http://www.w3.org/2000/svg", "use");
  svg.setAttribute("class", "icon");
  svg.setAttribute("aria-hidden", "true");
  use.setAttribute("href", `${SPRITE}#${name}`);
  svg.append(use);
  return svg;
}

/** Set the text of a node (or of `[data-field=name]` inside `root`) only where it changes: no needless layout. */
export function text(node, value) {
  const said = value === null || value === undefined ? "" : String(value);
  if (node && node.textContent !== said) node.textContent = said;
}

export const field = (root, name) => root.querySelector(`[data-field="${name}"]`);

export function show(node, visible) {
  if (node && node.hidden === visible) node.hidden = !visible;
}

/** Keep `container` in step with `items`: one node per key, in order, made once and then only filled. */
export function reconcile(container, items, { key, make, fill }) {
  const known = new Map();
  for (const node of [...container.children]) {
    const id = node.dataset.key ?? node.dataset.id ?? node.dataset.gpu;
    if (id === undefined || known.has(id)) node.remove();
    else known.set(id, node);
  }
  items.forEach((item, index) => {
    const id = String(key(item, index));
    let node = known.get(id);
    known.delete(id);
    if (!node) node = make(item);
    node.dataset.key = id;
    if (container.children[index] !== node) container.insertBefore(node, container.children[index] ?? null);
    fill(node, item);
  });
  for (const node of known.values()) node.remove();
}

export const blank = (id) => document.getElementById(id).content.firstElementChild.cloneNode(true);
