/* Panels of units: eigenvalues in the complex plane, and gates. */

class EigenvaluePanel {
  source = "eigenvalues";
  margins = {};

  chosen(view) {
    const groups = view.measured("eigenvalues");
    if (view.matrix === "jacobian") {
      const steps = groups.filter((group) => group.kind === "jacobian");
      const t = nearest(steps.map((group) => group.t), view.t);
      return steps.find((group) => group.t === t);
    }
    return groups.find((group) => group.kind !== "jacobian" && group.matrix === view.matrix);
  }

  draw(plane, view) {
    const group = this.chosen(view);
    if (!group) return plane.say("These eigenvalues were not measured of this trial.");
    const { real, imag } = group.values;
    let reach = 1.05;
    real.forEach((value, i) => (reach = Math.max(reach, Math.hypot(value, imag[i]))));
    reach *= 1.08;
    plane.square(true);
    plane.limits([-reach, reach], [-reach, reach]);
    plane.axes("Re λ", "Im λ", { wholeX: false });
    const circle = Array.from({ length: 121 }, (_, i) => (i * Math.PI) / 60);
    plane.stroke(circle.map((a) => [plane.px(Math.cos(a)), plane.py(Math.sin(a))]), plane.ink);
    const [{ colour }] = view.shownTrials();
    real.forEach((value, i) => plane.dot(plane.px(value), plane.py(imag[i]), colour, 2.6));
    const name = group.kind === "jacobian" ? `J at t = ${group.t}` : group.matrix;
    plane.label(name, plane.box.left + 5, plane.box.top + 8, plane.ink);
  }

  near({ x, y }, view) {
    const group = this.chosen(view);
    if (!group) return null;
    const { real, imag } = group.values;
    let best = null, least = Infinity;
    real.forEach((value, i) => {
      const far = Math.hypot(value - x, imag[i] - y);
      if (far < least) [least, best] = [far, i];
    });
    if (best === null) return null;
    const sign = imag[best] < 0 ? "−" : "+";
    const text = `λ = ${shown(real[best])} ${sign} ${shown(Math.abs(imag[best]))}i`;
    return { text: [text, `|λ| = ${shown(Math.hypot(real[best], imag[best]))}`], choose: {} };
  }
}

class GatePanel {
  source = "gates";
  margins = { right: 58, bottom: 38 };

  chosen(view) {
    return view.measured("gates").find((group) => group.gate === view.gate);
  }

  draw(plane, view) {
    const group = this.chosen(view);
    if (!group) return plane.say("This cell has no such gate.");
    const { unit, t, value } = group.values;
    const steps = t.length / (Math.max(...unit) + 1);
    const units = t.length / steps;
    const signed = (reachOf([value]) ?? [0])[0] < -1e-6;
    const { signed: both, rising } = view.contents.ramps;
    const colourOf = signed ? ramp(both, -1, 1) : ramp(rising, 0, 1);
    const ts = t.subarray(0, steps);
    plane.limits([ts[0] - 0.5, ts[steps - 1] + 0.5], [units + 0.5, 0.5]);
    plane.field((y) => {
      const row = Math.min(units - 1, Math.max(0, Math.round(y) - 1)) * steps;
      return (x) => colourOf(value[row + placeOf(ts, x)]);
    });
    plane.axes("t (steps)", "unit", { wholeY: true, grid: false });
    plane.bar(colourOf, signed ? -1 : 0, 1, `gate ${group.gate}`);
    plane.mark({ x: Math.max(ts[0], view.k) });
  }

  near({ x, y }, view) {
    const group = this.chosen(view);
    if (!group) return null;
    const { unit, t, value } = group.values;
    const steps = t.length / (Math.max(...unit) + 1);
    const at = placeOf(t.subarray(0, steps), x);
    const row = Math.min(Math.max(...unit), Math.max(0, Math.round(y) - 1));
    const symbol = group.text.length ? ` reads ${JSON.stringify(group.text[at])}` : "";
    return {
      text: [`t = ${t[at]}${symbol}, unit ${row + 1}`, `${group.gate} = ${shown(value[row * steps + at])}`],
      choose: { k: t[at] },
    };
  }
}

/** Gates in the mean, where they were not recorded one by one. */
class SaturationPanel {
  source = "saturation";
  margins = { left: 66 };

  draw(plane, view) {
    const groups = view.measured("saturation");
    if (!groups.length) return plane.say("This cell has no gates.");
    plane.limits([0, 1], [groups.length, 0]);
    plane.axes("share of units and steps", "", { wholeX: false, grid: false });
    const { rising } = view.contents.ramps;
    const colours = [rising[0], rising[rising.length - 1]];
    groups.forEach((group, i) => {
      const { low, high } = group.values;
      const [top, bottom] = [plane.py(i + 0.18), plane.py(i + 0.82)];
      const c = plane.context;
      c.fillStyle = plane.line;
      c.fillRect(plane.px(0), top, plane.px(1) - plane.px(0), bottom - top);
      c.fillStyle = colours[0];
      c.fillRect(plane.px(0), top, plane.px(low[0]) - plane.px(0), bottom - top);
      c.fillStyle = colours[1];
      c.fillRect(plane.px(1 - high[0]), top, plane.px(1) - plane.px(1 - high[0]), bottom - top);
      plane.label(group.gate, plane.box.left - 8, (top + bottom) / 2, plane.ink, "right");
    });
  }

  near({ y }, view) {
    const groups = view.measured("saturation");
    const group = groups[Math.floor(y)];
    if (!group) return null;
    const { low, high, mean } = group.values;
    const text = `low ${shown(low[0])}, high ${shown(high[0])}, mean value ${shown(mean[0])}`;
    return { text: [`gate ${group.gate}`, text], choose: {} };
  }
}
