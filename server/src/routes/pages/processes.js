// The process tree, as a table whose first column is indented.

import { code, h, plain } from "./dom.js";
import { count, size, things } from "./format.js";
import { empty, table } from "./parts.js";

/** Processes, each below its parent. */
export function processes({ items }) {
  if (!items.length) return empty("It has no processes.");
  return table("Process tree", [
    { name: "Process", head: true, cell: ({ process, depth }) => [branch(depth), plain(process.command ?? "?"), " ", h("span", { class: "soft" }, process.pid)] },
    { name: "Executable", cell: ({ process }) => (process.executable ? code(process.executable) : "–") },
    { name: "State", cell: ({ process }) => plain(process.state ?? "–") },
    { name: "User", cell: ({ process }) => (process.uid === undefined ? "–" : `${process.uid}:${process.gid ?? "?"}`) },
    { name: "Session", number: true, cell: ({ process }) => process.session },
    { name: "Threads", number: true, cell: ({ process }) => h("span", { title: threads(process) }, count(process.threads.length)) },
    { name: "Memory", number: true, cell: ({ process }) => size(process.memoryBytes) },
    { name: "Areas", number: true, cell: ({ process }) => count(process.areaCount) },
    { name: "Files", number: true, cell: ({ process }) => count(process.fileCount) },
  ], tree(items));
}

const threads = (process) => things(process.threads.length, "thread") + ": " + process.threads.map((t) => plain(`${t.tid} ${t.name ?? ""}`)).join(", ");

/** Levels that are indented: what lies deeper must not push its command out of the table. */
const DEEPEST = 20;

const branch = (depth) => depth > 0 && [h("span", { class: "branch", "aria-hidden": "true" }, "\u00a0\u00a0".repeat(Math.min(depth - 1, DEEPEST)) + "└ "), h("span", { class: "said" }, `level ${depth + 1} `)];

/** In order of the tree. What no root leads to, as in a damaged list, comes at the end. */
function tree(items) {
  const below = Map.groupBy(items, (process) => process.parent);
  const pids = new Set(items.map((process) => process.pid));
  const out = [];
  const seen = new Set();
  const waiting = items.filter((p) => !pids.has(p.parent)).toReversed().map((process) => ({ process, depth: 0 }));
  while (waiting.length) {
    const at = waiting.pop();
    if (seen.has(at.process.pid)) continue;
    seen.add(at.process.pid);
    out.push(at);
    const children = below.get(at.process.pid) ?? [];
    waiting.push(...children.toReversed().map((process) => ({ process, depth: at.depth + 1 })));
  }
  return out.concat(items.filter((p) => !seen.has(p.pid)).map((process) => ({ process, depth: 0 })));
}
