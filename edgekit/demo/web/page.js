// Joins the parts: the picture, the state of the demo, and what is said when there is none.
import { Controls } from "./controls.js";
import { History } from "./history.js";
import { ask, pause, sleep } from "./link.js";
import { showPanels } from "./panels.js";
import { follow } from "./picture.js";

const byId = (id) => document.getElementById(id);
const screen = document.querySelector(".screen");
const history = new History(byId("graph"));
const controls = new Controls(show);
const EVERY = 300;
const WORDS = {
  connecting: "Waiting for the first frame.",
  stalled: "The source sends no frames.",
  reconnecting: "The source broke off; connecting again.",
  ended: "The source has ended.",
};
let last = null;
// Why there is no picture although the server answers: too many pages look on.
let unseen = "";

screen.dataset.empty = "";

function say(state, sentence) {
  screen.dataset.state = state;
  if (byId("state").textContent !== state) byId("state").textContent = state;
  if (byId("veil").textContent !== sentence) byId("veil").textContent = sentence;
  byId("pill").hidden = state !== "live" || !byId("picture").dataset.age;
}

function show(state) {
  last = state;
  const { source, events } = state.demo;
  const reason = events.at(-1)?.reason || WORDS[source.state] || "";
  say(source.state, source.state === "live" ? unseen : reason);
  controls.show(state.demo);
  showPanels(state);
}

/** Said until the server answers again. */
function trouble(error) {
  if (last?.demo.source.state === "ended" && !error.status) return say("ended", "The demo has ended.");
  const lost = "The connection to edgekit is lost. Trying again.";
  say("no connection", error.status ? error.message : lost);
}

async function watch() {
  let tries = 0;
  for (;;) {
    try {
      const state = await (await ask("state", 3000)).json();
      tries = 0;
      show(state);
      history.draw();
      await sleep(document.hidden ? 2000 : EVERY);
    } catch (error) {
      trouble(error);
      await sleep(pause(tries++));
    }
  }
}

function fullScreen() {
  if (document.fullscreenElement) document.exitFullscreen();
  else screen.requestFullscreen?.();
}

byId("full").addEventListener("click", fullScreen);
byId("picture").addEventListener("dblclick", fullScreen);

watch();
follow(byId("picture"), {
  answered: (age) => history.results(age),
  drawn(aspect) {
    screen.style.aspectRatio = aspect;
    delete screen.dataset.empty;
    unseen = "";
  },
  aged(age) {
    history.display(age);
    byId("pill-age").textContent = age.toFixed(0);
    byId("pill").hidden = screen.dataset.state !== "live";
  },
  trouble(error) {
    if (error.status === 503) unseen = error.message;
    else trouble(error);
  },
});
