// Controls of an action, made of what the server says of its inputs.

const FEW = 8; // whole numbers that are listed rather than typed

// Puts the controls into `place`, and returns a function that reads them.
export function build(place, inputs) {
  place.replaceChildren();
  const readers = Object.entries(inputs).map(([name, input]) => [name, reader(place, name, input)]);
  return () => Object.fromEntries(readers.filter(([, read]) => read).map(([name, read]) => [name, read()]));
}

function reader(place, name, input) {
  if (["image_bytes", "mask_bytes", "points"].includes(name)) return null;
  if (input.dtype === "DT_STRING") return file(place, name, input);
  if (input.names.length) return several(place, name, input);
  if (input.dtype === "DT_INT32") return whole(place, name, input);
  return input.automatic ? automatic(place, name, input) : slider(place, name, input.label, input);
}

function row(place, label, ...parts) {
  const row = document.createElement("label");
  row.className = "row";
  row.append(label, " ", ...parts);
  place.append(row);
  return row;
}

function element(tag, properties) {
  return Object.assign(document.createElement(tag), properties);
}

function slider(place, name, label, { low, high, default: first }) {
  const range = element("input", {
    type: "range", id: `control-${name}`, min: low, max: high, step: high - low > 1 ? 0.1 : 0.05, value: first,
  });
  const shown = element("output", {});
  const show = () => { shown.value = (+range.value).toFixed(high - low > 1 ? 1 : 2); };
  range.oninput = show;
  show();
  row(place, label, range, shown);
  return () => +range.value;
}

function automatic(place, name, input) {
  const box = element("input", { type: "checkbox", id: `control-${name}-automatic`, checked: true });
  row(place, box, `${input.label} as much as it needs`);
  const read = slider(place, name, input.label, { ...input, low: 0, default: input.high / 2 });
  const range = place.lastElementChild.querySelector("input");
  const follow = () => { range.disabled = box.checked; };
  box.onchange = follow;
  follow();
  return () => (box.checked ? -1 : read());
}

function several(place, name, input) {
  const readers = input.names.map(each => slider(place, `${name}-${each}`, spelled(each), input));
  const reset = element("button", { type: "button", textContent: "Reset" });
  reset.onclick = () => {
    for (const range of place.querySelectorAll(`[id^="control-${name}-"]`)) {
      range.value = input.default;
      range.oninput();
    }
  };
  place.append(reset);
  return () => readers.map(read => read());
}

function whole(place, name, { label, low, high, default: first }) {
  const id = `control-${name}`;
  if (low === 0 && high === 1) {
    const box = element("input", { type: "checkbox", id, checked: first === 1 });
    row(place, box, label);
    return () => +box.checked;
  }
  const list = high !== null && high - low < FEW;
  const field = list
    ? element("select", { id })
    : element("input", { id, type: "number", min: low ?? "", max: high ?? "", value: first });
  if (list) for (let each = low; each <= high; each++) field.add(new Option(each, each, each === first, each === first));
  row(place, label, field);
  return () => Math.round(+field.value);
}

function file(place, name, { label }) {
  const field = element("input", { type: "file", id: `control-${name}`, accept: "image/*" });
  row(place, label, field).classList.add("wide");
  return () => {
    if (!field.files.length) throw new Error(`Choose a file first: ${label.toLowerCase()}.`);
    return field.files[0];
  };
}

// black_hair -> Black hair
const spelled = name => (name[0].toUpperCase() + name.slice(1)).replaceAll("_", " ");
