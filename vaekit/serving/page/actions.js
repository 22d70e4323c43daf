// What can be done with a photo: the signatures that the server's models have for people.

import { get } from "./ask.js";

// [{ model, signature, terms, title, about, inputs, output }], each with a title of its own.
export async function list() {
  const { models } = await get("v1/models");
  const told = await Promise.all(models.map(async ({ name, terms }) => {
    const { metadata } = await get(`v1/models/${name}/metadata`);
    return Object.entries(metadata.actions).map(([signature, action]) => ({ ...action, model: name, signature, terms }));
  }));
  const actions = told.flat();
  const isShared = title => actions.filter(action => action.title === title).length > 1;
  return actions.map(action => isShared(action.title) ? { ...action, title: `${action.title} (${action.model})` } : action);
}

// The values of an action's controls before anybody moves them.
export function defaults({ inputs }) {
  const numbers = Object.entries(inputs).filter(([, { dtype }]) => dtype !== "DT_STRING");
  return Object.fromEntries(numbers.map(([name, input]) => [name, input.default]));
}
