/* What panels draw from: the selection and the contents together. */

const BLOCKS = { state: "full state s", hidden: "output part h" };
const NORMS = { log_spectral_norm: "spectral", log_frobenius_norm: "Frobenius" };
const MATRICES = { jacobian: "step Jacobian J" };
const nameOfMatrix = (group) => (group.kind === "jacobian" ? "jacobian" : group.matrix);

/** The selection and the contents together: what panels draw from. */
class View {
  constructor(contents, selection, trial, position) {
    Object.assign(this, selection);
    this.contents = contents;
    this.trial = trial;
    this.position = position;
  }

  measured(source, trial = this.trial) {
    return this.contents.has(source) ? this.contents.at(source, trial, this.position) : [];
  }

  /** The chosen sequence's norms of the chosen block. */
  norms(trial = this.trial) {
    const groups = this.measured("norms", trial).filter((group) => group.block === this.block);
    return groups.find((group) => group.sequence === this.sequence) ?? groups[0] ?? null;
  }

  /** Least and greatest norm: of this measurement, or of all. */
  reach(group) {
    return this.scale === "own"
      ? reachOf([group.values[this.column]])
      : this.contents.reach("norms", this.column, { block: this.block });
  }

  /** Steps t of the trial, where no norms say which were measured. */
  times() {
    const [group] = this.measured("adjoints");
    return group ? [...group.values.t] : [0];
  }

  /** The chosen trial, and those of other configurations that it is compared with. */
  shownTrials() {
    const { contents } = this;
    const others = contents.configurations.map((_, i) => i).filter((i) => i !== this.configuration);
    const compared = this.other === "all" ? others : others.filter((i) => i === this.other);
    return [this.configuration, ...compared].flatMap((configuration) => {
      const lengths = contents.lengths(configuration);
      const length = lengths.includes(this.length) ? this.length : lengths[lengths.length - 1];
      const seeds = contents.seeds(configuration, length);
      if (!seeds.length) return [];
      const seed = seeds.includes(this.seed) ? this.seed : seeds[0];
      const { name, colour, dash } = contents.configurations[configuration];
      const main = configuration === this.configuration;
      return [{ trial: contents.trial(configuration, length, seed), name, colour, dash, main, width: main ? 2 : 1.1 }];
    });
  }

  /** How old what a panel shows is, in words; "" where it is of the chosen train step. */
  age(source) {
    const { contents, trial, position } = this;
    const step = contents.latest(source, trial, position);
    if (step === null || step === position) return "";
    const { outcome, steps } = contents.trials[trial];
    if (steps !== undefined && steps < position) {
      const how = outcome === "diverged" ? "the trial diverged" : "its training ended";
      return `carried forward: measured at train step ${step}; ${how} at ${steps}`;
    }
    return `carried forward: measured at train step ${step}`;
  }

  /** The exact values at the cursor, as a sentence. */
  inWords() {
    const { contents, t, k } = this;
    const words = [];
    const group = this.norms();
    if (group) {
      const at = (name) => {
        const row = rowsOf(group).find((one) => one.t === t);
        return row ? group.values[name][row.from + placeOf(row.k, k)] : NaN;
      };
      for (const name of contents.sources.norms.values) {
        words.push(`ln ${productOf(this.block, `_${t}`, `_${k}`)} ${NORMS[name]} ${nats(at(name))}`);
      }
    }
    const whole = this.measured("adjoints").find((one) => one.block === "state" && !one.tbptt_length);
    if (whole) {
      const place = whole.values.t.indexOf(k);
      if (place >= 0) words.push(`ln ‖dL/ds_${k}‖ ${nats(whole.values.log_norm[place])}`);
    }
    return words.join(" · ");
  }
}
