// The mask that is painted over the photo, at the photo's size: a list of steps, drawn in order.

const COLOUR = "#f0f";

export class Mask {
  constructor(canvas) {
    this.canvas = canvas;
    this.pen = canvas.getContext("2d", { willReadFrequently: true });
    this.steps = [];
  }

  reset(width, height) {
    Object.assign(this.canvas, { width, height });
    this.steps = [];
  }

  // === Strokes: points in the photo's pixels ===

  begin(point, width, erase) {
    this.stroke = { points: [point], width, erase };
    this.steps.push(this.stroke);
    this.line(this.stroke, point, point);
  }

  extend(point) {
    this.line(this.stroke, this.stroke.points.at(-1), point);
    this.stroke.points.push(point);
  }

  line({ width, erase }, from, to) {
    const pen = this.pen;
    pen.globalCompositeOperation = erase ? "destination-out" : "source-over";
    Object.assign(pen, { strokeStyle: COLOUR, lineWidth: width, lineCap: "round" });
    pen.beginPath();
    pen.moveTo(...from);
    pen.lineTo(...to);
    pen.stroke();
    pen.globalCompositeOperation = "source-over";
  }

  draw(step) {
    if (step.clear) this.pen.clearRect(0, 0, this.canvas.width, this.canvas.height);
    else if (step.picture) this.pen.drawImage(step.picture, 0, 0);
    else step.points.forEach((point, index) => this.line(step, step.points[Math.max(index - 1, 0)], point));
  }

  // === Steps ===

  add(step) {
    this.steps.push(step);
    this.draw(step);
  }

  clear() {
    if (this.steps.length) this.add({ clear: true });
  }

  undo() {
    this.steps.pop();
    this.draw({ clear: true });
    this.steps.forEach(step => this.draw(step));
  }

  // Mark what a mask file marks: what is white in it or, on a transparent layer, what is drawn.
  load(bitmap) {
    const { width, height } = this.canvas;
    if (bitmap.width !== width || bitmap.height !== height)
      throw new Error(`The mask is ${bitmap.width} x ${bitmap.height}, the photo ${width} x ${height}: they must have the same size.`);
    const picture = new OffscreenCanvas(width, height), pen = picture.getContext("2d");
    pen.drawImage(bitmap, 0, 0);
    const image = pen.getImageData(0, 0, width, height);
    const marked = marks(image.data);
    const pixels = new Uint32Array(image.data.buffer);
    for (let i = 0; i < pixels.length; i++) pixels[i] = marked(i) ? 0xffff00ff : 0;
    pen.putImageData(image, 0, 0);
    this.add({ picture });
  }

  // === What is marked ===

  get isEmpty() {
    const { width, height } = this.canvas, rows = Math.max(1, Math.floor(1e6 / width));
    for (let y = 0; y < height; y += rows) {
      const { data } = this.pen.getImageData(0, y, width, Math.min(rows, height - y));
      for (let i = 3; i < data.length; i += 4) if (data[i] > 127) return false;
    }
    return true;
  }

  // White where the photo is marked, on black.
  async file() {
    const { width, height } = this.canvas;
    const canvas = new OffscreenCanvas(width, height), pen = canvas.getContext("2d");
    pen.drawImage(this.canvas, 0, 0);
    pen.globalCompositeOperation = "source-in";
    pen.fillStyle = "#fff";
    pen.fillRect(0, 0, width, height);
    pen.globalCompositeOperation = "destination-over";
    pen.fillStyle = "#000";
    pen.fillRect(0, 0, width, height);
    return canvas.convertToBlob({ type: "image/png" });
  }
}

// Whether pixel i of RGBA data is marked.
function marks(data) {
  const visible = i => data[4 * i + 3] > 127;
  const light = i => 0.299 * data[4 * i] + 0.587 * data[4 * i + 1] + 0.114 * data[4 * i + 2] > 127;
  let seen = 0, lights = 0, coloured = false;
  for (let i = 0; i < data.length / 4; i++) {
    if (!visible(i)) continue;
    seen++;
    lights += light(i);
    coloured ||= data[4 * i] !== data[4 * i + 1] || data[4 * i] !== data[4 * i + 2];
  }
  const opaque = seen === data.length / 4;
  return opaque || (lights && lights < seen && !coloured) ? i => visible(i) && light(i) : visible;
}
