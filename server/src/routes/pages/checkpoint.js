// A checkpoint: who it is, what it cost, what is in it, how to get it back.

import { checkpoint, get, query } from "./api.js";
import { code, h, plain } from "./dom.js";
import { count, share, short, size, things, time } from "./format.js";
import { environment, files, members, rootfs } from "./contents.js";
import { actions, labels } from "./keep.js";
import { checkpointPage, comparePage, tagOf, timelineOf } from "./links.js";
import { memory } from "./memory.js";
import { facts, mark, pending, section } from "./parts.js";
import { processes } from "./processes.js";
import { restore } from "./restore.js";

/** What is done with a page when it is stored. */
const PAGES = ["same", "changed", "new", "zero", "shared"];

const wanted = (address) => decodeURIComponent(address.pathname.replace(/^\/checkpoints\//, ""));

export const title = (address) => plain(wanted(address));

export function show(main, address) {
  const reference = wanted(address);
  const part = (name) => () => get(checkpoint(reference, name));
  const head = pending(() => withBefore(reference), (known) => {
    parts.hidden = false;
    return top(known, () => head.reload());
  }, { heading: "h1" });
  const parts = h(
    "div", { hidden: true },
    section("restore", "Restore", pending(part("/restore"), restore)),
    section("memory", "Memory", pending(part("/memory-areas"), memory, { what: "Comparing pages" })),
    section("processes", "Processes", pending(part("/processes"), processes)),
    section("files", "Open files and sockets", pending(part("/files"), files)),
    section("environment", "Environment", pending(part("/environment"), environment)),
    section("rootfs", "Root file system", pending(part("/rootfs"), rootfs)),
    section("archive", "Archive", pending(() => get(checkpoint(reference)), members)),
  );
  main.append(head, parts);
}

/** A checkpoint, that before it in its history, and that before it of the same pod, if there are any. */
async function withBefore(reference) {
  const item = await get(checkpoint(reference));
  const filter = { namespace: item.namespace, workload: item.workload ?? item.pod, container: item.container, until: item.createdAt, limit: 1 };
  const last = async (more) => (await get(query("/checkpoints", { ...filter, ...more }))).items[0];
  const previous = await last();
  return { item, previous, ofPod: previous && previous.pod !== item.pod ? await last({ pod: item.pod }) : previous };
}

function top({ item, previous, ofPod }, changed) {
  const gone = () => location.assign(timelineOf(item));
  const where = [["/workloads", "Workloads"], [query("/workloads", { namespace: item.namespace }), item.namespace], [timelineOf(item), `${item.workload ?? item.pod} ${item.container}`]];
  return [
    h("p", { class: "crumbs" }, where.map(([href, text]) => [h("a", { href }, plain(text)), " / "])),
    h("div", { class: "title" }, h("h1", { class: "mono" }, plain(tagOf(item.reference))), item.pinned && mark("pinned", "pin"), actions(item, changed, gone)),
    item.pin && h("p", { class: "note" }, "Pinned: ", h("strong", null, plain(item.pin.reason)), " · ", time(item.pin.pinnedAt)),
    h("div", { class: "columns" }, identity(item), cost(item, previous, ofPod)),
    labels(item, changed),
    contents(),
  ];
}

function identity(item) {
  return facts([
    ["Reference", code(item.reference)],
    ["Digest", code(item.digest)],
    ["Tags", item.tags.length ? item.tags.map((tag) => [code(tag), " "]) : null],
    ["Pod", plain(`${item.namespace}/${item.pod}`)],
    ["Workload", item.workload && plain(item.workload)],
    ["Container", [plain(item.container), " ", code(short(item.containerId))]],
    ["Pod uid", item.podUid && code(item.podUid)],
    ["Node", item.node && plain(item.node)],
    ["Image", code(item.image)],
    ["Image digest", item.imageDigest && code(item.imageDigest)],
    ["Engine", plain([item.engine, item.runtime, item.criu && `CRIU ${item.criu}`].filter(Boolean).join(" · "))],
    ["Kernel", plain([item.kernel, item.architecture].filter(Boolean).join(" · "))],
  ]);
}

function cost(item, previous, ofPod) {
  const pages = item.pages;
  const total = pages && pages.zero + pages.same + pages.changed + pages.new + pages.shared;
  // It may be in another repository, or deleted: then there is nothing to lead to.
  const base = item.base && [previous, ofPod].find((other) => other?.digest === item.base);
  const name = item.base && code(short(item.base));
  const kinds = PAGES.filter((kind) => pages?.[kind]).map((kind) => `${count(pages[kind])} ${kind} (${share(pages[kind], total)})`);
  return facts([
    ["Taken", time(item.createdAt)],
    ["Pushed", [time(item.pushedAt), item.origin === "oci" && " as an image"]],
    ["Size", size(item.logicalBytes)],
    ["Stored", `${size(item.storedBytes)} · ${share(item.storedBytes, item.logicalBytes)} of its size`],
    ["Stored against", base ? h("a", { href: checkpointPage(base.reference) }, name) : name ?? "nothing: its pages are stored whole"],
    ["Memory", `${size(item.memoryBytes)} in ${things(item.processCount, "process", "processes")}, ${things(item.threadCount, "thread")}`],
    ["Pages", pages && [count(total), ": ", kinds.join(", ")]],
    ["Before it", ofPod && [h("a", { href: checkpointPage(ofPod.reference) }, tagOf(ofPod.reference)), " · ", h("a", { href: comparePage(ofPod.reference, item.reference) }, "what changed")]],
  ]);
}

function contents() {
  const all = [["restore", "Restore"], ["memory", "Memory"], ["processes", "Processes"], ["files", "Files and sockets"], ["environment", "Environment"], ["rootfs", "Root file system"], ["archive", "Archive"]];
  return h("nav", { class: "contents", "aria-label": "On this page" }, all.map(([id, text]) => h("a", { href: `#${id}` }, text)));
}
