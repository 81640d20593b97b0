// Frame ages of the last minute as lines, a point every half second.
const SPAN = 60000;
const STEP = 500;
const WIDTH = 600;
const HEIGHT = 160;

const median = (values) => values.sort((a, b) => a - b)[values.length >> 1];
const nice = (value) => {
  const power = 10 ** Math.floor(Math.log10(value));
  return [1, 2, 4, 5, 8, 10].map((each) => each * power).find((each) => each >= value);
};

export class History {
  constructor(root) {
    this.root = root;
    this.shown = [];
    this.result = [];
  }

  display(age) {
    this.shown.push([performance.now(), age]);
  }

  results(age) {
    this.result.push([performance.now(), age]);
  }

  draw() {
    const now = performance.now();
    for (const one of ["shown", "result"]) this[one] = this[one].filter(([at]) => at > now - SPAN);
    const display = steps(this.shown, now);
    const result = steps(this.result, now);
    const all = [...display, ...result].map((one) => Math.max(...one.ages));
    const most = nice(Math.max(10, ...all));
    const line = (points, of) => path(points.map(({ x, ages }) => [x, of([...ages])]), most);
    const set = (id, d) => this.root.querySelector(id).setAttribute("d", d);
    set("#line-worst", line(display, (ages) => Math.max(...ages)));
    set("#line-display", line(display, median));
    set("#line-result", line(result, median));
    this.root.querySelector("#graph-most").textContent = `${most} ms`;
    const last = display.at(-1);
    const said = last ? `, now ${Math.round(median([...last.ages]))} ms at the display` : "";
    this.root.setAttribute("aria-label", `Frame age over the last minute${said}`);
  }
}

/** Ages by half second, on fixed boundaries, so that lines move and do not wobble. */
function steps(samples, now) {
  const found = new Map();
  for (const [at, age] of samples) {
    const step = Math.floor(at / STEP);
    if (!found.has(step)) found.set(step, []);
    found.get(step).push(age);
  }
  return [...found].map(([step, ages]) => ({
    x: WIDTH - ((now - (step + 0.5) * STEP) / SPAN) * WIDTH,
    ages,
  }));
}

/** A line with gaps where nothing was measured. */
function path(points, most) {
  let before = -Infinity;
  return points
    .map(([x, value]) => {
      const gap = x - before > (3 * STEP * WIDTH) / SPAN;
      before = x;
      return `${gap ? "M" : "L"}${x.toFixed(1)} ${(HEIGHT - (value / most) * HEIGHT).toFixed(1)}`;
    })
    .join("");
}
