// Paired differences as bench/statistics/paired.py has them: weighted means over the clips that both have, the symmetric bootstrap-t over
// speakers on the very draws of bench/statistics/bootstrap.py, Holm's correction over a suite.
const paired = (() => {
  "use strict";
  const sum = (list) => list.reduce((a, b) => a + b, 0);

  // P(T >= t) of Student's distribution: the regularised incomplete beta function by its continued fraction.
  const gamma = (x) => { // log of the gamma function (Lanczos)
    const c = [76.18009172947146, -86.50532032941677, 24.01409824083091, -1.231739572450155, 0.1208650973866179e-2, -0.5395239384953e-5];
    const base = x + 5.5 - (x + 0.5) * Math.log(x + 5.5);
    return -base + Math.log(2.5066282746310005 * (1.000000000190015 + sum(c.map((k, i) => k / (x + i + 1)))) / x);
  };
  const fraction = (a, b, x) => {
    const tiny = 1e-300, guard = (v) => Math.abs(v) < tiny ? tiny : v;
    let c = 1, d = 1 / guard(1 - (a + b) * x / (a + 1)), h = d;
    for (let m = 1; m < 500; m++) {
      let k = m * (b - m) * x / ((a + 2 * m - 1) * (a + 2 * m));
      d = 1 / guard(1 + k * d); c = guard(1 + k / c); h *= d * c;
      k = -(a + m) * (a + b + m) * x / ((a + 2 * m) * (a + 2 * m + 1));
      d = 1 / guard(1 + k * d); c = guard(1 + k / c);
      h *= d * c;
      if (Math.abs(d * c - 1) < 1e-14) break;
    }
    return h;
  };
  const beta = (a, b, x) => {
    const front = Math.exp(gamma(a + b) - gamma(a) - gamma(b) + a * Math.log(x) + b * Math.log1p(-x));
    return x < (a + 1) / (a + b + 2) ? front * fraction(a, b, x) / a : 1 - front * fraction(b, a, 1 - x) / b;
  };
  const tail = (t, freedom) => t === 0 ? 0.5 : beta(freedom / 2, 0.5, freedom / (freedom + t * t)) / 2;

  // values [n], weights [n], and the speaker of each -> {value, low, high, p}; p is null of too few speakers.
  function difference(a, b, weights, speakers, reach) {
    const totals = weights.map(sum);
    if (!totals.every((total) => total > 0)) return { value: null, low: null, high: null, p: null };
    const means = [a, b].map((values, k) => sum(values.map((v, i) => v * weights[k][i])) / totals[k]), value = means[0] - means[1];
    const known = [...new Set(speakers)].sort((x, y) => x - y), count = known.length;
    if (count < clips.fewest) return { value, low: null, high: null, p: null };
    const at = speakers.map((speaker) => known.indexOf(speaker));
    const parts = [a, b].map((values, k) => {
      const w = new Float64Array(count), excess = new Float64Array(count), sign = k ? -1 : 1;
      values.forEach((v, i) => { w[at[i]] += weights[k][i]; excess[at[i]] += sign * weights[k][i] * (v - means[k]); });
      return { w, excess };
    });
    let deviations = known.map((_, g) => sum(parts.map(({ excess }, k) => excess[g] / totals[k])));
    const size = Math.max(...means.map(Math.abs)), widen = count / (count - 1);
    if (Math.max(...deviations.map(Math.abs)) < clips.rounding * size) deviations = deviations.map(() => 0);
    const error = Math.max(Math.sqrt(widen * sum(deviations.map((d) => d * d))), clips.rounding * size, Number.MIN_VALUE);
    const ratios = count > clips.most ? [] : studentised(parts, clips.draws[count], count, error);
    const place = 0.95 * (ratios.length - 1), under = Math.floor(place);
    const quantile = ratios.length ? ratios[under] + (place - under) * (ratios[under + 1] - ratios[under]) : clips.quantiles[count - 1];
    const half = quantile * error, t = Math.abs(value) / error;
    let p;
    if (!ratios.length) p = 2 * tail(t, count - 1);
    else if (t > quantile) p = 0.05 * tail(t, count - 1) / tail(quantile, count - 1);
    else p = (1 + ratios.length - below(ratios, t)) / (1 + ratios.length);
    const most = reach ?? Infinity;
    return { value, low: Math.max(-most, value - half), high: Math.min(most, value + half), p };
  }
  function studentised(parts, draws, count, error) {
    const found = new Float64Array(draws.length / count);
    for (let i = 0; i < found.length; i++) {
      const times = [...draws.slice(i * count, (i + 1) * count)].map((digit) => parseInt(digit, 36));
      let off = 0, variance = 0;
      const factors = parts.map(({ w, excess }) => {
        let total = 0, wrong = 0;
        for (let g = 0; g < count; g++) { total += times[g] * w[g]; wrong += times[g] * excess[g]; }
        off += wrong / total;
        return [1 / total, -wrong / (total * total)];
      });
      for (let g = 0; g < count; g++) {
        let own = 0;
        parts.forEach(({ w, excess }, k) => { own += factors[k][0] * excess[g] + factors[k][1] * w[g]; });
        variance += times[g] * own * own;
      }
      found[i] = Math.abs(off) / Math.max(Math.sqrt(count / (count - 1) * variance), clips.floor * error);
    }
    return found.sort();
  }
  const below = (sorted, t) => { let low = 0, high = sorted.length; while (low < high) { const mid = (low + high) >> 1; if (sorted[mid] < t) low = mid + 1; else high = mid; } return low; };

  function holm(ps) {
    const order = ps.map((p, i) => [p, i]).filter(([p]) => p !== null).sort((a, b) => a[0] - b[0]), out = ps.map(() => null);
    let largest = 0;
    order.forEach(([p, i], k) => { largest = Math.max(largest, Math.min(1, p * (order.length - k))); out[i] = largest; });
    return out;
  }

  // One suite, tokenizers by their numbers in clips.labels, the first being the reference -> lines as `bench compare` prints them.
  function compare(suite, chosen) {
    const lines = clips.suites[suite].tables.flatMap((table) => chosen.map((label, k) => {
      if (table.means) return { table, label, mean: table.means[label], difference: null };
      const mine = table.values[label], sized = (v) => table.better === "zero" ? Math.abs(v) : v;
      const there = mine ? mine.flatMap((v, i) => v === null ? [] : [i]) : [], own = weightsOf(table, label);
      const total = sum(there.map((i) => own[i])), mean = there.length ? sum(there.map((i) => mine[i] * own[i])) / total : null;
      const other = table.values[chosen[0]], line = { table, label, mean, difference: null };
      if (!k || !mine || !other) return line;
      const common = there.filter((i) => other[i] !== null), first = weightsOf(table, chosen[0]);
      const found = difference(common.map((i) => sized(mine[i])), common.map((i) => sized(other[i])), [common.map((i) => own[i]), common.map((i) => first[i])], common.map((i) => table.speakers[i]), table.reach);
      return { ...line, difference: found.value === null ? null : { ...found, clips: common.length } };
    }));
    const corrected = holm(lines.map((line) => line.difference?.p ?? null));
    return lines.map((line, i) => ({ ...line, p: corrected[i] }));
  }
  const weightsOf = (table, label) => Array.isArray(table.weights[0]) ? table.weights[table.values.slice(0, label).filter(Boolean).length] : table.weights;
  return { compare, tail };
})();
