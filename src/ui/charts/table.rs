//! The numbers of a chart as a table, and that as CSV.

use super::{Chart, Kind};
use crate::ui::format;

/// Cells with exact numbers, with units in the headers.
#[derive(Clone, PartialEq, Eq, Debug, Default)]
pub struct Table {
    /// What each column is, with its unit.
    pub headers: Vec<String>,
    /// As many cells each as there are headers; empty where there is no value.
    pub rows: Vec<Vec<String>>,
}

impl Table {
    /// The numbers of `chart`, each written by `number`.
    pub(super) fn of(chart: &Chart, number: impl Fn(f64) -> String) -> Self {
        let mut table = match &chart.kind {
            Kind::Bars { .. } => bars(chart, number),
            Kind::Stack { .. } => stack(chart, number),
            Kind::Lines { .. } => lines(chart, number),
            Kind::Timeline { .. } => timeline(chart, number),
        };
        table.drop_empty_notes();
        table
    }

    /// The table as RFC 4180 has it.
    pub(super) fn csv(&self) -> String {
        let line = |cells: &Vec<String>| cells.iter().map(|cell| quoted(cell)).collect::<Vec<_>>().join(",") + "\r\n";
        std::iter::once(&self.headers).chain(&self.rows).map(line).collect()
    }

    /// Notes are the last column; it goes where nothing was noted.
    fn drop_empty_notes(&mut self) {
        if self.headers.last().is_some_and(|last| last == NOTE)
            && self.rows.iter().all(|row| row.last().is_none_or(String::is_empty))
        {
            self.headers.pop();
            self.rows.iter_mut().for_each(|row| drop(row.pop()));
        }
    }
}

const NOTE: &str = "Note";

/// A number with all that counts for people: its whole part, and six digits at least: `1,234,567`, `0.421338`.
pub fn readable(value: f64) -> String {
    if !value.is_finite() {
        return "not measured".into();
    }
    let n_whole = if value.abs() < 1.0 { 1 } else { value.abs().log10() as usize + 1 };
    let decimals = if value != 0.0 && value.abs() < 0.1 { 9 } else { 6_usize.saturating_sub(n_whole) };
    let mut text = format!("{:.decimals$}", value.abs());
    if text.contains('.') {
        text.truncate(text.trim_end_matches('0').trim_end_matches('.').len());
    }
    let (whole, fraction) = text.split_once('.').map_or((text.as_str(), None), |(whole, rest)| (whole, Some(rest)));
    let sign = if value < 0.0 { "−" } else { "" };
    let fraction = fraction.map(|digits| format!(".{digits}")).unwrap_or_default();
    format!("{sign}{}{fraction}", format::thousands_apart(whole))
}

fn quoted(cell: &str) -> String {
    if cell.contains(['"', ',', '\n', '\r']) { format!("\"{}\"", cell.replace('"', "\"\"")) } else { cell.into() }
}

fn bars(chart: &Chart, number: impl Fn(f64) -> String) -> Table {
    let Kind::Bars { series, groups } = &chart.kind else { return Table::default() };
    let headers = ["Name", "Series", &chart.unit.beside("Value"), "Lower quartile", "Upper quartile", NOTE];
    let rows = groups.iter().flat_map(|group| {
        group.bars.iter().map(|bar| {
            let of_series = series.get(bar.series).cloned().unwrap_or_default();
            let (lower, upper) = bar.spread.map_or_else(Default::default, |(low, high)| (number(low), number(high)));
            vec![group.name.clone(), of_series, number(bar.value), lower, upper, bar.note.clone()]
        })
    });
    let mut table = Table { headers: headers.map(String::from).into(), rows: rows.collect() };
    if groups.iter().flat_map(|group| &group.bars).all(|bar| bar.spread.is_none()) {
        table.drop_columns(3..5);
    }
    if series.len() < 2 {
        table.drop_columns(1..2);
    }
    table
}

fn stack(chart: &Chart, number: impl Fn(f64) -> String) -> Table {
    let Kind::Stack { parts, rows } = &chart.kind else { return Table::default() };
    let values = parts.iter().map(|part| chart.unit.beside(part));
    let headers = std::iter::once("Name".into()).chain(values).chain([NOTE.into()]).collect();
    let rows = rows.iter().map(|row| {
        let cells = (0..parts.len()).map(|part| row.values.get(part).map(|value| number(*value)).unwrap_or_default());
        std::iter::once(row.name.clone()).chain(cells).chain([row.note.clone()]).collect()
    });
    Table { headers, rows: rows.collect() }
}

/// One row for each x: lines that share it share the row.
fn lines(chart: &Chart, number: impl Fn(f64) -> String) -> Table {
    let Kind::Lines { x_title, x_unit, lines } = &chart.kind else { return Table::default() };
    let names = lines.iter().map(|line| chart.unit.beside(&line.name));
    let headers = std::iter::once(x_unit.beside(x_title)).chain(names).collect();
    let mut points: Vec<(f64, usize, f64)> = Vec::new();
    for (idx, line) in lines.iter().enumerate() {
        points.extend(line.points.iter().map(|(x, y)| (*x, idx, *y)));
    }
    points.sort_by(|one, other| one.0.total_cmp(&other.0));
    let rows = points.chunk_by(|one, other| one.0 == other.0).map(|at_x| {
        let mut cells = vec![String::new(); 1 + lines.len()];
        cells[0] = number(at_x[0].0);
        at_x.iter().for_each(|(_, line, y)| cells[1 + line] = number(*y));
        cells
    });
    Table { headers, rows: rows.collect() }
}

fn timeline(chart: &Chart, number: impl Fn(f64) -> String) -> Table {
    let Kind::Timeline { lanes, spans } = &chart.kind else { return Table::default() };
    let headers = ["Lane", "Name", &chart.unit.beside("Start"), &chart.unit.beside("Length"), NOTE];
    let rows = spans.iter().map(|span| {
        let lane = lanes.get(span.lane).cloned().unwrap_or_default();
        vec![lane, span.name.clone(), number(span.start), number(span.length), span.note.clone()]
    });
    Table { headers: headers.map(String::from).into(), rows: rows.collect() }
}

impl Table {
    fn drop_columns(&mut self, columns: std::ops::Range<usize>) {
        self.headers.drain(columns.clone());
        self.rows.iter_mut().for_each(|row| drop(row.drain(columns.clone())));
    }
}

#[cfg(test)]
mod tests {
    use super::super::{Bar, BarGroup, Line, Span, StackRow, Unit};
    use super::*;

    fn texts(cells: &[&str]) -> Vec<String> {
        cells.iter().map(|cell| (*cell).into()).collect()
    }

    #[test]
    fn bars_have_their_quartiles_beside_them() {
        let bar = |series, value, spread| Bar { series, value, spread, note: String::new() };
        let groups = vec![
            BarGroup {
                name: "tiny, int8".into(),
                bars: vec![bar(0, 421.3381, Some((400.0, 450.5))), bar(1, 1e6, None)],
            },
            BarGroup { name: "say \"base\"".into(), bars: vec![bar(1, 0.5, None)] },
        ];
        let kind = Kind::Bars { series: texts(&["before", "after"]), groups };
        let chart = Chart { title: "Time".into(), unit: Unit::Milliseconds, kind };
        let table = chart.table();
        assert_eq!(table.headers, texts(&["Name", "Series", "Value (ms)", "Lower quartile", "Upper quartile"]));
        assert_eq!(table.rows[0], texts(&["tiny, int8", "before", "421.338", "400", "450.5"]));
        assert_eq!(table.rows[1], texts(&["tiny, int8", "after", "1,000,000", "", ""]));
        let csv = chart.csv();
        let expected = "Name,Series,Value (ms),Lower quartile,Upper quartile\r\n\
                        \"tiny, int8\",before,421.3381,400,450.5\r\n\"tiny, int8\",after,1000000,,\r\n\
                        \"say \"\"base\"\"\",after,0.5,,\r\n";
        assert_eq!(csv, expected);
    }

    #[test]
    fn stacks_lines_and_timelines_keep_every_number() {
        let row = StackRow { name: "decode".into(), values: vec![1.25, 2.5], note: "warm".into() };
        let kind = Kind::Stack { parts: texts(&["GPU", "waiting"]), rows: vec![row] };
        let stack = Chart { unit: Unit::Seconds, kind, ..Chart::default() }.table();
        assert_eq!(stack.headers, texts(&["Name", "GPU (s)", "waiting (s)", "Note"]));
        assert_eq!(stack.rows, [texts(&["decode", "1.25", "2.5", "warm"])]);

        let line = |name: &str, points| Line { name: name.into(), points };
        let lines = vec![line("a", vec![(1.0, 10.0), (2.0, 20.0)]), line("b", vec![(2.0, 0.03125)])];
        let kind = Kind::Lines { x_title: "Run".into(), x_unit: Unit::Count, lines };
        let lines = Chart { unit: Unit::Bytes, kind, ..Chart::default() }.table();
        assert_eq!(lines.headers, texts(&["Run", "a (bytes)", "b (bytes)"]));
        assert_eq!(lines.rows, [texts(&["1", "10", ""]), texts(&["2", "20", "0.03125"])]);

        let span = Span { lane: 0, name: "matmul".into(), start: 0.1 + 0.2, length: 12.0, note: String::new() };
        let kind = Kind::Timeline { lanes: texts(&["GPU"]), spans: vec![span] };
        let timeline = Chart { unit: Unit::Microseconds, kind, ..Chart::default() };
        assert_eq!(timeline.table().rows, [texts(&["GPU", "matmul", "0.3", "12"])]);
        assert!(timeline.csv().ends_with("GPU,matmul,0.30000000000000004,12\r\n"));
    }
}
