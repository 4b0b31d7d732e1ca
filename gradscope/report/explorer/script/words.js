/* Numbers and places in words. */

/** A number with six significant digits; an exact zero's logarithm is minus infinity. */
function shown(value) {
  if (value === undefined || Number.isNaN(value)) return "not known";
  if (value === -Infinity) return "−∞";
  if (value === Infinity) return "∞";
  const size = Math.abs(value);
  if (value !== 0 && (size < 1e-4 || size >= 1e7)) {
    const [digits, power] = value.toExponential(5).split("e");
    return `${digits}·10^${Number(power)}`.replace(/-/g, "−");
  }
  return String(Number(value.toPrecision(6))).replace("-", "−");
}

const nats = (value) =>
  value === -Infinity ? "−∞ (exactly zero)" : `${shown(value)}${Number.isNaN(value) ? "" : " nats"}`;

const SUBSCRIPT = { state: "s", hidden: "h" };
const productOf = (block, t = "ₜ", k = "ₖ") => {
  const letter = SUBSCRIPT[block] ?? block;
  return `‖∂${letter}${t}/∂${letter}${k}‖`;
};
