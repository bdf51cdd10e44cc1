// Where things are: addresses of pages.

import { query } from "./api.js";
import { h, plain } from "./dom.js";

/** The page of a checkpoint. All characters of a reference may stand in a path. */
export const checkpointPage = (reference, fragment = "") => `/checkpoints/${reference}${fragment}`;

/** The page of a workload. Its name is free text, so it is in the query: `..` would not last in a path. */
export const timelinePage = (namespace, name, container) =>
  query("/workloads/timeline", { namespace, name, container });

/** The timeline that a checkpoint is on. */
export const timelineOf = (item) => timelinePage(item.namespace, item.workload ?? item.pod, item.container);

/** The page that compares two checkpoints. */
export const comparePage = (from, to) => query("/compare", { from, to });

/** A link to a checkpoint, by what tells it from others of its container. */
export const toCheckpoint = (item) => h("a", { href: checkpointPage(item.reference), class: "mono" }, plain(item.reference));

/** The part of a reference after the repository. */
export const tagOf = (reference) => reference.slice(reference.search(/[:@][^/]*$/) + 1);
