// What charts ask of a store, for a chart whose times stand still until its page moves them.

export class Still extends EventTarget {
  constructor() {
    super();
    this.shown = { start: 0, end: 1, step: 1 };
  }

  on(type, listener) { this.addEventListener(type, ({ detail }) => listener(detail)); }
  emit(type, detail) { this.dispatchEvent(new CustomEvent(type, { detail })); }
  window() { return this.shown; }
  setWindow() {}
  zoomOut() {}
}
