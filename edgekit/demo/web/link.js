// Requests to the server, and what to say when one is not answered.

/** The server answered with a sentence instead of what was asked for. */
export class Refused extends Error {
  constructor(status, sentence) {
    super(sentence);
    this.status = status;
  }
}

/** A response that is good, or an error. */
export async function ask(path, limit, options = {}) {
  const response = await fetch(path, {
    cache: "no-store",
    signal: AbortSignal.timeout(limit),
    ...options,
  });
  if (response.ok) return response;
  const text = (await response.text()).trim();
  throw new Refused(response.status, sentenceIn(text) || `The server answered ${response.status}.`);
}

function sentenceIn(text) {
  try {
    const said = JSON.parse(text);
    return [said.message, said.hint].filter(Boolean).join(" ");
  } catch {
    return text;
  }
}

export const sleep = (ms) => new Promise((done) => setTimeout(done, ms));

/** Milliseconds to wait before try number `tries`: longer and longer, and not all pages at once. */
export const pause = (tries) => Math.min(2000, 200 * 1.6 ** tries) * (0.75 + Math.random() / 2);
