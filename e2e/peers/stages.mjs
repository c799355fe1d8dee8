// Where Rill's time goes: what the GPU can do, and the stages beside it, as a table.

/** Three digits that count. */
const figure = (value) => (value === 0 ? '0' : value >= 100 ? value.toFixed(0) : value.toPrecision(3));

/** Lines of `{roofline, stages}`, as `pipeline.trace()` gives it. */
export function stageLines({ roofline, stages }) {
  const f16 = roofline.f16_tflops === null ? 'no f16' : `${figure(roofline.f16_tflops)} in f16`;
  const header = ['stage', 'time', 'in parts', 'dispatches', 'MB', 'GFLOP', 'GB/s', 'TFLOP/s', 'share of peak', 'longest'];
  const rows = stages.map(({ name, whole_us, parts_us, n_dispatches, bytes, flops, rate, dispatches }) => {
    const us_by_op = {};
    for (const { op, shader, us } of dispatches) {
      const kind = op === shader ? op : `${op}/${shader}`;
      us_by_op[kind] = (us_by_op[kind] ?? 0) + us;
    }
    const longest = Object.entries(us_by_op)
      .sort(([, a], [, b]) => b - a)
      .slice(0, 3)
      .map(([kind, us]) => `${kind} ${((100 * us) / parts_us).toFixed(0)} %`);
    return [
      name,
      `${figure(whole_us)} us`,
      `${figure(parts_us)} us`,
      `${n_dispatches}`,
      figure(bytes / 1e6),
      figure(flops / 1e9),
      figure(rate.gb_per_s),
      figure(rate.tflops),
      `${(100 * rate.share).toFixed(1)} % of ${rate.bound}`,
      longest.join(', '),
    ];
  });
  const table = [header, ...rows];
  const widths = header.map((_, column) => Math.max(...table.map((row) => row[column].length)));
  return [
    `${roofline.adapter}, by ${roofline.timed_by}: copies ${figure(roofline.copy_gb_per_s)} GB/s, ${figure(roofline.f32_tflops)} TFLOP/s in f32, ${f16};`,
    `a dispatch ${figure(roofline.dispatch_us)} us, to write it down ${figure(roofline.encode_us)} us, a submit ${figure(roofline.submit_us)} us, reading back ${figure(roofline.readback_ms)} ms`,
    ...table.map((row) => row.map((cell, i) => cell.padEnd(widths[i])).join('  ').trimEnd()),
  ];
}
