// Requests to the server, by the contract of TensorFlow Serving.

const INTERVAL = 300; // milliseconds between questions for the progress

export async function get(path) {
  const answer = await fetch(path);
  const found = await answer.json();
  if (!answer.ok) throw new Error(found.error);
  return found;
}

// Answers with what the model predicts for one instance; Blobs in it are sent as base64. `signal` cancels the work,
// `told` is given the share that is done.
export async function predict(model, signature, instance, { signal, told = () => {} } = {}) {
  const row = {};
  for (const [name, value] of Object.entries(instance))
    row[name] = value instanceof Blob ? { b64: await base64(value) } : value;
  const name = [...crypto.getRandomValues(new Uint8Array(16))].map(byte => byte.toString(16).padStart(2, "0")).join("");
  const stop = follow(name, told);
  try {
    const answer = await fetch(`v1/models/${model}:predict`, {
      method: "POST",
      headers: { "Content-Type": "application/json", "X-Progress": name },
      body: JSON.stringify({ signature_name: signature, instances: [row] }),
      signal,
    });
    const found = await answer.json();
    if (!answer.ok) throw new Error(found.error.replace(/^instances\[0\]: /, ""));
    return found.predictions[0];
  } finally {
    stop();
  }
}

function follow(name, told) {
  let timer;
  const look = async () => {
    const { progress } = await get(`progress/${name}`).catch(() => ({ progress: null }));
    if (timer !== null && progress) told(progress);
    if (timer !== null) timer = setTimeout(look, INTERVAL);
  };
  timer = setTimeout(look, INTERVAL);
  return () => { clearTimeout(timer); timer = null; };
}

async function base64(blob) {
  const reader = new FileReader();
  await new Promise((done, failed) => { reader.onload = done; reader.onerror = failed; reader.readAsDataURL(blob); });
  return reader.result.slice(reader.result.indexOf(",") + 1);
}

export function png(base64) {
  return new Blob([Uint8Array.from(atob(base64), letter => letter.charCodeAt(0))], { type: "image/png" });
}
