// Pin, unpin, delete, label: what is done to a checkpoint, here and on timelines.

import { checkpoint, send } from "./api.js";
import { code, h, say } from "./dom.js";
import { ask, doing } from "./dialogs.js";

/** Buttons for a checkpoint; `changed` is called after a change, `deleted` after it has gone. */
export function actions(item, changed, deleted) {
  const pinning = item.pinned
    ? doing("Unpin", async () => {
        await send("DELETE", checkpoint(item.reference, "/pin"));
        await changed();
        return "Unpinned";
      })
    : h("button", { type: "button", onclick: () => pin(item, changed) }, "Pin");
  const why = item.pinned ? "It is pinned: unpin it first." : undefined;
  const remove = h("button", { type: "button", class: "danger", disabled: item.pinned, title: why, onclick: () => forget(item, deleted) }, "Delete");
  for (const button of [pinning, remove].flat()) {
    if (button.localName !== "button") continue;
    button.setAttribute("aria-label", `${button.textContent} ${item.reference}`);
    button.dataset.control = `${button === remove ? "delete" : "pin"} ${item.reference}`;
  }
  return h("span", { class: "buttons" }, pinning, remove);
}

async function pin(item, changed) {
  const done = await ask({
    title: "Pin this checkpoint",
    about: [code(item.reference), " will be deleted neither by retention nor by anybody, until it is unpinned."],
    field: { label: "Reason" },
    confirm: "Pin",
    act: (reason) => send("PUT", checkpoint(item.reference, "/pin"), { reason }),
  });
  if (!done) return;
  await changed();
  say("Pinned");
}

async function forget(item, deleted) {
  const done = await ask({
    title: "Delete this checkpoint",
    about: [code(item.reference), " and its tags go for good. The next collection frees what nothing else needs."],
    confirm: "Delete",
    danger: true,
    act: () => send("DELETE", checkpoint(item.reference)),
  });
  if (done) deleted();
}

/** Labels with buttons that change them. */
export function labels(item, changed) {
  const change = async (key, value) => {
    await send("PATCH", checkpoint(item.reference, "/labels"), { [key]: value });
    await changed();
  };
  const remove = (key) => {
    const [button, trouble] = doing("×", () => change(key, null), "small");
    button.setAttribute("aria-label", `Remove label ${key}`);
    button.dataset.control = `label ${key}`;
    return [button, trouble];
  };
  const all = Object.entries(item.labels ?? {});
  const list = all.map(([key, value]) => h("li", { class: "mark" }, code(`${key}=${value}`), remove(key)));
  const add = h("button", { type: "button", class: "small", "data-control": "add-label", onclick: () => addLabel(change) }, "Add label");
  return h("div", { class: "labels" }, h("ul", { "aria-label": "Labels" }, list), add);
}

function addLabel(change) {
  return ask({
    title: "Add a label",
    field: { label: "key=value" },
    confirm: "Add",
    act: (text) => {
      const [key, ...value] = text.split("=");
      if (!key || !value.length) throw new Error("A label is written key=value.");
      return change(key, value.join("="));
    },
  });
}
