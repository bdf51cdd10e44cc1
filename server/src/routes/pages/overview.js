// What is stored, how it grew, and what came last.

import { get, query } from "./api.js";
import { h, plain } from "./dom.js";
import { count, moment, size, things, times, utc } from "./format.js";
import { growth } from "./chart.js";
import { timelineOf, toCheckpoint } from "./links.js";
import { copyable, mark, pending, section, table } from "./parts.js";

export const title = () => "Overview";

export function show(main) {
  main.append(h("h1", null, "Overview"), pending(() => get("/checkpoints?limit=12"), ({ items }) => (items.length ? whole(items) : first())));
}

/** Sums take their time on a large store, so nothing else waits for them. */
function whole(items) {
  return [
    h("div", { class: "sums" }, pending(() => get("/stats"), totals, { what: "Adding up" })),
    section("growth", "Growth", pending(() => get("/stats/growth"), (page) => growth(page.items))),
    section("newest", "Newest checkpoints", newest(items)),
    section("namespaces", "Namespaces", pending(() => get("/stats/namespaces"), (page) => namespaces(page.items))),
  ];
}

function totals(stats) {
  const figure = (value, name, more) => h("div", { class: "figure" }, h("dt", null, name), h("dd", null, value), more && h("dd", { class: "soft" }, more));
  return h(
    "dl", { class: "figures" },
    figure(size(stats.storedBytes), "Stored"),
    figure(size(stats.logicalBytes), "Without deduplication"),
    figure(times(stats.logicalBytes, stats.storedBytes), "Ratio"),
    figure(count(stats.checkpoints), "Checkpoints", `in ${things(stats.repositories, "repository", "repositories")}`),
  );
}

function newest(items) {
  return table("Newest checkpoints", [
    { name: "Checkpoint", head: true, cell: (item) => [toCheckpoint(item), item.pinned && [" ", mark("pinned", "pin")]] },
    { name: "Workload", cell: (item) => h("a", { href: timelineOf(item) }, plain(`${item.namespace}/${item.workload ?? item.pod}`)) },
    { name: "Node", cell: (item) => plain(item.node ?? "–") },
    { name: "Taken", cell: (item) => moment(item.createdAt) },
    { name: "Size", number: true, cell: (item) => size(item.logicalBytes) },
    { name: "Stored", number: true, cell: (item) => size(item.storedBytes) },
  ], items);
}

function namespaces(items) {
  return table("Namespaces", [
    { name: "Namespace", head: true, cell: (item) => h("a", { href: query("/workloads", { namespace: item.namespace }) }, plain(item.namespace)) },
    { name: "Workloads", number: true, cell: (item) => count(item.workloads) },
    { name: "Checkpoints", number: true, cell: (item) => count(item.checkpoints) },
    { name: "Size", number: true, cell: (item) => size(item.logicalBytes) },
    { name: "Stored", number: true, cell: (item) => size(item.storedBytes) },
    { name: "Ratio", number: true, cell: (item) => times(item.logicalBytes, item.storedBytes) },
  ], items);
}

function first() {
  const server = location.origin;
  return h(
    "div", { class: "start" },
    h("p", null, "Nothing is stored yet. Push the tar that a kubelet, podman, containerd or CRI-O has made:"),
    copyable(`pagevault push /var/lib/kubelet/checkpoints/CHECKPOINT.tar --server ${server}`, "the command that pushes"),
    h("p", null, "To make one of a running container, on its node:"),
    copyable("curl --cert CLIENT.crt --key CLIENT.key --cacert CA.crt \\\n  -X POST https://NODE:10250/checkpoint/NAMESPACE/POD/CONTAINER", "the command that makes a checkpoint"),
    h("p", { class: "soft" }, `Nothing was pushed here by ${utc(new Date())}. `, h("a", { href: "/" }, "Look again")),
  );
}
