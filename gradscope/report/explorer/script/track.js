/* A slider over measured values, each at its true place. */

class Track {
  /**
   * @param element with an input of type range, an output, and a canvas for the values' places
   * @param chosen called with the value that a person moves it to
   */
  constructor(element, chosen) {
    this.input = element.querySelector("input");
    this.output = element.querySelector("output");
    this.marks = element.querySelector("canvas");
    this.values = [0];
    this.input.addEventListener("input", () => chosen(this.snapped(Number(this.input.value))));
    this.input.addEventListener("keydown", (event) => {
      const to = this.byKey(event.key);
      if (to === null) return;
      event.preventDefault();
      chosen(to);
    });
  }

  snapped(value) {
    return nearest(this.values, value);
  }

  /** Where a key leads; null for one that means nothing here. */
  byKey(key) {
    const last = this.values.length - 1;
    const here = Math.max(0, this.values.indexOf(this.snapped(Number(this.input.value))));
    const leap = Math.max(1, Math.round(last / 10));
    const moves = {
      ArrowLeft: here - 1, ArrowDown: here - 1, ArrowRight: here + 1, ArrowUp: here + 1,
      PageDown: here - leap, PageUp: here + leap, Home: 0, End: last,
    };
    if (!(key in moves)) return null;
    return this.values[Math.min(last, Math.max(0, moves[key]))];
  }

  /** Show a value, among those that there are; `words` is what is read out. */
  show(values, value, words) {
    this.values = values;
    const [low, high] = [values[0], values[values.length - 1]];
    this.input.min = low;
    this.input.max = high;
    this.input.disabled = values.length < 2;
    this.input.value = value;
    this.input.setAttribute("aria-valuetext", words);
    this.output.textContent = words;
    const plane = new Plane(this.marks);
    plane.begin({ left: 8, right: 8, top: 0, bottom: 0 });
    plane.limits([low, high > low ? high : low + 1], [0, 1]);
    for (const place of values) {
      const x = Math.round(plane.px(place)) + 0.5;
      plane.stroke([[x, 0], [x, 5]], plane.soft);
    }
  }
}
