import { defaults, list } from "./actions.js";
import { png, predict } from "./ask.js";
import { Comparison } from "./comparison.js";
import { build } from "./controls.js";
import { Faces } from "./faces.js";
import { Mask } from "./mask.js";
import { View } from "./view.js";

const $ = id => document.getElementById(id);
const mask = new Mask($("mask"));
const tool = () => document.querySelector("[name=tool]:checked").value;

const painter = {
  isActive: () => isMasked() && !result && !working && tool() !== "move",
  begin: point => { mask.begin(point, $("size").value / view.scale, tool() === "eraser"); tell(""); },
  extend: point => mask.extend(point),
  end: () => refresh(),
  cancel: () => mask.undo(),
};
const view = new View($("view"), $("stage"), painter, () => {
  $("zoom").value = `${Math.round(100 * view.scale)} %`;
  comparison.place();
});
const comparison = new Comparison(view, $("divider"), $("compare"), $("after"));
const faces = new Faces($("faces"));

let actions = []; // what can be done
let action = null;
let read = () => ({}); // the values of the controls
let photo = null; // { file, name, width, height }
let earlier = []; // the photos before results became the photo
let result = null; // { file, stem, isComparable: it shows the whole photo }
let opening = 0; // photos that are being decoded
let working = null; // cancels what the server does

const isMasked = () => Boolean(action && ("mask_bytes" in action.inputs || action.output === "mask_bytes"));
const hasFaces = () => Boolean(action && "points" in action.inputs);

// === What there is ===

async function start() {
  actions = await list();
  for (const each of actions) {
    const radio = Object.assign(document.createElement("input"), { type: "radio", name: "action", value: each.title });
    radio.onchange = () => choose(each);
    const label = document.createElement("label");
    label.append(radio, Object.assign(document.createElement("span"), { textContent: each.title }));
    $("actions").append(label);
    if (each.output !== "mask_bytes") continue;
    const button = Object.assign(document.createElement("button"), { type: "button", textContent: each.title });
    button.onclick = () => run(each, defaults(each));
    $("finders").append(button);
  }
  if (!actions.length) return tell("This server has no model that works on photos.", true);
  document.querySelector("[name=action]").checked = true;
  choose(actions[0]);
}

async function choose(chosen) {
  if (result && chosen !== action) await adopt();
  action = chosen;
  $("about").textContent = action.about;
  $("terms").textContent = action.terms;
  $("go").textContent = action.title;
  read = build($("controls"), action.inputs);
  tell("");
  refresh();
  await findFaces();
}

function refresh() {
  const isPainted = isMasked() && !result;
  document.body.classList.toggle("ready", Boolean(photo));
  $("choose").textContent = photo ? "Choose another photo" : "Choose a photo";
  $("name").textContent = photo ? `${photo.name}, ${photo.width} x ${photo.height}` : "";
  $("welcome").hidden = Boolean(photo);
  $("stage").hidden = $("zooming").hidden = !photo;
  $("painting").hidden = !isMasked() || !photo || Boolean(result);
  $("painting").disabled = !isPainted || Boolean(working);
  $("finders").hidden = action?.output === "mask_bytes";
  $("mask").hidden = !isPainted;
  $("view").classList.toggle("painting", painter.isActive());
  $("undo").disabled = !mask.steps.length;
  $("faces").hidden = !hasFaces() || Boolean(result);
  $("after").hidden = !result;
  $("after").classList.toggle("alone", Boolean(result) && !result.isComparable);
  $("outcome").hidden = !result && !earlier.length;
  $("comparing").hidden = !result?.isComparable;
  $("save").hidden = $("further").hidden = !result;
  $("before").hidden = Boolean(result) && !result.isComparable;
  $("discard").textContent = result ? "Discard result" : "Undo last edit";
  $("go").disabled = !photo || !action || opening > 0 || Boolean(working);
  $("go").hidden = $("controls").inert = Boolean(working);
  $("cancel").hidden = $("progress").hidden = !working;
  comparison.isOn = Boolean(result?.isComparable);
  comparison.place();
}

function tell(text, isError = false) {
  $("told").textContent = text;
  $("told").classList.toggle("error", isError);
}

// === The photo ===

async function open(file, name = file.name) {
  opening++;
  refresh();
  const bitmap = await createImageBitmap(file).catch(() => null).finally(() => opening--);
  refresh();
  if (!bitmap) {
    tell(unseen(name), true);
    return false;
  }
  working?.abort();
  const { width, height } = bitmap;
  bitmap.close();
  photo = { file, name, width, height };
  await show($("before"), file);
  mask.reset(width, height);
  result = null;
  faces.forget();
  refresh();
  view.show(width, height);
  return true;
}

async function load(file) {
  earlier = [];
  if (!await open(file)) return;
  tell("");
  await findFaces();
}

const unseen = name => `${name}: not a picture that this browser can show. PNG, JPEG and WebP work.`;

// Shows a picture that the browser has decoded.
async function show(image, file) {
  URL.revokeObjectURL(image.src);
  image.src = URL.createObjectURL(file);
  await image.decode();
}

// The result becomes the photo.
async function adopt() {
  earlier.push(photo);
  await open(result.file, `${result.stem}.png`);
}

$("file").onchange = event => { if (event.target.files.length) load(event.target.files[0]); };
$("file").onclick = event => { event.target.value = ""; }; // so that the same file can be chosen again
for (const kind of ["dragover", "dragleave", "drop"])
  document.addEventListener(kind, event => {
    event.preventDefault();
    $("view").classList.toggle("over", kind === "dragover");
    if (kind === "drop" && event.dataTransfer.files.length) load(event.dataTransfer.files[0]);
  });
document.addEventListener("paste", event => { if (event.clipboardData.files.length) load(event.clipboardData.files[0]); });

// === Zoom ===

$("in").onclick = () => view.zoom(1.5);
$("out").onclick = () => view.zoom(1 / 1.5);
$("fit").onclick = () => view.fit();

// === The mask ===

$("undo").onclick = () => { mask.undo(); refresh(); };
$("clear").onclick = () => { mask.clear(); refresh(); };
$("tools").onchange = refresh;
$("keep").onclick = async () => download(await mask.file(), `${stem()}_mask.png`);
$("masked").onclick = event => { event.target.value = ""; };
$("masked").onchange = async event => {
  const file = event.target.files[0];
  if (!file) return;
  try {
    await mark(file);
    tell("");
  } catch (error) {
    tell(error instanceof DOMException ? unseen(file.name) : error.message, true);
  }
};

async function mark(file) {
  mask.load(await createImageBitmap(file));
  refresh();
}

// The brush's round, where it would paint.
function cursor(event) {
  const isOver = event.type !== "pointerleave" && event.pointerType !== "touch" && painter.isActive();
  const [x, y] = view.at(event), size = +$("size").value;
  $("cursor").hidden = !isOver || !photo;
  Object.assign($("cursor").style, { width: `${size}px`, height: `${size}px`, left: `${x}px`, top: `${y}px` });
}
for (const kind of ["pointermove", "pointerdown", "pointerleave"]) $("view").addEventListener(kind, cursor);

document.addEventListener("keydown", event => {
  if ((event.ctrlKey || event.metaKey) && event.key === "z" && painter.isActive() && mask.steps.length) {
    event.preventDefault();
    $("undo").click();
  }
});

// === Faces ===

async function findFaces() {
  if (!photo || !hasFaces() || faces.all) return;
  const searched = photo;
  tell("Looking for faces …");
  let found;
  try {
    found = await predict(action.model, "faces", { image_bytes: photo.file });
  } catch (error) {
    return tell(error.message, true);
  }
  if (photo !== searched) return;
  faces.show(found, photo.width, photo.height);
  if (!found.length) tell(NO_FACE, true);
  else tell(found.length > 1 ? `${found.length} faces found: click the one to edit.` : "");
}

const NO_FACE = "No face was found in this photo.";

// === The work ===

$("panel").onsubmit = async event => {
  event.preventDefault();
  try {
    const values = read();
    for (const [name, { names, default: first }] of Object.entries(action.inputs))
      if (names.length && values[name].every(value => value === first)) throw new Error("Nothing would change: move a slider first.");
    if ("mask_bytes" in action.inputs) {
      if (mask.isEmpty) throw new Error("Nothing is marked yet: paint over what is to be repaired, or load a mask.");
      values.mask_bytes = await mask.file();
    }
    if (hasFaces()) {
      if (!faces.chosen) throw new Error(faces.all ? NO_FACE : "Still looking for faces: try again in a moment.");
      values.points = faces.chosen;
    }
    await run(action, values);
  } catch (error) {
    tell(error.message, true);
  }
};

async function run(asked, values) {
  const began = performance.now(), controller = new AbortController(), worked = photo;
  const seconds = () => (performance.now() - began) / 1000;
  working = controller;
  $("progress").removeAttribute("value");
  tell("Working …");
  const clock = setInterval(() => tell(`Working … ${Math.round(seconds())} s`), 1000);
  refresh();
  try {
    const told = share => { $("progress").value = share; };
    const answer = await predict(
      asked.model, asked.signature, { image_bytes: photo.file, ...values }, { signal: controller.signal, told });
    if (photo !== worked) return;
    if (asked.output === "mask_bytes") await mark(png(answer.b64));
    else {
      const file = png(answer.b64);
      await show($("after"), file);
      const { naturalWidth: width, naturalHeight: height } = $("after");
      const isComparable = width >= photo.width && width * photo.height === height * photo.width;
      result = { file, stem: `${stem()}_${asked.model}`, isComparable };
      $("save").href = $("after").src;
      $("save").download = `${result.stem}.png`;
      $("compare").value = 50;
    }
    const filler = actions.find(each => "mask_bytes" in each.inputs);
    const next = result?.isComparable ? "Drag the line to compare."
      : asked.output === "mask_bytes" && filler && filler !== action ? `Now ${filler.title} can fill what is marked.` : "";
    tell(`Done in ${seconds().toFixed(1)} s. ${next}`);
  } catch (error) {
    if (photo === worked) tell(controller.signal.aborted ? "Cancelled." : error.message, !controller.signal.aborted);
  } finally {
    clearInterval(clock);
    if (working === controller) working = null;
    refresh();
  }
}
$("cancel").onclick = () => working.abort();

// === The result ===

const stem = () => photo.name.replace(/\.[^.]*$/, "");

$("discard").onclick = async () => {
  if (result) {
    result = null;
    tell("");
    refresh();
  } else {
    const last = earlier.pop();
    await open(last.file, last.name);
    await findFaces();
  }
};

$("further").onclick = async () => {
  await adopt();
  await findFaces();
};

function download(file, name) {
  const link = Object.assign(document.createElement("a"), { href: URL.createObjectURL(file), download: name });
  link.click();
  setTimeout(() => URL.revokeObjectURL(link.href), 60_000);
}

start().catch(error => tell(error.message, true));
