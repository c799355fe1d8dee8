//! What helps to find out why something went wrong in this browser, as one file: JSON, or a page that opens without a network and holds
//! the same JSON. `platform` collects it.

use serde::Serialize;

use super::chronicle::{Chronicle, LoadedModel, Noted};
use super::monitor::GraphTotal;
use super::{capability, findings, format, numbers};
use crate::protocol::{
    BackendReport, CachedModel, FeatureReport, Inspection, MemoryReport, PipelineManifest, PipelineTrace, Roofline,
    Tuning,
};

/// The kinds of file.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum ReportKind {
    /// A page for people.
    Html,
    /// For programs.
    Json,
}

impl ReportKind {
    /// The file name's ending.
    pub fn extension(self) -> &'static str {
        match self {
            ReportKind::Html => "html",
            ReportKind::Json => "json",
        }
    }

    /// The media type.
    pub fn mime(self) -> &'static str {
        match self {
            ReportKind::Html => "text/html",
            ReportKind::Json => "application/json",
        }
    }
}

/// Everything. What could not be had is left out.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct DebugReport {
    /// The version of Rill, and the build where it has a name of its own.
    pub rill: String,
    /// When it was made, in universal time.
    pub created: String,
    /// The browser as it names itself.
    pub browser: String,
    /// The processor's cores as the browser tells them.
    pub cores: f64,
    /// Whether threads may share memory on this page.
    pub cross_origin_isolated: bool,
    /// What each backend's probe found.
    pub backends: Vec<BackendReport>,
    /// What the tests of other features found.
    pub features: Vec<FeatureReport>,
    /// What is in memory.
    pub memory: Option<MemoryReport>,
    /// The models that are kept in this browser.
    pub cached: Vec<CachedModel>,
    /// What the tuner found.
    pub tuning: Option<Tuning>,
    /// The GPU's pipelines, and what its shader compiler said.
    pub pipelines: Option<PipelineManifest>,
    /// What graphs took on the GPU in ordinary runs, if the monitor was on.
    pub gpu_times: Vec<GraphTotal>,
    /// What was told since the page was opened.
    #[serde(flatten)]
    pub chronicle: Chronicle,
}

impl DebugReport {
    /// As a file of this kind.
    pub fn write(&self, kind: ReportKind) -> String {
        let json = serde_json::to_string_pretty(self).unwrap_or_else(|error| format!("{{\"error\": \"{error}\"}}"));
        match kind {
            ReportKind::Json => json,
            ReportKind::Html => self.html(&json),
        }
    }

    fn html(&self, json: &str) -> String {
        let mut body = String::new();
        body += &format!(
            "<h1>Rill {}</h1><p>{}<br>{}</p>",
            escaped(&self.rill),
            escaped(&self.created),
            escaped(&self.browser)
        );
        body += &section("What went wrong", "Nothing did since the page was opened.", &self.failures());
        let models: String = self.chronicle.models.iter().map(model).collect();
        body += &section("Loaded models", "None is loaded.", &models);
        body += &section("Backends and features", "The engine does not answer.", &self.features());
        body += &section(
            "The GPU, measured",
            "It was not measured.",
            &self.chronicle.roofline.as_ref().map(roofline).unwrap_or_default(),
        );
        let times = self.gpu_times.iter().map(|graph| {
            let [total, median] = [graph.total_ms, graph.median_ms].map(|ms| format::duration_us(1e3 * ms));
            vec![graph.graph.clone(), format::count(graph.n_runs), total, median, format!("{:?}", graph.timed_by)]
        });
        let times = table(&["Graph", "Runs", "Total", "Median", "Clock"], times);
        body += &section("Times on the GPU in ordinary runs", "The monitor saw none.", &times);
        let tuned = self.tuning.as_ref().filter(|tuning| !tuning.kernels.is_empty());
        body += &section("Tuned kernels", "None were tuned here.", &tuned.map(tuning).unwrap_or_default());
        let (listed, messages) = self.pipelines.as_ref().map(pipelines).unwrap_or_default();
        body += &section("Shader pipelines", "None were made here.", &listed);
        body += &section("Messages of the shader compiler", "It said nothing, or nobody asked.", &messages);
        let kept = self.cached.iter().map(|kept| {
            vec![kept.model.clone(), format::bytes(kept.bytes), if kept.complete { "whole" } else { "in part" }.into()]
        });
        body += &section("Kept in this browser", "No model is kept.", &table(&["Model", "Size", "Kept"], kept));
        // In a script, `<` could end it.
        let json = json.replace('<', "\\u003c");
        format!(
            "<!doctype html>\n<html lang=\"en\"><head><meta charset=\"utf-8\"><title>Rill: report of {}</title>\
             <meta name=\"viewport\" content=\"width=device-width, initial-scale=1\">\
             <meta http-equiv=\"Content-Security-Policy\" content=\"default-src 'none'; style-src 'unsafe-inline'\">\
             <style>{STYLE}</style></head>\n<body>{body}\
             <h2>The same for programs</h2><p>The element <code>#report</code> of this page holds everything as JSON.</p>\n\
             <script type=\"application/json\" id=\"report\">\n{json}\n</script></body></html>\n",
            escaped(&self.created)
        )
    }

    fn failures(&self) -> String {
        let rows = self.chronicle.failures.iter().map(|Noted { after_ms, failure }| {
            let kind = serde_json::to_value(failure.kind).ok();
            let kind = kind.as_ref().and_then(|kind| kind.as_str()).unwrap_or_default();
            vec![format::duration_ms(*after_ms), kind.into(), format!("{} {}", failure.message, failure.hint)]
        });
        table(&["After", "Kind", "What was said"], rows)
    }

    fn features(&self) -> String {
        let of_backend = |report: &BackendReport| {
            let adapter = if report.adapter.is_empty() { String::new() } else { format!("{}: ", report.adapter) };
            let itself = FeatureReport {
                name: capability::backend_name(report.backend).into(),
                supported: report.available,
                reason: format!("{adapter}{}", report.reason),
                probe_ms: report.probe_ms,
            };
            std::iter::once(itself).chain(report.features.clone()).collect::<Vec<_>>()
        };
        let all = self.backends.iter().flat_map(of_backend).chain(self.features.iter().cloned());
        let rows = all.map(|FeatureReport { name, supported, reason, probe_ms }| {
            vec![name, if supported { "yes" } else { "no" }.into(), reason, format::duration_ms(probe_ms)]
        });
        table(&["What", "Here", "What was tried and found", "Took"], rows)
    }
}

fn model(LoadedModel { info, lost, trace, inspection }: &LoadedModel) -> String {
    let precision = capability::precision_name(info.precision);
    let timings = &info.timings;
    let facts = [
        (
            "Runs on",
            format!(
                "{} on {}{}",
                capability::backend_name(info.backend),
                info.adapter,
                if *lost { " (lost)" } else { "" }
            ),
        ),
        ("Why", info.reason.clone()),
        ("Precision", precision.into()),
        ("Memory", format!("{}, at most {}", format::bytes(info.memory_bytes), format::bytes(info.peak_bytes))),
        (
            "Load",
            format!(
                "{}: receiving {}, pipelines {}, first run {}",
                format::duration_ms(timings.total_ms),
                format::duration_ms(timings.download_ms),
                format::duration_ms(timings.compile_ms),
                format::duration_ms(timings.warm_up_ms)
            ),
        ),
    ];
    let rows = facts.map(|(name, value)| vec![name.to_string(), value]);
    let stages = trace.as_ref().map(stages).unwrap_or_default();
    let numbers = inspection.as_ref().map(checked).unwrap_or_default();
    format!("<h3>{}</h3>{}{stages}{numbers}", escaped(&info.model.id), table(&["", ""], rows))
}

/// What the device computed beside the definitions, folded.
fn checked(inspection: &Inspection) -> String {
    let rows = table(&numbers::HEADS, inspection.checks.iter().map(numbers::row));
    let (summary, graph) = (escaped(&numbers::summary(inspection)), escaped(&inspection.graph));
    format!("<p>{summary}</p><details><summary>Numbers of {graph}</summary>{rows}</details>")
}

/// Stages and, folded, the dispatches of each.
fn stages(trace: &PipelineTrace) -> String {
    let found: String = findings::of(trace).iter().map(|words| format!("<li>{}</li>", escaped(words))).collect();
    let whole = trace.stages.iter().map(|stage| {
        vec![
            stage.name.clone(),
            format::duration_us(stage.whole_us),
            format::count(stage.n_dispatches),
            format::bytes(stage.bytes),
            format::figure(stage.flops as f64 / 1e9),
            format!("{:.1} %", 100.0 * stage.rate.share),
        ]
    });
    let mut text = table(&["Stage", "Time", "Dispatches", "Bytes", "GFLOP", "Of the peak"], whole);
    text += &format!("<ul>{found}</ul>");
    for stage in &trace.stages {
        let rows = stage.dispatches.iter().map(|dispatch| {
            vec![
                dispatch.op.clone(),
                dispatch.shader.clone(),
                dispatch.workgroups.map(|n| n.to_string()).join(" × "),
                format::duration_us(dispatch.us),
                format::bytes(dispatch.bytes),
                format::figure(dispatch.flops as f64 / 1e6),
                format!("{:.1} %", 100.0 * dispatch.rate.share),
            ]
        });
        let rows = table(&["Op", "Kernel", "Workgroups", "Time", "Bytes", "MFLOP", "Of the peak"], rows);
        text += &format!("<details><summary>Dispatches of {}</summary>{rows}</details>", escaped(&stage.name));
    }
    text
}

fn roofline(roofline: &Roofline) -> String {
    let f16 = roofline.f16_tflops.map_or_else(|| "none".into(), |f16| format!("{} TFLOP/s", format::figure(f16)));
    let rows = [
        ("Adapter", format!("{}{}", roofline.adapter, if roofline.software { ", software" } else { "" })),
        ("Copying memory", format!("{} GB/s", format::figure(roofline.copy_gb_per_s))),
        ("Arithmetic in f32", format!("{} TFLOP/s", format::figure(roofline.f32_tflops))),
        ("Arithmetic in f16", f16),
        ("A dispatch", format::duration_us(roofline.dispatch_us)),
        ("A submit", format::duration_us(roofline.submit_us)),
        ("Reading back", format::duration_ms(roofline.readback_ms)),
    ];
    table(&["", ""], rows.map(|(name, value)| vec![name.to_string(), value]))
}

fn tuning(tuning: &Tuning) -> String {
    let rows = tuning.kernels.iter().map(|kernel| {
        let chosen = kernel.versions.get(kernel.chosen as usize);
        let (name, us) = chosen.map_or((String::new(), 0.0), |version| (version.name.clone(), version.us));
        vec![kernel.class.clone(), name, format::duration_us(us), format!("{:.2}", kernel.gain())]
    });
    table(&["Work", "Version", "Time", "The usual version takes, in times"], rows)
}

/// Those that were made or listed, and what the compiler said.
fn pipelines(manifest: &PipelineManifest) -> (String, String) {
    let ms = |ms: Option<f64>| ms.map_or_else(String::new, format::duration_ms);
    let rows = manifest.pipelines.iter().map(|entry| {
        let name = format!("{} ({})", entry.op, entry.shader);
        let made = ms(entry.made.map(|making| making.ms));
        vec![name, entry.variant.clone(), entry.priority().into(), ms(entry.cold_ms), ms(entry.warm_ms), made]
    });
    let listed = table(&["Pipeline", "Variant", "Priority", "First time", "Last time", "In this visit"], rows);
    let rows = manifest.messages.iter().map(|message| {
        let kind = format!("{:?}{}", message.kind, message.place());
        vec![kind, message.message.clone(), message.source.clone()]
    });
    (listed, table(&["Kind and place", "Message", "The line"], rows))
}

/// A heading and what stands below it, or that there is nothing.
fn section(title: &str, nothing: &str, content: &str) -> String {
    match content.is_empty() {
        true => format!("<h2>{title}</h2><p>{nothing}</p>\n"),
        false => format!("<h2>{title}</h2>{content}\n"),
    }
}

/// Nothing where there is no row. The first cell of a row is its name.
fn table(heads: &[&str], rows: impl IntoIterator<Item = Vec<String>>) -> String {
    let row = |cells: Vec<String>| {
        let cells = cells.iter().enumerate().map(|(col, text)| match col {
            0 => format!("<th scope=\"row\">{}</th>", escaped(text)),
            _ => format!("<td>{}</td>", escaped(text)),
        });
        format!("<tr>{}</tr>", cells.collect::<String>())
    };
    let rows: String = rows.into_iter().map(row).collect();
    if rows.is_empty() {
        return rows;
    }
    let has_heads = heads.iter().any(|head| !head.is_empty());
    let heads: String = heads.iter().map(|head| format!("<th scope=\"col\">{head}</th>")).collect();
    let heads = if has_heads { format!("<thead><tr>{heads}</tr></thead>") } else { String::new() };
    format!("<div><table>{heads}<tbody>{rows}</tbody></table></div>")
}

fn escaped(text: &str) -> String {
    text.replace('&', "&amp;").replace('<', "&lt;").replace('>', "&gt;").replace('"', "&quot;")
}

/// Enough to read it in light and dark, on a phone and on paper.
const STYLE: &str = ":root{color-scheme:light dark;font:16px/1.5 system-ui,sans-serif}\
body{max-width:60rem;margin:0 auto;padding:1rem}h1,h2,h3{line-height:1.2}\
div{overflow-x:auto}table{border-collapse:collapse;font-size:.875rem}\
th,td{padding:.25rem .75rem .25rem 0;border-bottom:1px solid color-mix(in srgb,currentColor 20%,transparent);\
text-align:start;vertical-align:top;font-variant-numeric:tabular-nums}\
th[scope=row]{font-weight:600}summary{cursor:pointer;padding:.25rem 0}";

#[cfg(test)]
mod tests {
    use super::*;
    use crate::protocol::{
        BackendChoice, Event, Failure, FailureKind, JobId, PipelineId, TensorCheck, TensorStatistics,
    };

    fn report() -> DebugReport {
        let mut chronicle = Chronicle::default();
        let (message, hint) = ("</script><b>no & no".to_string(), "Try \"again\".".to_string());
        chronicle.note(
            &Event::Failed { job: JobId(1), failure: Failure { kind: FailureKind::Model, message, hint } },
            1500.0,
        );
        let backend = BackendReport {
            backend: BackendChoice::Wasm,
            available: true,
            reason: "it computes".into(),
            adapter: "a processor".into(),
            software: true,
            features: vec![],
            probe_ms: 2.0,
        };
        DebugReport {
            rill: "1".into(),
            created: "today".into(),
            browser: "a browser".into(),
            cores: 2.0,
            cross_origin_isolated: true,
            backends: vec![backend],
            features: vec![],
            memory: None,
            cached: vec![],
            tuning: None,
            pipelines: None,
            gpu_times: vec![],
            chronicle,
        }
    }

    #[test]
    fn the_page_holds_the_same_as_the_json_and_nothing_in_it_is_markup() {
        let report = report();
        let (html, json) = (report.write(ReportKind::Html), report.write(ReportKind::Json));
        let start = html.find("id=\"report\">").unwrap() + "id=\"report\">".len();
        let inside = &html[start..start + html[start..].find("</script>").unwrap()];
        let parse = |text: &str| serde_json::from_str::<serde_json::Value>(text).unwrap();
        assert_eq!(parse(inside), parse(&json));
        assert_eq!(parse(&json)["failures"][0]["failure"]["message"], "</script><b>no & no");
        assert!(html.contains("&lt;/script&gt;&lt;b&gt;no &amp; no Try &quot;again&quot;."), "{html}");
        assert_eq!(html.matches("</script>").count(), 1);
    }

    #[test]
    fn it_says_what_is_not_there() {
        let html = report().write(ReportKind::Html);
        for words in
            ["None is loaded.", "It was not measured.", "The monitor saw none.", "a processor: it computes", "1.5 s"]
        {
            assert!(html.contains(words), "{words}: {html}");
        }
    }

    #[test]
    fn what_a_check_found_stands_in_a_table_with_the_farthest_node_named() {
        let figures = TensorStatistics { min: Some(-1.0), max: Some(1.0), mean: Some(0.0), n_nan: 0, n_infinite: 0 };
        let check = TensorCheck {
            node: 3,
            op: "linear".into(),
            tensor: "output".into(),
            shape: vec![2],
            dtype: "f32".into(),
            device: TensorStatistics { n_nan: 1, ..figures },
            definition: figures,
            n_unlike: 1,
            difference: None,
        };
        let (model, graph) = ("m".into(), "step".into());
        let html = checked(&Inspection { pipeline: PipelineId(1), model, graph, checks: vec![check] });
        for words in ["The farthest is node 3 linear", "<th scope=\"row\">3 linear</th><td>off: NaN on the device only"]
        {
            assert!(html.contains(words), "{words}: {html}");
        }
    }
}
