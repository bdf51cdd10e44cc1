// Elements, made by calls: what a server or a stranger wrote becomes text and never markup.

const SVG = "http://www.w3.org/2000/svg";

function fill(element, attributes, children) {
  for (const [name, value] of Object.entries(attributes ?? {})) {
    if (value === undefined || value === null || value === false) continue;
    if (name.startsWith("on")) element.addEventListener(name.slice(2), value);
    else element.setAttribute(name, value === true ? "" : value);
  }
  element.append(...children.flat(Infinity).filter((child) => child !== null && child !== undefined && child !== false));
  return element;
}

/** An HTML element. Children are elements, texts, lists of those, or nothing. */
export const h = (tag, attributes, ...children) => fill(document.createElement(tag), attributes, children);

/** An SVG element. */
export const s = (tag, attributes, ...children) => fill(document.createElementNS(SVG, tag), attributes, children);

const ODD = /[\u0000-\u001f\u007f-\u009f\u061c\u200b-\u200f\u2028-\u202e\u2060-\u206f\ufeff\ufff9-\ufffb]|\u{e0000}|[\u{e0001}-\u{e007f}]/gu;

/** Text of strangers, with what could move, hide or turn it around written out. */
export const plain = (text) =>
  String(text).replace(ODD, (c) => `\\u{${c.codePointAt(0).toString(16)}}`);

/** Text of strangers, as code. */
export const code = (text) => h("code", null, plain(text));

/** Does what a button is for, once at a time. Meanwhile it is not `disabled`: it would lose the focus. */
export async function once(button, act) {
  if (button.ariaDisabled) return;
  button.ariaDisabled = "true";
  try {
    await act();
  } finally {
    button.ariaDisabled = null;
  }
}

/** Says something to whoever cannot see what has changed. */
export function say(text) {
  document.getElementById("said").textContent = text;
}
