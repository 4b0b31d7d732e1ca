/* Panels of lines: over the lag, over t, and over the number of a singular value. */

/** Lines of several configurations in one plane: what all panels over t or lag share. */
class LinePanel {
  margins = {};

  draw(plane, view) {
    const lines = this.lines(view);
    const own = lines.filter((line) => line.main);
    if (!own.length) return plane.say(this.missing);
    const points = lines.flatMap((line) => line.points);
    const [low, high] = this.vertical(lines, view);
    const margin = 0.06 * Math.max(high - low, 0.5);
    const x = reachOf([points.map(([at]) => at)]) ?? [0, 1];
    plane.limits([x[0], x[1] > x[0] ? x[1] : x[0] + 1], [low - margin, high + margin]);
    plane.axes(this.xlabel(view), this.ylabel(view));
    if (low < 0 && high > 0) plane.stroke([[plane.box.left, plane.py(0)], [plane.box.right, plane.py(0)]], plane.soft);
    for (const line of [...lines.filter((line) => !line.main), ...own]) {
      const dots = line.main && line.points.length <= 40;
      plane.curve(line.points, { ...line, colour: line.colour ?? plane.soft, dots });
    }
    const cursor = this.cursor(view);
    if (cursor !== null) plane.mark({ x: cursor });
  }

  vertical(lines) {
    return reachOf(lines.map((line) => line.points.map(([, y]) => y))) ?? [-1, 1];
  }

  near({ x, y }, view, plane) {
    let best = null, least = Infinity;
    for (const line of this.lines(view)) {
      for (const [at, value, exact] of line.points) {
        const high = Number.isFinite(value) ? value : plane.y0;
        const far = Math.hypot(plane.px(at) - plane.px(x), plane.py(high) - plane.py(y));
        if (far < least) {
          least = far;
          best = { text: [line.name, this.reading(at, exact ?? value)], choose: this.chosen(at, view, line) };
        }
      }
    }
    return best;
  }
}

class LagPanel extends LinePanel {
  source = "norms";
  missing = "No Jacobian norms were measured of this trial.";

  lines(view) {
    return view.shownTrials().flatMap(({ trial, ...look }) => {
      const group = view.norms(trial);
      if (!group) return [];
      const rows = rowsOf(group);
      const row = rows[placeOf(rows.map((one) => one.t), view.t)];
      const values = group.values[view.column];
      const points = [...row.k].map((k, i) => [row.t - k, values[row.from + i]]).reverse();
      return [{ ...look, points }];
    });
  }

  vertical(lines, view) {
    const group = view.norms();
    return (view.scale === "shared" && view.reach(group)) || super.vertical(lines, view);
  }

  xlabel = (view) => `lag t − k from t = ${view.t} (steps)`;
  ylabel = (view) => `ln ${productOf(view.block)} (nats)`;
  cursor = (view) => view.t - view.k;
  reading = (lag, value) => `lag ${lag}: ${nats(value)}`;
  chosen = (lag, view, line) => (line.main ? { k: view.t - lag } : {});
}

class AdjointPanel extends LinePanel {
  source = "adjoints";
  missing = "No adjoint norms were measured of this trial.";

  lines(view) {
    return view.shownTrials().flatMap(({ trial, ...look }) => {
      const groups = view.measured("adjoints", trial);
      const wanted = look.main ? groups : groups.filter((group) => group.block === "state" && !group.tbptt_length);
      return wanted.map((group) => this.line(group, look, view));
    });
  }

  line(group, look, view) {
    const { t, log_norm } = group.values;
    const last = log_norm[log_norm.length - 1];
    const from = view.relative && Number.isFinite(last) ? last : 0;
    const whole = group.block === "state";
    const cut = group.tbptt_length > 0;
    const name = [look.name, whole ? "" : `block ${group.block}`, cut ? `truncated at ${group.tbptt_length}` : ""];
    return {
      ...look,
      name: name.filter(Boolean).join(", "),
      main: look.main && whole && !cut,
      colour: whole ? look.colour : undefined,
      width: whole ? look.width : 1,
      dash: cut ? [2, 3] : look.dash,
      points: [...t].map((at, i) => [at, log_norm[i] - from, log_norm[i]]),
    };
  }

  xlabel = () => "t (steps)";
  ylabel = (view) => (view.relative ? "ln ‖dL/dsₜ‖ less its last (nats)" : "ln ‖dL/dsₜ‖ (nats)");
  cursor = (view) => view.k;
  reading = (t, value) => `t = ${t}: ln ‖dL/dsₜ‖ = ${nats(value)}`;
  chosen = (t) => ({ k: t });
}

class SingularPanel extends LinePanel {
  source = "singular";
  missing = "No singular values were measured of this trial.";

  lines(view) {
    const groups = view.measured("singular");
    const chosen = nearest(groups.map((group) => group.lag), view.t - view.k);
    const [{ colour }] = view.shownTrials();
    return groups.map((group) => ({
      name: `lag ${group.lag}`,
      main: group.lag === chosen,
      colour: group.lag === chosen ? colour : undefined,
      width: group.lag === chosen ? 1.8 : 0.9,
      dash: [],
      lag: group.lag,
      points: [...group.values.index].map((i, at) => [i + 1, group.values.log_value[at]]),
    }));
  }

  draw(plane, view) {
    super.draw(plane, view);
    for (const { points, lag, main } of this.lines(view)) {
      const last = points.filter(([, value]) => Number.isFinite(value)).pop();
      if (!last) continue;
      const x = Math.min(plane.px(last[0]), plane.box.right - 4);
      plane.label(`lag ${lag}`, x, plane.py(last[1]) - 9, main ? plane.ink : plane.soft, "right");
    }
  }

  xlabel = () => "i, largest first";
  ylabel = () => "ln σᵢ of ∂sₜ/∂sₖ, t = T (nats)";
  cursor = () => null;
  reading = (i, value) => `σ number ${i}: ln σ = ${nats(value)}`;
  chosen = (_, view, line) => ({ k: Math.max(0, view.t - line.lag) });
}
