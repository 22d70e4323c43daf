// The line between before and after, at a share of what is seen of the photo.

export class Comparison {
  constructor(view, divider, range, after) {
    Object.assign(this, { view, divider, range, after, isOn: false });
    range.oninput = () => this.place();
    divider.onpointerdown = event => divider.setPointerCapture(event.pointerId);
    divider.onpointermove = event => {
      if (!divider.hasPointerCapture(event.pointerId)) return;
      const [left, right] = this.seen;
      range.value = 100 * (1 - (view.at(event)[0] - left) / (right - left));
      this.place();
    };
  }

  // Left and right of what is seen, in pixels of the screen.
  get seen() {
    const { left, width, scale, element } = this.view;
    return [Math.max(left, 0), Math.min(left + width * scale, element.clientWidth)];
  }

  place() {
    const [left, right] = this.seen;
    const x = left + (right - left) * (1 - this.range.value / 100);
    this.divider.hidden = !this.isOn;
    this.divider.style.left = `${x}px`;
    this.after.style.clipPath = this.isOn ? `inset(0 0 0 ${Math.max(x - this.view.left, 0)}px)` : "none";
  }
}
