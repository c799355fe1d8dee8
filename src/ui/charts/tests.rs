//! What holds for charts of every kind: proportion, labels that keep apart, zoom, SVG.

use std::time::Instant;

use super::scene::{Anchor, Frame, Scene, Shape, scene};
use super::zoom::View;
use super::*;

fn lay_out(chart: &Chart, width: f64) -> Scene {
    scene(chart, Frame { width, ..Frame::default() }, View::default(), None)
}

fn demanding() -> [Chart; 4] {
    let series: Vec<String> =
        ["before", "after, with subgroups", "WebNN", "processor & <threads>"].map(String::from).into();
    let note = String::new();
    let groups = ["Whisper tiny.en, int8, encoder", "a_name_without_any_space_that_goes_on_and_on_for_ever", "x"];
    let groups = groups.iter().enumerate().map(|(idx, name)| {
        let value = |series: usize| 37.3 * (1 + idx * 4 + series * 7 % 5) as f64;
        let bar = |series| {
            let spread = (series != 1).then(|| (0.9 * value(series), 1.2 * value(series)));
            Bar { series, value: value(series), spread, note: note.clone() }
        };
        BarGroup { name: (*name).into(), bars: (0..4).map(bar).collect() }
    });
    let groups = groups.collect();
    let bars =
        Chart { title: "Time for a sentence".into(), unit: Unit::Milliseconds, kind: Kind::Bars { series, groups } };

    let parts = ["weights", "activations", "key–value cache", "staging buffers", "scratch", "textures", "other"];
    let row = |name: &str, scale: f64| {
        let values = (0..7).map(|part| scale * f64::from(1 + part * part % 11)).collect();
        StackRow { name: name.into(), values, note: "measured after loading".into() }
    };
    let rows = vec![row("Whisper base", 9e6), row("A text model with a long name of many words", 33e6), row("", 1e3)];
    let kind = Kind::Stack { parts: parts.map(String::from).into(), rows };
    let stack = Chart { title: "Memory on the GPU".into(), unit: Unit::Bytes, kind };

    let lines = (0..9).map(|line| {
        let value = |run: i32| 40.0 + f64::from(line % 4) + 3.0 * f64::from((run * (line + 3)) % 7) / 7.0;
        let points = (0..120).map(|run| (f64::from(run), value(run))).collect();
        Line { name: format!("backend number {line}"), points }
    });
    let kind = Kind::Lines { x_title: "Run number".into(), x_unit: Unit::Count, lines: lines.collect() };
    let lines = Chart { title: "Speed, run by run".into(), unit: Unit::TokensPerSecond, kind };

    let lanes = ["Main page", "Worker with a rather long name that wraps", "GPU"].map(String::from);
    let kind = Kind::Timeline { lanes: lanes.into(), spans: spans(2_000) };
    let timeline = Chart { title: "One token".into(), unit: Unit::Microseconds, kind };
    [bars, stack, lines, timeline]
}

fn spans(n_spans: usize) -> Vec<Span> {
    let span = |idx: usize| {
        let (start, length) = (idx as f64 * 10.0, if idx.is_multiple_of(50) { 200.0 } else { 8.0 });
        Span { lane: idx % 3, name: format!("matmul {idx}"), start, length, note: String::new() }
    };
    (0..n_spans).map(span).collect()
}

/// Left, top, right and bottom of every text.
fn text_boxes(scene: &Scene) -> Vec<(f64, f64, f64, f64, &str)> {
    let place = |shape| match shape {
        &Shape::Text { ref words, at, anchor, size, .. } => {
            let width = text::width(words, size);
            let left = match anchor {
                Anchor::Start => at.0,
                Anchor::Middle => at.0 - width / 2.0,
                Anchor::End => at.0 - width,
            };
            Some((left, at.1 - size / 2.0, left + width, at.1 + size / 2.0, words.as_str()))
        }
        _ => None,
    };
    scene.shapes.iter().filter_map(place).collect()
}

#[test]
fn labels_neither_overlap_nor_leave_the_picture() {
    for (chart, width) in demanding().iter().flat_map(|chart| [330.0, 480.0, 700.0].map(|width| (chart, width))) {
        for titled in [false, true] {
            let scene = scene(chart, Frame { width, titled, ..Frame::default() }, View::default(), None);
            let boxes = text_boxes(&scene);
            assert!(boxes.len() > 5, "{}", chart.title);
            for (idx, one) in boxes.iter().enumerate() {
                let is_inside = one.0 >= -0.01 && one.1 >= 0.0 && one.2 <= width + 0.01 && one.3 <= scene.height;
                assert!(is_inside, "{} at {width}: {one:?}", chart.title);
                for other in &boxes[idx + 1..] {
                    let apart = one.0 >= other.2 || other.0 >= one.2 || one.1 >= other.3 || other.1 >= one.3;
                    assert!(apart, "{} at {width}: {one:?} and {other:?}", chart.title);
                }
            }
        }
    }
}

#[test]
fn bars_are_as_long_as_their_values() {
    let [bars, stack, ..] = demanding();
    let Kind::Bars { groups, .. } = &bars.kind else { panic!("not bars") };
    let values: Vec<f64> = groups.iter().flat_map(|group| &group.bars).map(|bar| bar.value).collect();
    check_proportion(&lay_out(&bars, 700.0), &values, 1e-9);
    let Kind::Stack { rows, .. } = &stack.kind else { panic!("not a stack") };
    let values: Vec<f64> = rows.iter().flat_map(|row| row.values.clone()).collect();
    // A gap of a pixel keeps the parts apart.
    check_proportion(&lay_out(&stack, 330.0), &values, 1.001);
}

fn check_proportion(scene: &Scene, values: &[f64], tolerance: f64) {
    assert_eq!(scene.marks.len(), values.len());
    let longest = values.iter().copied().enumerate().max_by(|one, other| one.1.total_cmp(&other.1)).expect("values");
    let per_value = scene.marks[longest.0].shown.width / longest.1;
    assert!(scene.marks[longest.0].shown.width > 20.0);
    for (mark, value) in scene.marks.iter().zip(values) {
        assert!((mark.shown.width - per_value * value).abs() <= tolerance, "{} for {value}", mark.words);
    }
}

#[test]
fn a_zoomed_timeline_shows_only_what_is_in_range() {
    let timeline = &demanding()[3];
    let view = View { range: Some((5_000.0, 5_100.0)) };
    let frame = Frame { width: 700.0, ..Frame::default() };
    let seen = scene(timeline, frame, view, None);
    let expected: Vec<String> = spans(2_000)
        .into_iter()
        .filter(|span| span.start < 5_100.0 && span.start + span.length > 5_000.0)
        .map(|span| format!("{}: ", span.name))
        .collect();
    assert_eq!(seen.marks.len(), expected.len());
    for name in expected {
        assert!(seen.marks.iter().any(|mark| mark.words.contains(&name)), "{name}");
    }
    for mark in &seen.marks {
        assert!(mark.shown.left >= 0.0 && mark.shown.left + mark.shown.width <= 700.0);
    }
}

#[test]
fn zoomed_lines_stay_within_their_axes() {
    let lines = &demanding()[2];
    let whole = lay_out(lines, 700.0);
    let view = View { range: Some((30.5, 40.5)) };
    let part = scene(lines, Frame { width: 700.0, ..Frame::default() }, view, None);
    assert_eq!(part.marks.len(), 9 * 10);
    let far_right = |scene: &Scene| {
        let ends = scene.shapes.iter().filter_map(|shape| match shape {
            Shape::Path { points, .. } => points.iter().map(|point| point.0).reduce(f64::max),
            _ => None,
        });
        ends.fold(0.0, f64::max)
    };
    assert!((far_right(&part) - far_right(&whole)).abs() < 1.0);
}

#[test]
fn two_thousand_spans_are_laid_out_in_a_frame() {
    let timeline = &demanding()[3];
    let scene = lay_out(timeline, 360.0);
    assert!((50..900).contains(&scene.marks.len()), "{} marks", scene.marks.len());
    assert!(scene.marks.iter().any(|mark| mark.words.contains("short ones")));
    let start = Instant::now();
    for _ in 0..10 {
        assert!(lay_out(timeline, 360.0).height > 0.0);
    }
    // Some milliseconds at most; a browser's machine may be several times slower.
    let each_ms = start.elapsed().as_secs_f64() * 1e2;
    assert!(each_ms < 15.0, "{each_ms} ms");
}

#[test]
fn pointing_finds_the_mark_that_is_meant() {
    let scene = lay_out(&demanding()[3], 360.0);
    let idx = scene.marks.len() / 2;
    assert_eq!(scene.mark_at(scene.marks[idx].area.middle()), Some(idx));
    assert_eq!(scene.mark_at((-100.0, -100.0)), None);
}

#[test]
fn the_focused_mark_is_outlined() {
    let chart = &demanding()[0];
    let frame = Frame { width: 700.0, ..Frame::default() };
    let (plain, outlined) = (lay_out(chart, 700.0), scene(chart, frame, View::default(), Some(2)));
    assert_eq!(outlined.shapes.len(), plain.shapes.len() + 2);
    assert_eq!(scene(chart, frame, View::default(), Some(9_999)), plain);
}

#[test]
fn svg_is_well_formed_with_escaped_names() {
    for chart in demanding() {
        let svg = chart.svg(720, Theme::Dark);
        assert!(svg.starts_with("<svg width=\"720\" height=\"") && svg.trim_end().ends_with("</svg>"));
        assert!(svg.contains("xmlns=\"http://www.w3.org/2000/svg\""));
        let mut open: Vec<&str> = Vec::new();
        for tag in svg.split('<').skip(1) {
            let (tag, text) = tag.split_once('>').expect("a tag ends");
            assert!(!text.contains('>') && tag.matches('"').count() % 2 == 0, "{tag}");
            match (tag.strip_prefix('/'), tag.ends_with('/')) {
                (Some(name), _) => assert_eq!(open.pop(), Some(name)),
                (None, false) => open.push(tag.split(' ').next().unwrap_or_default()),
                (None, true) => {}
            }
        }
        assert!(open.is_empty(), "{open:?}");
    }
    let bars = demanding()[0].svg(720, Theme::Light);
    assert!(bars.contains("processor &amp; &lt;threads&gt;"));
}

#[test]
fn charts_without_values_are_empty_and_harm_nothing() {
    let kinds = [
        Kind::default(),
        Kind::Stack { parts: vec!["a".into()], rows: Vec::new() },
        Kind::Lines { x_title: String::new(), x_unit: Unit::Count, lines: vec![Line::default()] },
        Kind::Timeline { lanes: vec!["GPU".into()], spans: Vec::new() },
    ];
    for kind in kinds {
        let chart = Chart { kind, ..Chart::default() };
        assert!(chart.is_empty());
        assert!(chart.svg(320, Theme::Light).contains("</svg>"));
    }
    let bar = |value| Bar { value, ..Bar::default() };
    let group = BarGroup { name: "odd".into(), bars: vec![bar(f64::NAN), bar(0.0), bar(-1.0), bar(f64::INFINITY)] };
    let odd = Chart { kind: Kind::Bars { series: vec!["a".into()], groups: vec![group] }, ..Chart::default() };
    assert!(!odd.is_empty());
    assert!(lay_out(&odd, 320.0).marks.iter().all(|mark| mark.shown.width == 0.0));
}
