// The photo on the screen: zoomed, moved and, where there is a painter, painted on.

const MOST = 16; // screen pixels of one pixel of the photo
const STEP = 1.25;

export class View {
  // `painter` has isActive(), begin, extend (with a point of the photo), end and cancel; `changed` is called after every
  // change of what is seen.
  constructor(element, stage, painter, changed) {
    Object.assign(this, { element, stage, painter, changed });
    this.width = this.height = this.left = this.top = 0;
    this.scale = 1;
    this.pointers = new Map();
    element.addEventListener("pointerdown", event => this.down(event));
    element.addEventListener("pointermove", event => this.move(event));
    for (const kind of ["pointerup", "pointercancel"]) element.addEventListener(kind, event => this.up(event));
    element.addEventListener("wheel", event => this.wheel(event), { passive: false });
    element.addEventListener("keydown", event => this.key(event));
    new ResizeObserver(() => (this.fitted ? this.fit() : this.place())).observe(element);
  }

  show(width, height) {
    Object.assign(this, { width, height });
    this.fit();
  }

  get least() {
    return Math.min(this.element.clientWidth / this.width, this.element.clientHeight / this.height, 1);
  }

  fit() {
    if (!this.width) return;
    this.scale = this.least;
    this.place();
  }

  place() {
    if (!this.width) return;
    this.fitted = this.scale <= this.least;
    const inside = (start, size, room) => size <= room ? (room - size) / 2 : Math.min(0, Math.max(room - size, start));
    const width = this.width * this.scale, height = this.height * this.scale;
    this.left = inside(this.left, width, this.element.clientWidth);
    this.top = inside(this.top, height, this.element.clientHeight);
    Object.assign(this.stage.style, {
      width: `${width}px`, height: `${height}px`, transform: `translate(${this.left}px, ${this.top}px)`,
    });
    this.stage.classList.toggle("pixels", this.scale >= 4);
    this.changed();
  }

  // Zoom about a place of the element; its middle where none is given.
  zoom(factor, x = this.element.clientWidth / 2, y = this.element.clientHeight / 2) {
    const scale = Math.min(MOST, Math.max(this.least, this.scale * factor));
    this.left = x - (x - this.left) * scale / this.scale;
    this.top = y - (y - this.top) * scale / this.scale;
    this.scale = scale;
    this.place();
  }

  pan(x, y) {
    this.left += x;
    this.top += y;
    this.place();
  }

  // === Events ===

  at(event) {
    const box = this.element.getBoundingClientRect();
    return [event.clientX - box.left, event.clientY - box.top];
  }

  point(event) {
    const [x, y] = this.at(event);
    return [(x - this.left) / this.scale, (y - this.top) / this.scale];
  }

  down(event) {
    if (!this.width || event.button > 1 || event.target.closest("button, label, #divider")) return;
    if (event.button === 1) event.preventDefault();
    this.element.setPointerCapture(event.pointerId);
    this.pointers.set(event.pointerId, this.at(event));
    if (this.pointers.size > 1 && this.isPainting) {
      this.painter.cancel();
      this.isPainting = false;
    } else if (this.pointers.size === 1 && event.button === 0 && this.painter.isActive()) {
      this.isPainting = true;
      this.painter.begin(this.point(event));
    }
  }

  move(event) {
    const before = this.pointers.get(event.pointerId);
    if (!before) return;
    if (this.isPainting) {
      for (const each of event.getCoalescedEvents?.() ?? [event]) this.painter.extend(this.point(each));
      return;
    }
    const here = this.at(event);
    const other = [...this.pointers].find(([id]) => id !== event.pointerId)?.[1];
    this.pointers.set(event.pointerId, here);
    const share = other ? 0.5 : 1; // each of two fingers moves their middle by half
    this.pan(share * (here[0] - before[0]), share * (here[1] - before[1]));
    if (other) {
      const far = ([x, y]) => Math.hypot(x - other[0], y - other[1]);
      this.zoom(far(here) / Math.max(far(before), 1), (here[0] + other[0]) / 2, (here[1] + other[1]) / 2);
    }
  }

  up(event) {
    this.pointers.delete(event.pointerId);
    if (!this.isPainting) return;
    this.isPainting = false;
    this.painter.end();
  }

  wheel(event) {
    if (!this.width) return;
    event.preventDefault();
    this.zoom(Math.exp(-Math.sign(event.deltaY) * Math.min(Math.abs(event.deltaY), 100) / 400), ...this.at(event));
  }

  key(event) {
    if (event.target !== this.element || event.ctrlKey || event.metaKey || event.altKey) return;
    const moves = { ArrowLeft: [60, 0], ArrowRight: [-60, 0], ArrowUp: [0, 60], ArrowDown: [0, -60] };
    if (moves[event.key]) this.pan(...moves[event.key]);
    else if (event.key === "+" || event.key === "=") this.zoom(STEP);
    else if (event.key === "-") this.zoom(1 / STEP);
    else if (event.key === "0") this.fit();
    else return;
    event.preventDefault();
  }
}
