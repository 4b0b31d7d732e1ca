/* The map over (t, k). Every panel draws one measurement, and knows what lies under a point of it.

   A panel has draw(plane, view), and near(place, view): what is read there, and the t, k or lag that
   a click chooses. `view` is the selection together with the contents; see view.js. */

/** Values of one row t of a map: its k ascending, and where each cell ends. */
function rowsOf(group) {
  group.rows ??= cut(group);
  return group.rows;
}

function cut(group) {
  const { t, k } = group.values;
  const rows = new Map();
  for (let i = 0; i < t.length; i++) {
    if (!rows.has(t[i])) rows.set(t[i], { t: t[i], from: i, to: i + 1 });
    rows.get(t[i]).to = i + 1;
  }
  for (const row of rows.values()) row.k = k.subarray(row.from, row.to);
  return [...rows.values()];
}

/** The place of the nearest of ascending numbers. */
function placeOf(numbers, wanted) {
  let [low, high] = [0, numbers.length - 1];
  while (low < high) {
    const middle = (low + high) >> 1;
    if (numbers[middle] < wanted) low = middle + 1;
    else high = middle;
  }
  return low > 0 && wanted - numbers[low - 1] <= numbers[low] - wanted ? low - 1 : low;
}

const GREY = [217, 220, 224];

class MapPanel {
  source = "norms";
  margins = { right: 64 };

  draw(plane, view) {
    const group = view.norms();
    if (!group) return plane.say("No Jacobian norms were measured of this trial.");
    const rows = rowsOf(group);
    const values = group.values[view.column];
    const ts = rows.map((row) => row.t);
    const end = ts[ts.length - 1];
    const half = end / Math.max(1, 2 * (rows.length - 1));
    const [low, high] = view.reach(group) ?? [0, 0];
    const reach = Math.max(1, Math.abs(low), Math.abs(high));
    const colourOf = ramp(view.contents.ramps.signed, -reach, reach);
    plane.square();
    plane.limits([-half, end + half], [-half, end + half]);
    plane.field((y) => {
      const row = rows[placeOf(ts, y)];
      const last = row.k[row.k.length - 1];
      const edge = last + (row.k.length > 1 ? (last - row.k[row.k.length - 2]) / 2 : half);
      return (x) => {
        if (x > edge) return GREY;
        const value = values[row.from + placeOf(row.k, x)];
        return Number.isFinite(value) ? colourOf(value) : GREY;
      };
    });
    plane.axes("k, earlier step", "t, later step", { wholeY: true, grid: false });
    plane.bar(colourOf, -reach, reach, `ln ${productOf(view.block)} (nats)`);
    plane.mark({ x: view.k, y: view.t });
  }

  near({ x, y }, view) {
    const group = view.norms();
    if (!group) return null;
    const rows = rowsOf(group);
    const row = rows[placeOf(rows.map((one) => one.t), y)];
    const k = row.k[placeOf(row.k, x)];
    const value = group.values[view.column][row.from + placeOf(row.k, x)];
    return { text: [`t = ${row.t}, k = ${k}, lag ${row.t - k}`, nats(value)], choose: { t: row.t, k } };
  }
}
