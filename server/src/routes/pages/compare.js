// What differs between two checkpoints.

import { get, query } from "./api.js";
import { code, h, plain } from "./dom.js";
import { count, share, size, things, time } from "./format.js";
import { checkpointPage, timelineOf } from "./links.js";
import { empty, facts, mark, pending, section, table } from "./parts.js";

export const title = () => "Compare";

const PAGE = 4096;

export function show(main, { searchParams }) {
  const [from, to] = ["from", "to"].map((name) => searchParams.get(name) ?? "");
  main.append(h("h1", null, "Compare"), choose(from, to));
  if (from && to) main.append(pending(() => get(query("/diff", { from, to })), whole, { what: "Comparing" }));
  else main.append(empty("Give two references, or choose two on the timeline of a ", h("a", { href: "/workloads" }, "workload"), "."));
}

function choose(from, to) {
  const input = (name, label, value) => h("label", null, label, h("input", { name, value, required: true, class: "mono", placeholder: "repository:tag", autocomplete: "off" }));
  const go = (event) => {
    event.preventDefault();
    const { from, to } = Object.fromEntries(new FormData(event.target));
    location.assign(query("/compare", { from: from.trim(), to: to.trim() }));
  };
  const turned = h("a", { href: query("/compare", { from: to, to: from }), class: "button" }, "Swap");
  return h("form", { class: "filter", onsubmit: go }, input("from", "From", from), input("to", "To", to), h("button", { class: "primary" }, "Compare"), from && to && turned);
}

function whole(diff) {
  return [
    h("div", { class: "columns" }, side("From", diff.from), side("To", diff.to)),
    section("memory", "Memory", memory(diff.memory)),
    section("processes", "Processes", processes(diff.processes)),
    section("files", "Open files", files(diff.files)),
    section("sockets", "Sockets", sockets(diff.sockets)),
    section("environment", "Environment", environment(diff.environment)),
    section("rootfs", "Root file system", rootfs(diff.rootfs)),
  ];
}

function side(name, item) {
  return facts([
    [name, h("a", { href: checkpointPage(item.reference), class: "mono" }, plain(item.reference))],
    ["Workload", h("a", { href: timelineOf(item) }, plain(`${item.namespace}/${item.workload ?? item.pod}/${item.container}`))],
    ["Taken", time(item.createdAt)],
    ["Size", size(item.logicalBytes)],
    ["Stored", size(item.storedBytes)],
    ["Node", item.node && plain(item.node)],
  ]);
}

const WORDS = { added: ["new", "good"], removed: ["gone", "bad"], changed: ["changed", "warn"] };
const change = { name: "Change", head: true, cell: (item) => mark(...WORDS[item.change]) };
const details = { name: "What", wide: true, cell: (item) => plain(item.details.join("; ")) || "–" };

const list = (caption, columns, items, none) => (items.length ? table(caption, columns, items) : empty(none));

function memory({ pages, areas }) {
  const columns = [
    change,
    { name: "Process", number: true, cell: (a) => a.pid },
    { name: "Address", cell: (a) => code(a.start) },
    { name: "What", cell: (a) => [plain(a.kind), a.file && [" ", code(a.file)]] },
    { name: "Same", number: true, cell: (a) => number(a.pages?.same) },
    { name: "Changed", number: true, cell: (a) => number(a.pages?.changed) },
    { name: "New", number: true, cell: (a) => number(a.pages?.added) },
    { name: "Gone", number: true, cell: (a) => number(a.pages?.removed) },
    { name: "Differs", number: true, cell: (a) => (a.pages ? size((a.pages.changed + a.pages.added + a.pages.removed) * PAGE) : "–") },
  ];
  return [pages ? balance(pages) : h("p", { class: "note" }, "The pages of one of the two are not known one by one, so they are not compared."),
    list("Memory areas that differ", columns, areas, "No area differs.")];
}

const number = (value) => (value === undefined ? "–" : count(value));

/** Pages that are the same and that are not, as one bar. */
function balance(pages) {
  const kinds = [["same", "same"], ["changed", "changed"], ["added", "new"], ["removed", "gone"]];
  const total = kinds.reduce((sum, [key]) => sum + pages[key], 0);
  const parts = kinds.filter(([key]) => pages[key]).map(([key]) => {
    const part = h("span", { class: `part ${key}` });
    part.style.flexGrow = pages[key];
    return part;
  });
  const words = kinds.map(([key, word]) => h("span", { class: `key ${key}` }, `${things(pages[key], "page")} ${word} (${share(pages[key], total)})`));
  return [h("div", { class: "balance", "aria-hidden": "true" }, parts), h("p", { class: "legend" }, words)];
}

const processes = (items) => list("Processes that differ", [
  change,
  { name: "Process", number: true, cell: (p) => p.pid },
  { name: "Command", cell: (p) => plain(p.command ?? "–") },
  details,
], items, "The processes are the same.");

const files = (items) => list("Open files that differ", [
  change,
  { name: "Process", number: true, cell: (f) => f.pid },
  { name: "Descriptor", number: true, cell: (f) => f.fd },
  { name: "Target", wide: true, cell: (f) => code(f.target) },
  details,
], items, "The same files are open.");

const sockets = (items) => list("Sockets that differ", [
  change,
  { name: "Process", number: true, cell: (f) => f.pid },
  { name: "Socket", cell: ({ socket }) => plain([socket.family, socket.protocol ?? socket.type, socket.state].join(" ")) },
  { name: "Local", cell: ({ socket }) => code(socket.local ?? "–") },
  { name: "Remote", cell: ({ socket }) => code(socket.remote ?? "–") },
  details,
], items, "The sockets are the same.");

const value = (variable) => (!variable ? "–" : variable.masked ? mark("kept back") : code(variable.value ?? ""));

const environment = (items) => list("Variables that differ", [
  change,
  { name: "Name", cell: (v) => code((v.to ?? v.from).name) },
  { name: "Was", wide: true, cell: (v) => value(v.from) },
  { name: "Is", wide: true, cell: (v) => value(v.to) },
], items, "The environment is the same.");

function rootfs({ files, deleted, restored, truncated }) {
  const gone = [...deleted.map((path) => ({ change: "removed", path })), ...restored.map((path) => ({ change: "added", path }))];
  const columns = [
    change,
    { name: "Path", wide: true, cell: (f) => code((f.to ?? f.from).path) },
    { name: "Kind", cell: (f) => plain((f.to ?? f.from).kind) },
    { name: "Was", number: true, cell: (f) => (f.from ? size(f.from.bytes) : "–") },
    { name: "Is", number: true, cell: (f) => (f.to ? size(f.to.bytes) : "–") },
  ];
  return [
    truncated && h("p", { class: "note" }, "One of the two changed more files than are kept: there may be more."),
    list("Files that differ", columns, files, "The changed files are the same."),
    gone.length > 0 && table("Files of the image", [change, { name: "Path", wide: true, cell: (f) => code(f.path) }], gone),
  ];
}
