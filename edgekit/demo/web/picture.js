// The live picture: asks for the next frame when it is ready for it, so that it is never behind.
import { ask, pause, sleep } from "./link.js";

// Longer than the server waits for a frame.
const LIMIT = 15000;
// A frame that could not be drawn for so long (the tab was hidden, the lid was closed) is not shown.
const STALE = 2000;

const painted = () => new Promise((done) => requestAnimationFrame(done));
/** After the browser has painted: a message comes behind the frame that it is in. */
const after = () =>
  new Promise((done) => {
    const channel = new MessageChannel();
    channel.port1.onmessage = done;
    channel.port2.postMessage(null);
  });

/**
 * Follow the stream on a canvas.
 *
 * One frame is fetched while the one before is decoded and drawn; a third waits until then. What was
 * drawn is reported at once: its age, by the server's clock, comes back.
 *
 * @param canvas its dataset tells the number of the frame on it, and the age last reported, in ms
 * @param tell { answered(ms until the result), drawn(width / height), aged(ms until drawn), trouble(error) }
 */
export async function follow(canvas, tell) {
  const client = crypto.getRandomValues(new Uint32Array(2)).join("-");
  const brush = canvas.getContext("2d", { alpha: false });
  let number = -1;
  let tries = 0;
  let drawing = Promise.resolve();

  async function draw(blob, shown, received) {
    const bitmap = await createImageBitmap(blob);
    await painted();
    if (performance.now() - received > STALE) return bitmap.close();
    if (canvas.width !== bitmap.width || canvas.height !== bitmap.height) {
      canvas.width = bitmap.width;
      canvas.height = bitmap.height;
    }
    brush.drawImage(bitmap, 0, 0);
    canvas.dataset.number = shown;
    bitmap.close();
    tell.drawn(canvas.width / canvas.height);
    await after();
    report(shown);
  }

  async function report(shown) {
    try {
      const answer = await ask(`drawn?number=${shown}`, LIMIT, { method: "POST" });
      const { age_ms: age } = await answer.json();
      if (age === null) return;
      canvas.dataset.age = age;
      canvas.dataset.aged = shown;
      tell.aged(age);
    } catch {
      // The next request for a frame meets the same trouble, and tells.
    }
  }

  for (;;) {
    try {
      const width = Math.ceil(canvas.clientWidth * devicePixelRatio) || 640;
      const answer = await ask(`frame?after=${number}&width=${width}&client=${client}`, LIMIT);
      tries = 0;
      if (answer.status === 204) continue;
      const blob = await answer.blob();
      const received = performance.now();
      number = Number(answer.headers.get("Frame-Number"));
      tell.answered(Number(answer.headers.get("Frame-Result-Age-Ms")));
      await drawing;
      drawing = draw(blob, number, received).catch(tell.trouble);
    } catch (error) {
      tell.trouble(error);
      // A server that was started anew counts from 0 again.
      number = -1;
      await sleep(pause(tries++));
    }
  }
}
