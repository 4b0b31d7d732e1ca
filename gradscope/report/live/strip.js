(() => {
  "use strict";
  // how often the server is asked, and for how long somebody's hand keeps the page as it is
  const EVERY = 2000, HANDS_OFF = 3000, KEPT = "gradscope-live";
  const strip = document.getElementById("live"), words = document.getElementById("live-words");
  const button = document.getElementById("live-pause");
  const shown = JSON.parse(document.getElementById("live-status").textContent);
  const kept = JSON.parse(sessionStorage.getItem(KEPT) || "{}");
  let status = shown, paused = Boolean(kept.paused), silent = 0, gone = null, touched = 0;

  const clock = (when) => new Date(when).toTimeString().slice(0, 8);

  function drawnWhen() {
    if (status.drawn === null) return "nothing drawn yet";
    const of = status.drawn_of === status.recorded ? "" : ` of ${status.drawn_of}`;
    return `last drawn at ${clock(status.drawn * 1000)}${of}`;
  }

  function say() {
    const failed = status.failed ? `, ${status.failed} failed` : "";
    const count = `${status.name}: ${status.recorded} of ${status.trials} trials${failed}`;
    const parts = [status.name ? count : "no run has begun yet", drawnWhen()];
    if (gone) {
      parts.push(`the server has gone (${clock(gone)}): the run has ended, or was ended; this page no longer refreshes`);
    } else if (status.state === "done") {
      parts.push(`the run is done; this page no longer refreshes${status.report ? `. The report is ${status.report}` : ""}`);
    } else if (status.state === "stopped") {
      parts.push("the run was stopped; this page no longer refreshes. The same command goes on from here");
    } else {
      parts.push(paused ? "still running, refreshing is paused" : "still running");
    }
    if (status.problem && !gone) parts.push(`it could not be drawn anew: ${status.problem}`);
    const text = parts.join(" · ");
    if (words.textContent !== text) words.textContent = text;
    strip.dataset.state = gone ? "gone" : status.state;
    strip.dataset.version = shown.version;
    button.hidden = Boolean(gone) || status.state !== "running";
    button.textContent = paused ? "Refresh" : "Pause";
  }

  // --- the place where somebody reads, by the heading above it: what stands before it may grow ---

  function place() {
    const marks = [...document.querySelectorAll("main [id]:is(h2, h3)")];
    const above = marks.filter((mark) => mark.getBoundingClientRect().top < innerHeight / 2).pop();
    const unfolded = [...document.querySelectorAll("details")].map((one) => one.open);
    return {
      paused, unfolded, focus: document.activeElement && document.activeElement.id,
      id: above ? above.id : "", at: above ? above.getBoundingClientRect().top : -scrollY,
    };
  }

  function goBack() {
    const mark = kept.id ? document.getElementById(kept.id) : null;
    scrollTo({ top: (mark ? mark.getBoundingClientRect().top + scrollY : 0) - kept.at, behavior: "instant" });
  }

  function settle() {
    document.querySelectorAll("details").forEach((one, i) => { one.open = Boolean(kept.unfolded[i]); });
    goBack();
    const focus = kept.focus ? document.getElementById(kept.focus) : null;
    if (focus) focus.focus({ preventScroll: true });
    // what is drawn late moves what stands below it
    const watch = new ResizeObserver(() => touched ? watch.disconnect() : goBack());
    watch.observe(document.body);
    setTimeout(() => watch.disconnect(), 1500);
  }

  function reload() {
    sessionStorage.setItem(KEPT, JSON.stringify(place()));
    location.reload();
  }

  // --- asking -------------------------------------------------------------------------------------

  async function ask() {
    try {
      const answer = await fetch("status", { cache: "no-store" });
      if (!answer.ok) throw new Error(String(answer.status));
      status = await answer.json();
      silent = 0;
    } catch {
      silent += 1;
      if (silent > 1) gone = Date.now();
    }
    const ended = status.state !== "running";
    const atRest = Date.now() - touched > HANDS_OFF;
    if (!gone && !silent && status.version !== shown.version && (ended || (!paused && atRest))) reload();
    else if (!gone && (silent || shown.state === "running")) setTimeout(ask, silent ? EVERY / 4 : EVERY);
    say();
  }

  for (const kind of ["pointerdown", "pointermove", "keydown", "wheel", "touchmove", "input"]) {
    addEventListener(kind, () => { touched = Date.now(); }, { passive: true, capture: true });
  }
  button.addEventListener("click", () => {
    paused = !paused;
    touched = 0;
    say();
  });
  history.scrollRestoration = "manual";
  sessionStorage.removeItem(KEPT);
  if (kept.unfolded) addEventListener("load", () => requestAnimationFrame(settle));
  say();
  if (shown.state === "running") setTimeout(ask, EVERY);
})();
