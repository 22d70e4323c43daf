// The faces of the photo: boxes over it, one of which is chosen.

const MARGIN = 2.4; // side of a box, as a multiple of the extent of the face's five points

export class Faces {
  constructor(place) {
    this.place = place;
    this.forget();
  }

  forget() {
    this.all = null; // [[x, y], ...] of each; null until they are known
    this.place.replaceChildren();
  }

  get chosen() {
    return this.all?.[this.number];
  }

  show(all, width, height) {
    this.all = all;
    this.place.replaceChildren(...all.map((points, number) => this.box(points, number, width, height)));
    this.choose(0);
  }

  choose(number) {
    this.number = number;
    for (const [index, each] of [...this.place.children].entries()) each.ariaPressed = String(index === number);
  }

  box(points, number, width, height) {
    const button = Object.assign(document.createElement("button"), { type: "button", ariaLabel: `Face ${number + 1}` });
    button.onclick = () => this.choose(number);
    const [x, y] = [0, 1].map(axis => points.map(point => point[axis]));
    const extent = values => Math.max(...values) - Math.min(...values);
    const side = MARGIN * Math.max(extent(x), extent(y));
    const start = values => Math.min(...values) + (extent(values) - side) / 2;
    const percent = (value, whole) => `${100 * value / whole}%`;
    Object.assign(button.style, {
      left: percent(start(x), width), top: percent(start(y), height),
      width: percent(side, width), height: percent(side, height),
    });
    return button;
  }
}
