"use strict";
// What both charts share: numbers, colours, ranges, a plot that redraws, a tooltip.

const SLOTS = 5;
const css = name =>
  getComputedStyle(document.documentElement).getPropertyValue(name).trim();
const tone = slot => css(`--run${slot}`);
const STATE = { "go on": "--go", stop: "--stop", diverged: "--lost", finished: "--done" };

function format(x) {
  if (x === null || x === undefined) return "–";
  const short = Number(x.toPrecision(4)), size = Math.abs(short);
  return size && (size < 1e-4 || size >= 1e7) ? short.toExponential() : String(short);
}

const share = p => p === null ? "–" : p > 0 && p < .001 ? "< 0.1 %"
  : `${(100 * p).toFixed(p < .1 ? 1 : 0)} %`;

function element(tag, text, name) {
  const made = document.createElement(tag);
  if (text !== undefined) made.textContent = text;
  if (name) made.className = name;
  return made;
}

function best(data) {
  const better = data.mode === "max" ? Math.max : Math.min;
  const known = [data.beat, ...data.runs.map(run => run.best)].filter(x => x !== null);
  return known.length ? known.reduce((a, b) => better(a, b)) : null;
}

function nearest(steps, step) {
  let low = 0, high = steps.length - 1;
  while (low < high) {
    const middle = (low + high) >> 1;
    if (steps[middle] < step) low = middle + 1; else high = middle;
  }
  return low && step - steps[low - 1] < steps[low] - step ? low - 1 : low;
}

// All but the first, worst values, which would press the rest together.
function levels(values, mode, share) {
  const sorted = values.filter(Number.isFinite).sort((a, b) => a - b);
  if (!sorted.length) return [0, 1];
  const cut = Math.floor(share * (sorted.length - 1));
  let [low, high] = mode === "max" ? [sorted[cut], sorted[sorted.length - 1]]
    : [sorted[0], sorted[sorted.length - 1 - cut]];
  if (low === high) [low, high] = [low - Math.abs(low || 1) * .05, high + Math.abs(high || 1) * .05];
  return [low, high];
}

function padded([low, high], log) {
  if (log) return [low / 1.1, high * 1.1];
  const room = .04 * (high - low);
  return [low - room, high + room];
}

class Chart {
  constructor(box) {
    this.box = box;
    this.tip = box.appendChild(element("div", undefined, "tip"));
    this.tip.hidden = true;
    new ResizeObserver(() => this.resize()).observe(box);
    box.addEventListener("pointermove", event => {
      if (event.pointerType !== "touch" || !this.plot) return;
      const over = this.plot.over.getBoundingClientRect();
      this.plot.setCursor({ left: event.clientX - over.left, top: event.clientY - over.top });
    });
  }

  size() { return { width: this.box.clientWidth, height: this.box.clientHeight }; }

  resize() { if (this.plot) this.plot.setSize(this.size()); }

  // A new plot if what it is made of has changed, else new numbers in the old one.
  draw(kind, options, numbers) {
    if (this.plot && kind === this.kind) {
      this.plot.setData(numbers);
      return;
    }
    this.kind = kind;
    if (this.plot) this.plot.destroy();
    const axis = {
      stroke: css("--muted"), font: "12px system-ui, sans-serif",
      grid: { stroke: css("--grid"), width: 1 }, ticks: { stroke: css("--line"), width: 1 },
    };
    this.plot = new uPlot({
      ...this.size(),
      legend: { show: false },
      padding: [8, 14, 0, 0],
      axes: [{ ...axis, size: 34 }, { ...axis, size: 58,
        values: (plot, ticks) => ticks.map(tick => tick === null ? "" : format(tick)) }],
      ...options,
    }, numbers, this.box);
  }

  point(lines, left, top) {
    this.tip.hidden = !lines.length;
    if (!lines.length) return;
    this.tip.replaceChildren(...lines);
    const { over } = this.plot, x = over.offsetLeft + left, y = over.offsetTop + top;
    const right = x > this.box.clientWidth / 2;
    this.tip.style.left = right ? "auto" : `${x + 14}px`;
    this.tip.style.right = right ? `${this.box.clientWidth - x + 14}px` : "auto";
    this.tip.style.top = `${Math.max(Math.min(y - 10, this.box.clientHeight - this.tip.offsetHeight), 0)}px`;
  }
}

function line(slot, text) {
  const made = element("p"), mark = element("span", undefined, "swatch");
  mark.style.background = tone(slot);
  made.append(mark, text);
  return made;
}
