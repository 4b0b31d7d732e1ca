/* A canvas with two axes. */

const SMALL = "11px system-ui, -apple-system, 'Segoe UI', 'Liberation Sans', 'DejaVu Sans', sans-serif";

/** Round numbers within a range, some `count` of them; whole ones where `whole` is asked for. */
function ticks(low, high, count, whole = false) {
  const raw = (high - low) / Math.max(count, 1) || 1;
  const power = 10 ** Math.floor(Math.log10(raw));
  let step = power * [1, 2, 5, 10].find((times) => times * power >= raw * 0.999);
  if (whole) step = Math.max(1, Math.round(step));
  const from = Math.ceil(low / step - 1e-9);
  const found = [];
  for (let i = from; i * step <= high + 1e-9 * step; i++) found.push(Number((i * step).toPrecision(12)));
  return found;
}

const printed = (value) => String(value).replace("-", "−");

class Plane {
  constructor(canvas) {
    this.canvas = canvas;
    this.context = canvas.getContext("2d");
  }

  /** Take the canvas as large as it is on the page, and clear it. */
  begin({ left = 50, right = 12, top = 10, bottom = 38 } = {}) {
    const ratio = window.devicePixelRatio || 1;
    const { clientWidth, clientHeight } = this.canvas;
    this.width = clientWidth;
    this.height = clientHeight;
    this.canvas.width = Math.round(ratio * clientWidth);
    this.canvas.height = Math.round(ratio * clientHeight);
    this.ratio = ratio;
    this.context.setTransform(ratio, 0, 0, ratio, 0, 0);
    this.context.clearRect(0, 0, clientWidth, clientHeight);
    this.context.font = SMALL;
    const style = getComputedStyle(this.canvas);
    const colour = (name) => style.getPropertyValue(name).trim();
    this.ink = colour("--ink");
    this.soft = colour("--soft");
    this.line = colour("--line");
    this.box = { left, top, right: clientWidth - right, bottom: clientHeight - bottom };
  }

  /** Shrink the box to a square at its left end, or about its middle. */
  square(middle = false) {
    const { left, right, top, bottom } = this.box;
    const side = Math.min(right - left, bottom - top);
    const spare = middle ? (right - left - side) / 2 : 0;
    this.box = { left: left + spare, right: left + spare + side, top, bottom: top + side };
  }

  limits(x, y) {
    [this.x0, this.x1] = x;
    [this.y0, this.y1] = y;
  }

  px(x) {
    const { left, right } = this.box;
    return left + ((x - this.x0) / (this.x1 - this.x0 || 1)) * (right - left);
  }

  py(y) {
    const { top, bottom } = this.box;
    return bottom - ((y - this.y0) / (this.y1 - this.y0 || 1)) * (bottom - top);
  }

  /** The values at a point of the canvas; null outside the box. */
  from(px, py) {
    const { left, right, top, bottom } = this.box;
    if (px < left - 6 || px > right + 6 || py < top - 6 || py > bottom + 6) return null;
    return {
      x: this.x0 + ((px - left) / (right - left)) * (this.x1 - this.x0),
      y: this.y0 + ((bottom - py) / (bottom - top)) * (this.y1 - this.y0),
    };
  }

  axes(xlabel, ylabel, { wholeX = true, wholeY = false, grid = true } = {}) {
    const c = this.context;
    const { left, right, top, bottom } = this.box;
    c.lineWidth = 1;
    c.fillStyle = this.soft;
    c.textAlign = "center";
    c.textBaseline = "top";
    for (const x of ticks(this.x0, this.x1, Math.max(2, (right - left) / 60), wholeX)) {
      const px = this.px(x);
      if (grid) this.stroke([[px, top], [px, bottom]], this.line);
      c.fillText(printed(x), px, bottom + 5);
    }
    c.textAlign = "right";
    c.textBaseline = "middle";
    for (const y of ticks(this.y0, this.y1, Math.max(2, (bottom - top) / 36), wholeY)) {
      const py = this.py(y);
      if (grid) this.stroke([[left, py], [right, py]], this.line);
      c.fillText(printed(y), left - 6, py);
    }
    this.stroke([[left, top], [left, bottom], [right, bottom]], this.soft);
    c.fillStyle = this.ink;
    c.textAlign = "center";
    c.textBaseline = "top";
    c.fillText(xlabel, (left + right) / 2, bottom + 22);
    c.save();
    c.translate(2, (top + bottom) / 2);
    c.rotate(-Math.PI / 2);
    c.textBaseline = "top";
    c.fillText(ylabel, 0, 0);
    c.restore();
  }

  stroke(points, colour, width = 1, dash = []) {
    const c = this.context;
    c.strokeStyle = colour;
    c.lineWidth = width;
    c.setLineDash(dash);
    c.beginPath();
    points.forEach(([x, y], i) => (i ? c.lineTo(x, y) : c.moveTo(x, y)));
    c.stroke();
    c.setLineDash([]);
  }

  /** A line through points; it breaks where one is not finite, and says where it falls to zero. */
  curve(points, { colour, width = 1.8, dash = [], dots = false }) {
    const c = this.context;
    c.save();
    this.clip();
    let piece = [];
    const pieces = [piece];
    for (const [x, y] of points) {
      if (Number.isFinite(y)) piece.push([this.px(x), this.py(y)]);
      else pieces.push((piece = []));
    }
    for (const part of pieces) {
      this.stroke(part, colour, width, dash);
      if (dots || part.length === 1) for (const [x, y] of part) this.dot(x, y, colour, 2.2);
    }
    c.restore();
    const gone = points.find(([, y]) => y === -Infinity);
    if (gone) this.triangle(this.px(gone[0]), this.box.bottom, colour);
  }

  clip() {
    const { left, right, top, bottom } = this.box;
    this.context.beginPath();
    this.context.rect(left - 4, top - 4, right - left + 8, bottom - top + 8);
    this.context.clip();
  }

  dot(x, y, colour, radius, filled = true) {
    const c = this.context;
    c.beginPath();
    c.arc(x, y, radius, 0, 2 * Math.PI);
    c.fillStyle = c.strokeStyle = colour;
    c.lineWidth = 1.2;
    if (filled) c.fill();
    else c.stroke();
  }

  triangle(x, bottom, colour) {
    const c = this.context;
    c.fillStyle = colour;
    c.beginPath();
    c.moveTo(x - 5, bottom - 8);
    c.lineTo(x + 5, bottom - 8);
    c.lineTo(x, bottom);
    c.fill();
  }

  /** Where the cursor is: across the box, at x or at y. */
  mark({ x, y }) {
    const { left, right, top, bottom } = this.box;
    if (x !== undefined) this.stroke([[this.px(x), top], [this.px(x), bottom]], this.ink, 1);
    if (y !== undefined) this.stroke([[left, this.py(y)], [right, this.py(y)]], this.ink, 1);
  }

  label(text, x, y, colour, align = "left") {
    const c = this.context;
    c.fillStyle = colour;
    c.textAlign = align;
    c.textBaseline = "middle";
    c.fillText(text, x, y);
  }

  /** A field of colours: `colourAt(x, y)` is the colour of a point, as [red, green, blue], or null. */
  field(colourAt) {
    const { left, right, top, bottom } = this.box;
    const [width, height] = [right - left, bottom - top].map((side) => Math.round(side * this.ratio));
    if (width < 1 || height < 1) return;
    const image = this.context.createImageData(width, height);
    for (let row = 0; row < height; row++) {
      const y = this.y1 - ((row + 0.5) / height) * (this.y1 - this.y0);
      const along = colourAt(y);
      for (let column = 0; column < width; column++) {
        const x = this.x0 + ((column + 0.5) / width) * (this.x1 - this.x0);
        const colour = along(x);
        const at = 4 * (row * width + column);
        image.data.set(colour, at);
        image.data[at + 3] = 255;
      }
    }
    this.context.putImageData(image, Math.round(left * this.ratio), Math.round(top * this.ratio));
  }

  /** A bar of colours at the right of the box, from the least value at its foot. */
  bar(colourOf, low, high, label) {
    const c = this.context;
    const { right, top, bottom } = this.box;
    const x = right + 10;
    for (let y = top; y < bottom; y++) {
      const value = high - ((y - top) / (bottom - top)) * (high - low);
      c.fillStyle = `rgb(${colourOf(value).join()})`;
      c.fillRect(x, y, 9, 1.5);
    }
    for (const value of ticks(low, high, 5)) {
      const y = bottom - ((value - low) / (high - low)) * (bottom - top);
      this.label(printed(value), x + 13, y, this.soft);
    }
    c.save();
    c.translate(this.width - 1, (top + bottom) / 2);
    c.rotate(-Math.PI / 2);
    c.textAlign = "center";
    c.textBaseline = "bottom";
    c.fillStyle = this.ink;
    c.fillText(label, 0, 0);
    c.restore();
  }

  /** A sentence in the place of what cannot be drawn. */
  say(text) {
    const c = this.context;
    c.fillStyle = this.soft;
    c.textAlign = "center";
    c.textBaseline = "middle";
    const words = text.split(" ");
    const rows = [""];
    for (const word of words) {
      const longer = `${rows[rows.length - 1]} ${word}`.trim();
      if (c.measureText(longer).width > this.width - 40) rows.push(word);
      else rows[rows.length - 1] = longer;
    }
    rows.forEach((row, i) =>
      c.fillText(row, this.width / 2, this.height / 2 + 16 * (i - (rows.length - 1) / 2)),
    );
  }
}

/** A function from values to colours, through stops that are evenly spread from low to high. */
function ramp(stops, low, high) {
  const parts = stops.map((stop) => [1, 3, 5].map((at) => parseInt(stop.slice(at, at + 2), 16)));
  const last = parts.length - 1;
  return (value) => {
    const place = Math.min(1, Math.max(0, (value - low) / (high - low || 1))) * last;
    const i = Math.min(last - 1, Math.floor(place));
    const share = place - i;
    return parts[i].map((part, channel) =>
      Math.round(part + share * (parts[i + 1][channel] - part)),
    );
  };
}
