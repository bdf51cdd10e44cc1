// Whose checkpoints there are: found by a part of a name, or by namespace.

import { get, query } from "./api.js";
import { h, plain } from "./dom.js";
import { count, moment, size, times } from "./format.js";
import { timelinePage, toCheckpoint } from "./links.js";
import { empty, paged, table } from "./parts.js";

export const title = () => "Workloads";

const PAUSE = 200;

export function show(main, address) {
  const wanted = { search: address.searchParams.get("search") ?? "", namespace: address.searchParams.get("namespace") ?? "" };
  const list = paged(
    (cursor) => get(query("/workloads", { ...wanted, cursor })),
    rows,
    () => (wanted.search || wanted.namespace ? empty("Nothing has such a name.") : empty("Nothing is stored yet. ", h("a", { href: "/" }, "How to push"))),
  );
  main.append(h("h1", null, "Workloads"), filter(wanted, () => list.restart()), list);
}

function filter(wanted, changed) {
  let waiting;
  const input = (name, label, hint) => {
    const take = (event) => {
      wanted[name] = event.target.value.trim();
      history.replaceState(null, "", query("/workloads", wanted));
      clearTimeout(waiting);
      waiting = setTimeout(changed, PAUSE);
    };
    return h("label", null, label, h("input", { type: "search", name, value: wanted[name], placeholder: hint, oninput: take, autocomplete: "off" }));
  };
  return h(
    "form", { class: "filter", role: "search", onsubmit: (event) => event.preventDefault() },
    input("search", "Search", "part of a pod, container or namespace"),
    input("namespace", "Namespace", "all"),
  );
}

function rows(items) {
  return table("Workloads", [
    { name: "Workload", head: true, cell: (w) => h("a", { href: timelinePage(w.namespace, w.name, w.container) }, plain(w.name)) },
    { name: "Container", cell: (w) => plain(w.container) },
    { name: "Namespace", cell: (w) => plain(w.namespace) },
    { name: "Checkpoints", number: true, cell: (w) => count(w.checkpoints) },
    { name: "Latest", cell: (w) => [moment(w.latest.createdAt)] },
    { name: "Size", number: true, cell: (w) => size(w.logicalBytes) },
    { name: "Stored", number: true, cell: (w) => size(w.storedBytes) },
    { name: "Ratio", number: true, cell: (w) => times(w.logicalBytes, w.storedBytes) },
    { name: "Latest checkpoint", cell: (w) => toCheckpoint(w.latest) },
  ], items, { all: true });
}
