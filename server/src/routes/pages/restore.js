// How to get a checkpoint back: what stands in the way, and commands and manifests to copy.

import { code, h, plain } from "./dom.js";
import { copyable, mark } from "./parts.js";

/** Commands, and what they take. */
export function restore({ reference, image, crio, containerd, podman, needs }) {
  return [
    needs.obstacles.length > 0 && h("ul", { class: "obstacles" }, needs.obstacles.map(obstacle)),
    need("Mounts to declare at the same paths", needs.mounts.map((m) => [code(m.path), plain(` ${m.kind}${m.readOnly ? ", read-only" : ""}`)])),
    need("Ports that it listens on", needs.ports.map((p) => plain(`${p.port}/${p.protocol} on ${p.address}`))),
    crio && way("Pod for Kubernetes with CRI-O", crio),
    containerd && way("Pod for Kubernetes with containerd 2.1 to 2.3", containerd),
    podman && way("podman, as root", podman),
    way("The image, by digest", image),
    way("The runtime's own tar, byte for byte", `pagevault pull ${reference} -o checkpoint.tar --server ${location.origin}`),
  ];
}

const obstacle = ({ kind, fatal, detail }) => h("li", null, mark(fatal ? "must be dealt with" : "may go wrong", fatal ? "bad" : "warn"), " ", h("strong", null, kind), " ", plain(detail));

const need = (name, items) => items.length > 0 && h("p", null, `${name}: `, items.map((item, i) => [i > 0 && ", ", item]));

const way = (name, text) => [h("h3", null, name), copyable(text.trimEnd(), name)];
