// All observed curves; a click chooses the nearest run.

class AllChart extends Chart {
  constructor(box, choose) {
    super(box);
    this.near = null;
    box.addEventListener("click", () => this.near && choose(this.near.run));
  }

  show(data, chosen, log) {
    this.data = data;
    this.slots = new Map(chosen.map(([run, slot]) => [run.run, slot]));
    const share = data.runs.length > 1 ? .1 : 0;
    this.range = padded(levels(data.runs.flatMap(run => run.values), data.mode, share), log);
    if (log && this.range[0] <= 0) this.range[0] = this.range[1] / 1e4;
    const kind = JSON.stringify([log, matchMedia("(prefers-color-scheme: dark)").matches, data.horizon]);
    this.draw(kind, {
      series: [{}, {}],
      scales: { x: { time: false, range: () => [0, this.data.horizon] },
        y: { range: () => this.range, distr: log ? 3 : 1 } },
      cursor: { drag: { x: false }, x: false, y: false, points: { show: false } },
      hooks: { draw: [plot => this.lines(plot)], setCursor: [plot => this.read(plot)] },
    }, [[0, data.horizon], [null, null]]);
  }

  lines(plot) {
    const { ctx, bbox } = plot, many = this.data.runs.length > 40;
    const tones = Object.fromEntries(Object.entries(STATE).map(([k, v]) => [k, css(v)]));
    ctx.save();
    ctx.beginPath();
    ctx.rect(bbox.left, bbox.top, bbox.width, bbox.height);
    ctx.clip();
    ctx.lineJoin = "round";
    const last = run => this.slots.has(run.run) || run === this.near;
    for (const run of [...this.data.runs].sort((a, b) => last(a) - last(b))) {
      const slot = this.slots.get(run.run);
      ctx.strokeStyle = slot === undefined ? tones[run.verdict] : tone(slot);
      ctx.globalAlpha = last(run) ? 1 : many ? .35 : .6;
      ctx.lineWidth = devicePixelRatio * (last(run) ? 2.5 : many ? 1 : 1.4);
      ctx.beginPath();
      run.steps.forEach((step, i) => {
        if (run.values[i] !== null) {
          ctx.lineTo(plot.valToPos(step, "x", true), plot.valToPos(run.values[i], "y", true));
        }
      });
      ctx.stroke();
    }
    ctx.restore();
  }

  read(plot) {
    const { left, top } = plot.cursor, before = this.near;
    this.near = null;
    if (left >= 0) {
      const step = plot.posToVal(left, "x");
      let close = 24;
      for (const run of this.data.runs) {
        if (step > run.last + .02 * this.data.horizon) continue;
        const value = run.values[nearest(run.steps, step)];
        const away = value === null ? Infinity : Math.abs(plot.valToPos(value, "y") - top);
        if (away < close) [close, this.near] = [away, run];
      }
    }
    const text = this.near ? [element("p", this.near.run),
      element("p", `${this.near.verdict}, best ${format(this.near.best)}`)] : [];
    this.point(text, left, top);
    if (before !== this.near) plot.redraw(false);
  }
}
