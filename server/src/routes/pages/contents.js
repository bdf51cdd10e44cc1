// What else is in a checkpoint: open files, connections, environment, root file system, members of the archive.

import { code, h, plain } from "./dom.js";
import { count, size, things, utc } from "./format.js";
import { empty, mark, table } from "./parts.js";

/** Open files, and connections over TCP. */
export function files({ items, connections }) {
  if (!items.length) return empty("Nothing is open.");
  return [
    connections.length > 0 && table("Connections over TCP", [
      { name: "State", head: true, cell: (c) => plain(c.state) },
      { name: "Local", cell: (c) => code(c.local ?? "–") },
      { name: "Remote", cell: (c) => code(c.remote ?? "–") },
      { name: "Processes", cell: (c) => c.processes.join(", ") || "on its way in a message" },
    ], connections),
    table("Open files and sockets", [
      { name: "Process", number: true, cell: (f) => f.pid },
      { name: "Descriptor", number: true, head: true, cell: (f) => f.fd },
      { name: "Kind", cell: (f) => plain(f.kind) },
      { name: "Target", wide: true, cell: (f) => code(f.target) },
      { name: "Opened", cell: (f) => plain(f.access ?? "–") },
      { name: "Offset", number: true, cell: (f) => (f.position === undefined ? "–" : count(f.position)) },
      { name: "Socket", cell: (f) => (f.socket ? plain([f.socket.family, f.socket.protocol ?? f.socket.type, f.socket.state].join(" ")) : "–") },
    ], items),
  ];
}

/** Variables of the environment; what looks like a secret is kept back by the server. */
export function environment({ items }) {
  if (!items.length) return empty("It was started without any.");
  return table("Environment", [
    { name: "Name", head: true, cell: (variable) => code(variable.name) },
    { name: "Value", wide: true, cell: (variable) => (variable.masked ? [mark("kept back"), " it looks like a secret"] : code(variable.value ?? "")) },
  ], items);
}

const octal = (mode) => mode.toString(8).padStart(4, "0");

/** What the container made, wrote to and deleted. */
export function rootfs({ items, deleted, truncated }) {
  if (!items.length && !deleted.length) return empty("The container has changed nothing in its root file system.");
  return [
    truncated && h("p", { class: "note" }, `It changed more than is kept: these are the first ${count(items.length)}.`),
    items.length > 0 && table("Files that were made or written to", [
      { name: "Path", head: true, wide: true, cell: (f) => [code(f.path), f.target && [" → ", code(f.target)]] },
      { name: "Kind", cell: (f) => plain(f.kind) },
      { name: "Size", number: true, cell: (f) => (f.kind === "file" ? size(f.bytes) : "–") },
      { name: "Mode", number: true, cell: (f) => octal(f.mode) },
      { name: "Changed", cell: (f) => (f.modifiedAt ? utc(f.modifiedAt) : "–") },
    ], items),
    deleted.length > 0 && table("Files of the image that were deleted", [{ name: "Path", head: true, wide: true, cell: (path) => code(path) }], deleted),
  ];
}

/** Members of the archive, and what its reader found odd. */
export function members({ members, warnings, layerDigest }) {
  return [
    h("p", null, `${things(members.length, "member")}; the layer is `, code(layerDigest)),
    warnings.length > 0 && h("ul", { class: "note" }, warnings.map((text) => h("li", null, plain(text)))),
    h("details", null, h("summary", null, "Members"), table("Members of the archive", [
      { name: "Path", head: true, wide: true, cell: (m) => code(m.path) },
      { name: "Size", number: true, cell: (m) => size(m.bytes) },
    ], members)),
  ];
}
