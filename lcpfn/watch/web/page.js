// Joins table and charts, and asks the server for news.

const find = id => document.getElementById(id);
const content = JSON.parse(find("data").textContent);
const chosen = new Map();  // slot by run
let shown = null, touched = false;

const fanChart = new FanChart(find("fan"), text => { find("spoken").textContent = text; });
const allChart = new AllChart(find("all"), name => choose(name));
const table = new RunTable(find("runs"), { choose, toggle });

function choose(name) {
  chosen.clear();
  toggle(name);
  if (find("fan").getBoundingClientRect().bottom < 80) find("charts").scrollIntoView();
}

function toggle(name) {
  touched = true;
  if (chosen.has(name)) chosen.delete(name);
  else {
    if (chosen.size === SLOTS) chosen.delete(chosen.keys().next().value);
    const taken = new Set(chosen.values());
    chosen.set(name, [...Array(SLOTS).keys()].find(slot => !taken.has(slot)));
  }
  show(shown);
}

function details(runs) {
  find("details").replaceChildren(...runs.map(([run, slot]) => {
    const box = element("div"), title = box.appendChild(element("h3"));
    const mark = title.appendChild(element("span", undefined, "swatch"));
    mark.style.background = tone(slot);
    title.append(run.run);
    const decision = `${run.verdict}: ${run.reason.replace(/\.$/, "")}`;
    box.append(element("p", decision[0].toUpperCase() + decision.slice(1) + "."));
    let text = `Step ${format(run.last)} of ${format(shown.horizon)}, best ${format(run.best)}.`;
    if (run.fan) text += ` Median of the final value ${format(run.final)}, 90 % between ${format(run.low)} and ${format(run.high)}.`;
    if (run.saved) text += ` Stopping now saves ${format(run.saved)} steps.`;
    box.append(element("p", text));
    return box;
  }));
}

function summary({ runs, horizon, name }) {
  const saved = runs.reduce((sum, run) => sum + run.saved, 0);
  const many = runs.length === 1 ? "1 run" : `${runs.length} runs`;
  find("name").textContent = name ?? "";
  find("summary").textContent = !runs.length ? "no records yet" :
    `${many} to step ${format(horizon)}; stopping as advised saves ${format(saved)} of ` +
    `${format(horizon * runs.length)} steps (${(100 * saved / (horizon * runs.length)).toFixed(0)} %)`;
  const stopping = runs.filter(run => run.verdict === "stop").length;
  document.title = `${stopping ? `${stopping} to stop · ` : ""}${name ?? ""} · lcpfn`;
}

function show(data) {
  if (!data) return;
  shown = data;
  summary(data);
  find("trouble").replaceChildren(
    ...Object.entries(data.trouble ?? {}).map(([where, what]) => element("li", `${where}: ${what}`)));
  if (!data.horizon) return;
  if (!touched && data.runs.length) {
    chosen.clear();
    chosen.set((data.runs.find(run => run.fan) ?? data.runs[0]).run, 0);
  }
  const runs = data.runs.filter(run => chosen.has(run.run)).map(run => [run, chosen.get(run.run)]);
  const positive = data.runs.every(run => run.values.every(x => x === null || x > 0));
  find("log-label").hidden = !positive;
  const log = positive && find("log").checked;
  fanChart.show(data, runs, log);
  allChart.show(data, runs, log);
  table.update(data, chosen);
  details(runs);
}

function state(name, text) {
  find("state").className = name;
  find("state").textContent = text;
}

const clock = time => new Date(time).toLocaleTimeString();
let tag = null, timer = null;

async function poll() {
  clearTimeout(timer);
  try {
    if (!document.hidden) {
      const answer = await fetch("data.json", { headers: tag ? { "If-None-Match": tag } : {} });
      if (answer.status === 200) {
        const data = await answer.json();
        tag = answer.headers.get("ETag");
        show(data);
      } else if (answer.status !== 304) throw new Error(answer.statusText);
      state("live", shown.time ? `live; last news at ${clock(shown.time)}` : "live");
    }
  } catch (error) {
    console.info(error);
    state("lost", "no answer from lcpfn watch; trying again");
  }
  timer = setTimeout(poll, 1000 * content.every);
}

find("log").addEventListener("change", () => show(shown));
matchMedia("(prefers-color-scheme: dark)").addEventListener("change", () => show(shown));
if (content.snapshot) {
  show(content.snapshot);
  state("still", `written ${new Date(content.snapshot.time).toLocaleString()}`);
} else {
  document.addEventListener("visibilitychange", poll);
  poll();
}
