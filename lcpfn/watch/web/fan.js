// Fans of the chosen runs, with their values under the pointer or by arrow keys.

// Where a run was or is expected to be at a step: [q05, q25, median, q75, q95].
function expected(run, step) {
  const { steps, quantiles } = run.fan;
  const right = steps.findIndex(x => x >= step);
  const b = right < 0 ? steps.length - 1 : right;
  const from = b ? steps[b - 1] : run.last;
  const share = steps[b] > from ? (step - from) / (steps[b] - from) : 1;
  return quantiles.map(q => {
    const start = b ? q[b - 1] : run.value;
    return start + Math.min(share, 1) * (q[b] - start);
  });
}

class FanChart extends Chart {
  constructor(box, speak) {
    super(box);
    this.speak = speak;
    box.addEventListener("keydown", event => this.key(event));
    box.addEventListener("blur", () => this.plot && this.plot.setCursor({ left: -10, top: -10 }));
  }

  show(data, chosen, log) {
    this.data = data;
    this.chosen = chosen;
    const bar = best(data);
    const tables = chosen.map(([run]) => FanChart.table(run));
    const values = tables.flatMap(([, seen]) => seen);
    const reach = tables.flatMap(([, , low, , , , high]) => [...low, ...high]);
    const [low, high] = levels(values, data.mode, .15);
    this.range = padded([low, high, ...reach, ...(chosen.length && bar !== null ? [bar] : [])]
      .filter(Number.isFinite).reduce(([a, b], x) => [Math.min(a, x), Math.max(b, x)],
        [low, high]), log);
    if (log && this.range[0] <= 0) this.range[0] = this.range[1] / 1e4;
    this.bar = bar;
    const kind = JSON.stringify([chosen.map(([run, slot]) => [run.run, slot]), log,
      matchMedia("(prefers-color-scheme: dark)").matches, data.horizon]);
    const numbers = tables.length ? uPlot.join(tables) : [[0, data.horizon], [null, null]];
    this.draw(kind, this.options(log), numbers);
  }

  // Steps, what was seen there, and the five quantiles; the fan begins at the last value.
  static table(run) {
    const fan = run.fan && run.value !== null ? run.fan : { steps: [], quantiles: [[], [], [], [], []] };
    const before = run.steps.map(() => null);
    if (fan.steps.length) before[before.length - 1] = run.value;
    return [
      [...run.steps, ...fan.steps],
      [...run.values, ...fan.steps.map(() => null)],
      ...fan.quantiles.map(row => [...before, ...row]),
    ];
  }

  options(log) {
    const series = [{}], bands = [];
    for (const [run, slot] of this.chosen) {
      const stroke = tone(slot), first = series.length;
      const quiet = { stroke, width: 0, spanGaps: true, points: { show: false } };
      series.push({ stroke, width: 2, spanGaps: true, points: { show: run.steps.length <= 40, size: 4, fill: stroke } },
        quiet, quiet, { ...quiet, width: 2, dash: [6, 4] }, quiet, quiet);
      bands.push({ series: [first + 5, first + 1], fill: stroke + "2e" });
      if (this.chosen.length === 1) bands.push({ series: [first + 4, first + 2], fill: stroke + "48" });
    }
    if (series.length === 1) series.push({});
    return {
      series, bands,
      scales: { x: { time: false, range: () => [0, this.data.horizon] },
        y: { range: () => this.range, distr: log ? 3 : 1 } },
      cursor: { drag: { x: false }, y: false, points: { show: false } },
      hooks: { draw: [plot => this.drawBar(plot)], setCursor: [plot => this.read(plot)] },
    };
  }

  drawBar(plot) {
    if (this.bar === null) return;
    const { ctx, bbox } = plot, y = plot.valToPos(this.bar, "y", true);
    ctx.save();
    ctx.strokeStyle = css("--text");
    ctx.lineWidth = devicePixelRatio;
    ctx.setLineDash([2 * devicePixelRatio, 4 * devicePixelRatio]);
    ctx.beginPath();
    ctx.moveTo(bbox.left, y);
    ctx.lineTo(bbox.left + bbox.width, y);
    ctx.stroke();
    ctx.restore();
  }

  read(plot) {
    const { left, top, idx } = plot.cursor;
    if (left < 0 || idx === null || idx === undefined) return this.point([], 0, 0);
    const step = plot.data[0][idx];
    const lines = [element("p", `step ${format(step)}`),
      ...this.chosen.flatMap(([run, slot]) => this.values(run, slot, step))];
    this.point(lines, left, Math.max(top, 0));
    return this.speak(document.activeElement === this.box ? lines.map(x => x.textContent).join(", ") : "");
  }

  values(run, slot, step) {
    const name = this.chosen.length > 1 ? `${run.run}: ` : "";
    if (step <= run.last) {
      return [line(slot, `${name}observed ${format(run.values[nearest(run.steps, step)])}`)];
    }
    if (!run.fan || run.value === null) return [];
    const q = expected(run, step).map(format);
    if (name) return [line(slot, `${name}${q[2]} (${q[0]} to ${q[4]})`)];
    return [line(slot, `median ${q[2]}`), element("p", `50 %: ${q[1]} to ${q[3]}`),
      element("p", `90 %: ${q[0]} to ${q[4]}`)];
  }

  key(event) {
    const count = this.plot.data[0].length, now = this.plot.cursor.idx;
    const last = Math.max(...this.chosen.map(([run]) => nearest(this.plot.data[0], run.last)), 0);
    const to = { ArrowLeft: (now ?? last + 1) - 1, ArrowRight: (now ?? last - 1) + 1,
      Home: 0, End: count - 1 }[event.key];
    if (event.key === "Escape") this.plot.setCursor({ left: -10, top: -10 });
    if (to === undefined) return;
    event.preventDefault();
    const at = this.plot.data[0][Math.min(Math.max(to, 0), count - 1)];
    this.plot.setCursor({ left: this.plot.valToPos(at, "x"), top: 20 });
  }
}
