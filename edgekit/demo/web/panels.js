// The figures beside the picture, written anew with every state of the server.
const byId = (id) => document.getElementById(id);
const rate = (value) => figure(value, value < 100 ? 1 : 0);
const figure = (value, digits = 0) => (value == null ? "–" : value.toFixed(digits));
// Few digits where a figure is large.
const short = (ms) => (ms == null ? "–" : ms.toFixed(ms < 10 ? 2 : ms < 100 ? 1 : 0));
const IDLE = new Set(["wait", "queue"]);
const OUT = new Set(["track", "draw", "encode", "save", "show"]);

function make(tag, text = "", kind = "") {
  const made = document.createElement(tag);
  made.textContent = text;
  if (kind) made.className = kind;
  return made;
}

function write(id, text) {
  const place = byId(id);
  if (place.textContent !== text) place.textContent = text;
}

/** Replace children only where their text changed: a reader's place on the page stays. */
function fill(id, rows, key) {
  const place = byId(id);
  const said = JSON.stringify(key);
  if (place.said === said) return;
  place.said = said;
  place.replaceChildren(...rows());
}

export function showPanels(state) {
  const { demo } = state;
  showHead(demo);
  showTiles(state);
  showFound(state);
  showFall(demo);
  showRun(state);
}

function showHead(demo) {
  write("model", demo.model);
  document.title = `${demo.model} – edgekit live`;
  const { source } = demo;
  const size = source.width ? `${source.width} × ${source.height}` : "";
  const rate = source.rate ? `${+source.rate.toFixed(2)} fps` : "";
  const facts = [source.name, size, rate, source.pixel_format, source.backend];
  write("source", facts.filter(Boolean).join(" · "));
  const verdict = demo.verdict || "";
  const sign = { PASS: "✓ ", FAIL: "✗ " }[verdict] ?? "? ";
  const chips = [
    [demo.target, ""],
    [`${demo.variant} in ${demo.compute}`, ""],
    [`${demo.shape[1]} × ${demo.shape[0]}`, ""],
    ...(verdict ? [[sign + verdict, verdict.toLowerCase()]] : []),
  ];
  fill("chips", () => chips.map(([text, kind]) => make("li", text, kind)), chips);
}

function showTiles({ demo }) {
  const { rates, frame_age_ms: result, shown_age_ms: shown } = demo;
  write("age-shown", short(shown.p50_ms ?? shown.mean_ms));
  write("age-shown-more", shown.n ? `p90 ${short(shown.p90_ms)} · p99 ${short(shown.p99_ms)}` : "no frame yet");
  write("age-result", short(result.p50_ms ?? result.mean_ms));
  write("age-result-more", result.n ? `p90 ${short(result.p90_ms)} · p99 ${short(result.p99_ms)}` : "no frame yet");
  write("fps-inference", rate(rates.inference));
  write("fps-camera", rate(rates.camera));
  write("fps-shown", rate(rates.shown));
  write("dropped", demo.dropped.toLocaleString("en"));
  write("dropped-share", demo.captured ? `${figure((100 * demo.dropped) / demo.captured)} %` : "");
}

function showFound({ found, found_total: total }) {
  write("found-count", String(total));
  byId("found-none").hidden = total > 0;
  const rows = () =>
    found.map((one) => {
      const row = make("tr");
      const name = make("th");
      name.scope = "row";
      const swatch = make("span", "", "swatch");
      swatch.style.background = one.colour;
      name.append(swatch, one.track == null ? one.label : `${one.label} ${one.track}`);
      const size = one.box ? `${sides(one.box)}` : "";
      row.append(name, make("td", figure(one.score, 2)), make("td", size, "size"));
      return row;
    });
  fill("found", rows, found);
}

const sides = ([x1, y1, x2, y2]) => `${Math.round(x2 - x1)} × ${Math.round(y2 - y1)}`;

function showFall({ stages, frame_age_ms: result, shown_age_ms: shown }) {
  const names = Object.keys(stages).filter((name) => stages[name].n);
  let start = 0;
  let end = 0;
  const bars = names.map((name) => {
    const typical = stages[name].p50_ms ?? stages[name].mean_ms ?? 0;
    const late = Math.max(typical, stages[name].p90_ms ?? 0);
    const bar = { name, start, typical, late, spread: stages[name] };
    start += typical;
    end = Math.max(end, bar.start + late);
    return bar;
  });
  const rows = () => [
    ...bars.map(({ name, start, typical, late, spread }) => {
      const kind = IDLE.has(name) ? "idle" : OUT.has(name) ? "out" : "work";
      const rail = make("div", "", "rail");
      const percent = (value) => `${(100 * value) / (end || 1)}%`;
      const tail = make("i", "", "tail");
      const bar = make("i");
      tail.style.left = bar.style.left = percent(start);
      bar.style.width = percent(typical);
      tail.style.width = percent(late);
      rail.append(tail, bar);
      return line(name, spread, kind, rail);
    }),
    line("age at result", result, "sum"),
    line("age at display", shown, "sum"),
  ];
  fill("fall", rows, [stages, result, shown]);
}

function line(name, spread, kind, rail = "") {
  const row = make("tr", "", kind);
  const head = make("th", name);
  head.scope = "row";
  const cell = make("td");
  cell.append(rail);
  const typical = make("td", short(spread.p50_ms ?? spread.mean_ms), "number");
  row.append(head, cell, typical, make("td", short(spread.p90_ms), "number"));
  return row;
}

function showRun({ demo, viewers }) {
  const { source } = demo;
  const facts = [
    ["Model", `${demo.model} (${demo.task})`],
    ["Target", demo.target],
    ["Variant", `${demo.variant} in ${demo.compute}`],
    ["Network input", `${demo.shape[1]} × ${demo.shape[0]}${demo.own_shape ? ", the stream’s own shape" : ""}`],
    ["Certificate", demo.verdict || "none for this model at this shape"],
    ["Source", source.name],
    ["Running", clock(demo.seconds)],
    ["Frames", `${demo.frames.toLocaleString("en")} of ${demo.captured.toLocaleString("en")} captured`],
    ["Recording", demo.saved],
    ["Pages open", String(viewers)],
  ].filter(([, value]) => value);
  fill("facts", () => facts.flatMap(([name, value]) => [make("dt", name), make("dd", value)]), facts);
  fill("notes", () => demo.notes.map((note) => make("li", note)), demo.notes);
  const rows = () =>
    [...demo.events].reverse().map((event) => {
      const row = make("li");
      row.append(make("time", clock(event.at_s)), event.state, event.reason ? `: ${event.reason}` : "");
      return row;
    });
  fill("events", rows, demo.events);
}

function clock(seconds) {
  const whole = Math.floor(seconds);
  const parts = [Math.floor(whole / 3600), Math.floor(whole / 60) % 60, whole % 60];
  return parts.map((part, at) => (at ? String(part).padStart(2, "0") : part)).join(":");
}
