// Threshold and classes; several pages may change them, so each shows what the server says.
import { ask } from "./link.js";

const byId = (id) => document.getElementById(id);
// What the user just moved is not moved back by a state that was on its way.
const HANDS_OFF = 800;

export class Controls {
  /** @param changed called with the state after a change */
  constructor(changed) {
    this.changed = changed;
    this.touched = -Infinity;
    this.labels = "";
    this.wanted = {};
    this.sending = false;
    byId("confidence").addEventListener("input", (event) => {
      const confidence = Number(event.target.value);
      this.say(confidence);
      this.send({ confidence });
    });
    byId("find").addEventListener("input", () => this.find());
    byId("all").addEventListener("click", () => this.tick(true));
    byId("none").addEventListener("click", () => this.tick(false));
    byId("list").addEventListener("change", () => this.pick());
  }

  show(demo) {
    this.list(demo.labels);
    if (performance.now() - this.touched < HANDS_OFF) return;
    if (demo.confidence != null) byId("confidence").value = demo.confidence;
    this.say(demo.confidence);
    const shown = demo.classes && new Set(demo.classes);
    for (const box of this.boxes()) box.checked = !shown || shown.has(box.value);
    this.count();
  }

  say(confidence) {
    const text = confidence == null ? "the model’s own" : confidence.toFixed(2);
    byId("confidence-value").textContent = text;
    byId("confidence").setAttribute("aria-valuetext", text);
  }

  list(labels) {
    const said = JSON.stringify(labels);
    if (this.labels === said) return;
    this.labels = said;
    byId("classes").hidden = labels.length === 0;
    // Two classes of one name go together: they cannot be told apart by it.
    byId("list").replaceChildren(...[...new Set(labels)].map(choice));
    this.find();
  }

  boxes() {
    return [...byId("list").querySelectorAll("input")];
  }

  find() {
    const text = byId("find").value.trim().toLowerCase();
    let shown = 0;
    for (const box of this.boxes()) {
      const hit = box.value.toLowerCase().includes(text);
      box.parentElement.hidden = !hit;
      shown += hit;
    }
    byId("list-empty").hidden = shown > 0;
  }

  /** All or none of those that the search shows; of every class where nothing is searched for. */
  tick(on) {
    for (const box of this.boxes()) if (!box.parentElement.hidden) box.checked = on;
    this.pick();
  }

  pick() {
    const boxes = this.boxes();
    const chosen = boxes.filter((box) => box.checked).map((box) => box.value);
    this.count();
    this.send({ classes: chosen.length === boxes.length ? null : chosen });
  }

  count() {
    const boxes = this.boxes();
    byId("classes-count").textContent = `${boxes.filter((box) => box.checked).length} of ${boxes.length}`;
  }

  /** One request at a time: a slider that is dragged asks for its last place, not for every one. */
  async send(change) {
    this.touched = performance.now();
    Object.assign(this.wanted, change);
    if (this.sending) return;
    this.sending = true;
    try {
      while (Object.keys(this.wanted).length) {
        const body = JSON.stringify(this.wanted);
        this.wanted = {};
        const headers = { "Content-Type": "application/json" };
        const answer = await ask("controls", 5000, { method: "POST", headers, body });
        this.changed(await answer.json());
        byId("controls-trouble").textContent = "";
      }
    } catch (error) {
      this.wanted = {};
      this.touched = -Infinity;
      byId("controls-trouble").textContent =
        error.status ? error.message : "The change did not reach edgekit.";
    } finally {
      this.sending = false;
    }
  }
}

function choice(label) {
  const line = document.createElement("label");
  const box = document.createElement("input");
  const name = document.createElement("span");
  box.type = "checkbox";
  box.checked = true;
  box.value = label;
  name.textContent = label;
  name.title = label;
  line.append(box, name);
  return line;
}
