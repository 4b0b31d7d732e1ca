/* The explorer: one selection, which all panels show and all controls change. */

const PANELS = {
  map: MapPanel, lag: LagPanel, adjoint: AdjointPanel,
  singular: SingularPanel, eigenvalues: EigenvaluePanel, gates: GatePanel, saturation: SaturationPanel,
};
/** Milliseconds in which a whole training is played. */
const PLAYED = 8000;
const FRAGMENT = "#explore?";

class Explorer {
  constructor(root, contents) {
    this.root = root;
    this.contents = contents;
    this.keepsFragment = root.dataset.fragment !== undefined;
    this.selection = this.first();
    this.panels = [...root.querySelectorAll("[data-panel]")].map((element) => ({
      element,
      panel: new PANELS[element.dataset.panel](),
      plane: new Plane(element.querySelector("canvas")),
      note: element.querySelector(".panel-note"),
    }));
    this.choices = [...root.querySelectorAll("[data-choice]")];
    this.readout = root.querySelector("[role=status]");
    this.legend = root.querySelector(".legend");
    this.tip = root.querySelector(".tip");
    this.play = root.querySelector("[data-play]");
    const track = (name) => new Track(root.querySelector(`[data-track=${name}]`), (to) => this.change({ [name]: to }));
    this.tracks = { step: track("step"), t: track("t"), k: track("k") };
    this.listen();
    if (this.keepsFragment) this.follow(location.hash);
    this.show();
    root.dataset.ready = "true";
  }

  first() {
    const [trial] = this.contents.trials;
    const lengths = this.contents.lengths(trial.configuration);
    return {
      configuration: trial.configuration,
      length: lengths[lengths.length - 1],
      seed: trial.seed,
      sequence: 0,
      step: Infinity,
      t: Infinity,
      k: 0,
      block: "hidden",
      column: "log_spectral_norm",
      scale: "own",
      relative: true,
      other: "none",
      matrix: "jacobian",
      gate: null,
    };
  }

  listen() {
    for (const choice of this.choices) {
      choice.addEventListener("change", () => this.change({ [choice.dataset.choice]: JSON.parse(choice.value) }));
    }
    this.play.addEventListener("click", () => (this.playing ? this.stop() : this.start()));
    for (const { element, panel, plane } of this.panels) {
      const { canvas } = plane;
      const over = (event) => {
        const place = plane.from(event.offsetX, event.offsetY);
        return place && plane.x1 !== undefined ? panel.near(place, this.view(), plane) : null;
      };
      canvas.addEventListener("pointermove", (event) => this.hover(event, over(event)));
      canvas.addEventListener("pointerleave", () => (this.tip.hidden = true));
      canvas.addEventListener("click", (event) => {
        const found = over(event);
        if (found && Object.keys(found.choose).length) this.change(found.choose);
        this.hover(event, found);
      });
    }
    new ResizeObserver(() => this.show()).observe(this.root);
    matchMedia("(prefers-color-scheme: dark)").addEventListener("change", () => this.show());
    addEventListener("schemechange", () => this.show());
    if (this.keepsFragment) addEventListener("hashchange", () => this.follow(location.hash) && this.show());
  }

  hover(event, found) {
    this.tip.hidden = !found;
    if (!found) return;
    this.tip.replaceChildren(...found.text.map((line) => Object.assign(document.createElement("div"), { textContent: line })));
    const frame = this.root.getBoundingClientRect();
    const [x, y] = [event.clientX - frame.left, event.clientY - frame.top];
    const left = x + this.tip.offsetWidth + 16 > frame.width ? x - this.tip.offsetWidth - 10 : x + 14;
    this.tip.style.left = `${Math.max(0, left)}px`;
    this.tip.style.top = `${y + 14}px`;
  }

  /** Change the selection as a person asks. */
  change(asked) {
    if ("step" in asked) this.stop();
    Object.assign(this.selection, asked);
    this.show();
    this.keep();
  }

  start() {
    const { steps } = this.contents;
    const [first, last] = [steps[0], steps[steps.length - 1]];
    let from = this.selection.step >= last ? first : this.selection.step;
    let then = null;
    this.readout.setAttribute("aria-live", "off");
    const move = (now) => {
      if (!this.playing) return;
      from += then === null ? 0 : ((now - then) / PLAYED) * (last - first);
      then = now;
      this.selection.step = Math.min(from, last);
      this.show();
      if (from >= last) return this.stop();
      this.playing = requestAnimationFrame(move);
    };
    this.playing = requestAnimationFrame(move);
    this.say();
  }

  stop() {
    if (!this.playing) return;
    cancelAnimationFrame(this.playing);
    this.playing = null;
    this.readout.setAttribute("aria-live", "polite");
    this.selection.step = this.position(this.selection.step);
    this.say();
    this.show();
    this.keep();
  }

  say() {
    this.play.textContent = this.playing ? "❚❚ Pause" : "▶ Play";
    this.play.setAttribute("aria-label", this.playing ? "Pause" : "Play the training");
  }

  /** The latest train step, up to a position, at which any trial was measured. */
  position(step) {
    const { steps } = this.contents;
    let found = steps[0];
    for (const one of steps) if (one <= step) found = one;
    return found;
  }

  /** The selection as panels see it, made whole: what is not there gives way to what is. */
  view() {
    const { contents, selection } = this;
    const lengths = contents.lengths(selection.configuration);
    if (!lengths.includes(selection.length)) selection.length = lengths[lengths.length - 1];
    const seeds = contents.seeds(selection.configuration, selection.length);
    if (!seeds.includes(selection.seed)) [selection.seed] = seeds;
    const trial = contents.trial(selection.configuration, selection.length, selection.seed);
    const position = this.position(selection.step);
    return new View(contents, selection, trial, position);
  }

  show() {
    const { selection } = this;
    this.offer(this.view());
    const view = this.view();
    const rows = view.norms() ? rowsOf(view.norms()) : [];
    const ts = rows.length ? rows.map((row) => row.t) : view.times();
    view.t = selection.t = nearest(ts, Math.min(selection.t, ts[ts.length - 1])) ?? 0;
    const row = rows.find((one) => one.t === selection.t);
    const ks = row ? [...row.k] : ts.filter((t) => t <= selection.t);
    view.k = selection.k = nearest(ks, selection.k) ?? 0;
    const last = this.contents.steps[this.contents.steps.length - 1];
    const at = this.playing ? Math.round(selection.step) : view.position;
    if (!this.playing && selection.step > last) selection.step = last;
    this.tracks.step.show(this.contents.steps, at, `train step ${view.position}`);
    this.tracks.t.show(ts, selection.t, `t = ${selection.t}`);
    this.tracks.k.show(ks, selection.k, `k = ${selection.k}, lag ${selection.t - selection.k}`);
    for (const { element, panel, plane, note } of this.panels) {
      plane.begin(panel.margins);
      plane.x1 = undefined;
      panel.draw(plane, view);
      const words = view.age(panel.source);
      element.classList.toggle("carried", words !== "");
      note.textContent = words;
    }
    this.readout.textContent = view.inWords();
    this.name(view.shownTrials());
  }

  /** Name the lines, where there are several. */
  name(lines) {
    this.legend.hidden = lines.length < 2;
    const named = JSON.stringify(lines);
    if (this.legend.hidden || this.legend.dataset.named === named) return;
    this.legend.dataset.named = named;
    const entries = lines.map((line) => {
      const entry = document.createElement("li");
      const sample = Object.assign(document.createElement("canvas"), { ariaHidden: "true" });
      entry.append(sample, line.name);
      return [entry, sample, line];
    });
    this.legend.replaceChildren(...entries.map(([entry]) => entry));
    for (const [, sample, { colour, dash, width }] of entries) {
      const plane = new Plane(sample);
      plane.begin();
      plane.stroke([[0, 5], [30, 5]], colour, width, dash);
    }
  }

  /** Fill the lists with what there is to choose for this selection. */
  offer(view) {
    const { contents, selection } = this;
    const names = contents.configurations.map((one) => one.name);
    const measured = new Set(contents.trials.map((trial) => trial.configuration));
    const known = names.map((name, i) => [i, name]).filter(([i]) => measured.has(i));
    const norms = view.measured("norms");
    const offers = {
      configuration: known,
      length: contents.lengths(selection.configuration).map((length) => [length, String(length)]),
      seed: contents.seeds(selection.configuration, selection.length).map((seed) => [seed, String(seed)]),
      sequence: distinct(norms.map((group) => group.sequence)).map((i) => [i, String(i + 1)]),
      other: [["none", "none"], ["all", "all others"], ...known.filter(([i]) => i !== selection.configuration)],
      block: distinct(norms.map((group) => group.block)).map((block) => [block, BLOCKS[block] ?? block]),
      column: (contents.sources.norms?.values ?? []).map((column) => [column, NORMS[column]]),
      scale: [["own", "its own"], ["shared", "one for all"]],
      relative: [[true, "to the last step"], [false, "absolute"]],
      matrix: distinct(view.measured("eigenvalues").map(nameOfMatrix)).map((name) => [name, MATRICES[name] ?? name]),
      gate: distinct(view.measured("gates").map((group) => group.gate)).map((gate) => [gate, gate]),
    };
    for (const choice of this.choices) {
      const name = choice.dataset.choice;
      const offer = offers[name];
      const values = offer.map(([value]) => value);
      if (values.length && !values.includes(selection[name])) selection[name] = values[0];
      const wanted = JSON.stringify(offer);
      if (choice.dataset.offer !== wanted) {
        choice.replaceChildren(...offer.map(([value, text]) => new Option(text, JSON.stringify(value))));
        choice.dataset.offer = wanted;
      }
      choice.value = JSON.stringify(selection[name]);
      choice.closest("label").hidden = offer.length < 2;
    }
  }

  /** Keep the selection in the page's address. */
  keep() {
    if (!this.keepsFragment) return;
    const { configuration, other, ...rest } = this.selection;
    const name = (i) => this.contents.configurations[i]?.name ?? i;
    const kept = { configuration: name(configuration), ...rest, other: name(other) };
    const filled = Object.entries(kept).filter(([, value]) => value !== null);
    history.replaceState(null, "", FRAGMENT + new URLSearchParams(filled));
  }

  /** Take the selection that an address asks for; whether it asks for one. */
  follow(fragment) {
    if (!fragment.startsWith(FRAGMENT)) return false;
    const asked = new URLSearchParams(fragment.slice(FRAGMENT.length));
    const names = this.contents.configurations.map((one) => one.name);
    for (const [key, text] of asked) {
      if (!(key in this.selection)) continue;
      const number = Number(text);
      if (key === "configuration" || (key === "other" && names.includes(text))) {
        const place = names.indexOf(text);
        if (place >= 0 && this.contents.lengths(place).length) this.selection[key] = place;
      } else if (["step", "t", "k", "seed", "sequence", "length"].includes(key)) {
        if (Number.isFinite(number)) this.selection[key] = number;
      } else if (key === "relative") this.selection.relative = text === "true";
      else this.selection[key] = text;
    }
    this.root.scrollIntoView();
    return true;
  }
}

/** Bring an explorer to life; the promise is fulfilled once it is drawn. */
async function explore(root) {
  const held = (name) => root.querySelector(`script[data-${name}]`).textContent;
  if (typeof DecompressionStream === "undefined") {
    root.querySelector(".explorer-trouble").hidden = false;
    return null;
  }
  const contents = await Contents.read(JSON.parse(held("index")), held("arrays"));
  return new Explorer(root, contents);
}
