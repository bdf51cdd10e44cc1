// Requests to `/api/v1`, and what can go wrong with them.

/** What a request failed with: an answer of the server, or none (status 0). */
export class Failure extends Error {
  constructor(status, problem) {
    super(problem.detail);
    this.status = status;
    this.title = problem.title;
    this.requestId = problem.requestId;
  }
}

const GONE = { title: "The server does not answer", detail: "It may be restarting, or the connection is gone." };

async function ask(path, options) {
  let answer;
  try {
    answer = await fetch(`/api/v1${path}`, { cache: "no-cache", ...options });
    if (answer.ok) return { answer, body: await read(answer) };
  } catch {
    throw new Failure(0, GONE);
  }
  const said = await answer.json().catch(() => ({}));
  throw new Failure(answer.status, { title: `Status ${answer.status}`, detail: "The server did not say why.", ...said });
}

function read(answer) {
  if (answer.status === 204) return null;
  return answer.headers.get("content-type")?.includes("json") ? answer.json() : answer.text();
}

/** The body of an answer. */
export const get = async (path) => (await ask(path)).body;

/** Sends a change, with JSON if there is any. */
export async function send(method, path, json) {
  const headers = { "content-type": "application/json" };
  const body = json === undefined ? {} : { body: JSON.stringify(json), headers };
  return (await ask(path, { method, ...body })).body;
}

/** A text and its ETag. */
export async function getText(path, accept) {
  const { answer, body } = await ask(path, { headers: { accept } });
  return { text: body, etag: answer.headers.get("etag") };
}

/** Replaces a text, if it is still the one of the ETag. */
export async function putText(path, type, etag, text) {
  const { answer, body } = await ask(path, {
    method: "PUT", body: text, headers: { "content-type": type, accept: type, "if-match": etag },
  });
  return { text: body, etag: answer.headers.get("etag") };
}

/** A path with a query of what is there. */
export function query(path, parameters) {
  const known = Object.entries(parameters).filter(([, value]) => value !== undefined && value !== null && value !== "");
  const text = new URLSearchParams(known).toString();
  return text ? `${path}?${text}` : path;
}

/** The API's path of a checkpoint, or of a part of it. */
export const checkpoint = (reference, part = "") => `/checkpoints/${encodeURIComponent(reference)}${part}`;
