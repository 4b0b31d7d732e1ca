/* What the page holds: configurations, trials, and measurements by trial, train step and facets. */

/** The arrays of a page, from base 64: deflated, and laid out byte by byte. */
async function unpacked(text, layout) {
  const binary = atob(text);
  const squeezed = new Uint8Array(binary.length);
  for (let i = 0; i < binary.length; i++) squeezed[i] = binary.charCodeAt(i);
  const stream = new Blob([squeezed]).stream().pipeThrough(new DecompressionStream("deflate"));
  const planes = new Uint8Array(await new Response(stream).arrayBuffer());
  const count = planes.length / 4;
  const whole = new Uint8Array(planes.length);
  for (let plane = 0; plane < 4; plane++) {
    for (let i = 0, from = plane * count; i < count; i++) whole[4 * i + plane] = planes[from + i];
  }
  let at = 0;
  return layout.map(([kind, length]) => {
    const Kind = kind === "i" ? Int32Array : Float32Array;
    const array = new Kind(whole.buffer, 4 * at, length);
    at += length;
    return array;
  });
}

const isRising = (a, b) => a - b;
const distinct = (values) => [...new Set(values)];

/** The one of ascending numbers that is nearest to another; null of none. */
function nearest(numbers, wanted) {
  let best = null;
  for (const number of numbers) {
    if (best === null || Math.abs(number - wanted) < Math.abs(best - wanted)) best = number;
  }
  return best;
}

class Contents {
  constructor(index, arrays) {
    this.configurations = index.configurations;
    this.trials = index.trials;
    this.ramps = index.ramps;
    this.sources = index.sources;
    this.arrays = arrays;
    const steps = Object.values(index.sources).flatMap((source) => distinct(source.train_step));
    this.steps = distinct(steps).sort(isRising);
    // by source and trial: what was measured, in the order of train steps
    this.measured = new Map();
    for (const [name, source] of Object.entries(index.sources)) {
      source.trial.forEach((trial, place) => {
        const key = `${name} ${trial}`;
        if (!this.measured.has(key)) this.measured.set(key, []);
        this.measured.get(key).push(place);
      });
    }
    this.reaches = new Map();
    this.groups = new Map();
  }

  static async read(index, text) {
    return new Contents(index, await unpacked(text, index.arrays));
  }

  has(source) {
    return source in this.sources;
  }

  /** Lengths that a configuration was trained at; [null] where its task has none. */
  lengths(configuration) {
    const trials = this.trials.filter((trial) => trial.configuration === configuration);
    return distinct(trials.map((trial) => trial.length)).sort(isRising);
  }

  seeds(configuration, length) {
    return this.trials
      .filter((trial) => trial.configuration === configuration && trial.length === length)
      .map((trial) => trial.seed);
  }

  /** The number of a trial; -1 where it was not measured. */
  trial(configuration, length, seed) {
    return this.trials.findIndex(
      (trial) =>
        trial.configuration === configuration && trial.length === length && trial.seed === seed,
    );
  }

  /** The latest train step, up to one, at which something of a trial was measured. */
  latest(source, trial, step) {
    const { train_step } = this.sources[source] ?? {};
    let latest = null;
    for (const place of this.measured.get(`${source} ${trial}`) ?? []) {
      if (train_step[place] <= step && (latest === null || train_step[place] > latest)) {
        latest = train_step[place];
      }
    }
    return latest;
  }

  /** Measurements of a trial at its latest train step up to one, as {step, facets, arrays}. */
  at(source, trial, step) {
    const latest = this.latest(source, trial, step);
    if (latest === null) return [];
    const { train_step } = this.sources[source];
    const places = this.measured.get(`${source} ${trial}`);
    return places.filter((place) => train_step[place] === latest).map((place) => this.group(source, place));
  }

  /** A measurement, the same object whenever it is asked for. */
  group(name, place) {
    const key = `${name} ${place}`;
    if (!this.groups.has(key)) this.groups.set(key, this.made(name, place));
    return this.groups.get(key);
  }

  made(name, place) {
    const source = this.sources[name];
    const group = { step: source.train_step[place], text: source.text ? source.text[place] : [] };
    for (const facet of source.facets) group[facet] = source[facet][place];
    const values = {};
    for (const [column, numbers] of Object.entries(source.arrays)) {
      values[column] = this.arrays[numbers[place]];
    }
    return { ...group, values };
  }

  /** Least and greatest finite value of a column, over the measurements with these facets. */
  reach(name, column, facets) {
    const key = JSON.stringify([name, column, facets]);
    if (!this.reaches.has(key)) {
      const source = this.sources[name];
      const numbers = new Set();
      source.arrays[column].forEach((number, place) => {
        const fits = Object.entries(facets).every(([facet, value]) => source[facet][place] === value);
        if (fits) numbers.add(number);
      });
      this.reaches.set(key, reachOf([...numbers].map((number) => this.arrays[number])));
    }
    return this.reaches.get(key);
  }
}

/** [least, greatest] of the finite values of arrays; null where there are none. */
function reachOf(arrays) {
  let low = Infinity, high = -Infinity;
  for (const array of arrays) {
    for (const value of array) {
      if (!Number.isFinite(value)) continue;
      if (value < low) low = value;
      if (value > high) high = value;
    }
  }
  return low <= high ? [low, high] : null;
}
