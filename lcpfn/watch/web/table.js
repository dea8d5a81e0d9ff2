// The table of runs: sorted by any column, filtered by decision and name.

const COLUMNS = [
  { key: "rank", label: "#", about: "rank by expected final value", number: true },
  { key: "run", label: "run" },
  { key: "last", label: "step", number: true },
  { key: "value", label: "last", about: "newest value", number: true },
  { key: "final", label: "final", about: "expected value at the last step", number: true },
  { key: "interval", label: "interval", about: "90 % interval of the final value", by: run => run.low },
  { key: "chance", label: "beats best", about: "probability that it ever beats the best of the others", number: true, text: share },
  { key: "verdict", label: "decision" },
  { key: "saved", label: "saves", about: "steps saved if it is stopped now", number: true,
    text: steps => steps ? format(steps) : "" },
];

class RunTable {
  constructor(section, { choose, toggle }) {
    this.section = section;
    this.body = section.querySelector("tbody");
    this.rows = new Map();
    this.sort = { key: "rank", down: false };
    this.verdict = null;
    this.toggle = toggle;
    this.choose = choose;
    this.header(section.querySelector("thead tr"));
    section.querySelector("#search").addEventListener("input", () => this.arrange());
    this.body.addEventListener("click", event => this.click(event));
    this.body.addEventListener("keydown", event => this.key(event));
  }

  header(row) {
    row.append(Object.assign(element("td", undefined, "pick"), { ariaLabel: "compare" }));
    for (const { key, label, about, number } of COLUMNS) {
      const cell = element("th", undefined, `${key} ${number ? "number" : ""}`);
      cell.scope = "col";
      const button = cell.appendChild(element("button", label));
      button.type = "button";
      if (about) button.title = about;
      button.addEventListener("click", () => {
        this.sort = { key, down: this.sort.key === key && !this.sort.down };
        this.arrange();
      });
      row.append(cell);
    }
    this.heads = [...row.querySelectorAll("th")];
  }

  make(name) {
    const row = element("tr"), pick = row.appendChild(element("td", undefined, "pick"));
    const box = pick.appendChild(element("input"));
    box.type = "checkbox";
    box.ariaLabel = `compare ${name}`;
    const fields = {};
    for (const { key, number } of COLUMNS) {
      const cell = element(key === "run" ? "th" : "td", undefined, `${key} ${number ? "number" : ""}`);
      fields[key] = row.appendChild(cell);
    }
    fields.run.scope = "row";
    const button = fields.run.appendChild(element("button", name));
    Object.assign(button, { type: "button", title: name });
    const range = fields.interval.appendChild(element("div", undefined, "range"));
    range.append(element("i"), element("b"));
    Object.assign(row, { name, box, button, fields, range });
    return row;
  }

  update(data, slots) {
    this.data = data;
    const known = data.runs.flatMap(run => [run.low, run.high, run.final]);
    const [low, high] = levels(known, data.mode, .25);
    for (const run of data.runs) {
      if (!this.rows.has(run.run)) this.rows.set(run.run, this.make(run.run));
      const row = this.rows.get(run.run);
      row.data = run;
      for (const { key, number, text } of COLUMNS) {
        if (number) row.fields[key].textContent = (text ?? format)(run[key]);
      }
      row.fields.verdict.textContent = run.verdict;
      row.fields.verdict.className = `verdict ${run.verdict.split(" ")[0]}`;
      row.fields.verdict.title = run.reason;
      this.interval(row, run, x => 100 * Math.min(Math.max((x - low) / (high - low), 0), 1));
      const slot = slots.get(run.run);
      row.classList.toggle("chosen", slot !== undefined);
      row.box.checked = slot !== undefined;
      row.box.style.accentColor = slot === undefined ? "" : tone(slot);
      row.button.setAttribute("aria-pressed", slot !== undefined);
    }
    const names = new Set(data.runs.map(run => run.run));
    for (const name of this.rows.keys()) {
      if (!names.has(name)) {
        this.rows.get(name).remove();
        this.rows.delete(name);
      }
    }
    this.filters();
    this.arrange();
  }

  interval({ range, fields }, run, place) {
    const known = run.low !== null && run.final !== null;
    range.hidden = !known;
    fields.interval.title = known ? `${format(run.low)} to ${format(run.high)}` : "";
    if (!known) return;
    const [bar, dot] = range.children;
    bar.style.left = `${place(run.low)}%`;
    bar.style.width = `${place(run.high) - place(run.low)}%`;
    bar.style.background = css(STATE[run.verdict]);
    dot.style.left = `${place(run.final)}%`;
  }

  filters() {
    const box = document.getElementById("filters");
    if (!box.children.length) {
      for (const verdict of [null, ...Object.keys(STATE)]) {
        const button = box.appendChild(element("button"));
        button.type = "button";
        button.append(`${verdict ?? "all"} `, element("b"));
        button.addEventListener("click", () => {
          this.verdict = verdict;
          this.filters();
          this.arrange();
        });
        button.verdict = verdict;
      }
    }
    for (const button of box.children) {
      const { verdict } = button;
      const count = this.data.runs.filter(run => !verdict || run.verdict === verdict).length;
      button.lastChild.textContent = count;
      button.hidden = verdict !== null && !count && verdict !== this.verdict;
      button.setAttribute("aria-pressed", verdict === this.verdict);
    }
  }

  // Puts rows in order; the one that has the focus keeps it.
  arrange() {
    if (!this.data) return;
    const { key, down } = this.sort, column = COLUMNS.find(c => c.key === key);
    const by = column.by ?? (run => run[key]);
    const wanted = this.section.querySelector("#search").value.trim().toLowerCase();
    const rows = [...this.rows.values()].sort(({ data: one }, { data: two }) => {
      const [a, b] = [by(one), by(two)];
      if (a === null || b === null) return (a === null) - (b === null);
      const order = typeof a === "string" ? a.localeCompare(b, undefined, { numeric: true }) : a - b;
      return (down ? -order : order) || one.rank - two.rank;
    });
    for (const row of rows) {
      row.hidden = (this.verdict && row.data.verdict !== this.verdict)
        || !row.name.toLowerCase().includes(wanted);
    }
    if (rows.some((row, i) => this.body.children[i] !== row)) {
      const focused = document.activeElement;
      this.body.append(...rows);
      if (this.body.contains(focused)) focused.focus({ preventScroll: true });
    }
    this.heads.forEach((cell, i) => {
      if (COLUMNS[i].key !== key) cell.removeAttribute("aria-sort");
      else cell.setAttribute("aria-sort", down ? "descending" : "ascending");
    });
    const none = document.getElementById("none");
    none.hidden = rows.some(row => !row.hidden);
    none.textContent = rows.length ? "No run fits." : "";
  }

  click(event) {
    const row = event.target.closest("tr");
    if (!row) return;
    if (event.target === row.box || event.ctrlKey || event.metaKey) this.toggle(row.name);
    else this.choose(row.name);
  }

  key(event) {
    const way = { ArrowDown: "nextElementSibling", ArrowUp: "previousElementSibling" }[event.key];
    let row = way && event.target.closest("tr")[way];
    while (row && row.hidden) row = row[way];
    if (!row) return;
    event.preventDefault();
    (event.target.type === "checkbox" ? row.box : row.button).focus();
  }
}
