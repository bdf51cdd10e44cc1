// Finds the page of an address, and shows it. Each page is a module with `title` and `show(main, address)`.

import { failed } from "./parts.js";

const PAGES = [
  [/^\/$/, "overview"],
  [/^\/workloads$/, "workloads"],
  [/^\/workloads\/timeline$/, "timeline"],
  [/^\/checkpoints\/.+/, "checkpoint"],
  [/^\/compare$/, "compare"],
  [/^\/retention$/, "retention"],
  [/^\/collections$/, "collections"],
];

const main = document.getElementById("main");
const path = location.pathname.replace(/(.)\/$/, "$1");

for (const link of document.querySelectorAll("nav a")) {
  const [, top] = link.pathname.split("/");
  if (path.split("/")[1] === top || (top === "workloads" && path.startsWith("/checkpoints/"))) {
    link.setAttribute("aria-current", path === link.pathname ? "page" : "true");
  }
}

try {
  const [, name] = PAGES.find(([pattern]) => pattern.test(path));
  const page = await import(`./${name}.js`);
  main.replaceChildren();
  document.title = `${page.title(new URL(location))} · Pagevault`;
  await page.show(main, new URL(location));
} catch (failure) {
  main.replaceChildren(failed(failure, () => location.reload(), "h1"));
}
